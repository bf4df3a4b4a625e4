//! Network address translation that forgets idle connections, as load balancers and firewalls of clouds do: neither side
//! is notified, and what either one sends afterwards is lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local_cluster::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A proxy that forgets connections; ends on drop.
pub struct ForgetfulNat {
    port: Port,
    idle: Duration,
    flows: Arc<Mutex<Vec<Arc<Mutex<Flow>>>>>,
    task: AbortHandle,
}

/// The entry of one connection.
struct Flow {
    opened: Instant,
    last: Instant,
    forgotten: bool,
    closed: bool,
}

impl Flow {
    /// Notes data, and returns true if it must be lost.
    fn pass(&mut self, idle: Duration) -> bool {
        self.expire(idle);
        self.last = Instant::now();
        self.forgotten
    }

    fn expire(&mut self, idle: Duration) {
        self.forgotten |= self.last.elapsed() > idle;
    }
}

impl ForgetfulNat {
    /// Starts in front of `host:port`. A connection that carries no data for `idle` is forgotten.
    pub async fn start(upstream: &str, idle: Duration) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let flows: Arc<Mutex<Vec<Arc<Mutex<Flow>>>>> = Arc::default();
        let (known, upstream) = (Arc::clone(&flows), upstream.to_owned());
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&upstream).await else { continue };
                let now = Instant::now();
                let flow = Flow { opened: now, last: now, forgotten: false, closed: false };
                let flow = Arc::new(Mutex::new(flow));
                known.lock().unwrap().push(Arc::clone(&flow));
                tokio::spawn(carry(client, server, flow, idle));
            }
        };
        Self { port, idle, flows, task: tokio::spawn(accept).abort_handle() }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Forgets every connection, as a restart does.
    pub fn forget_all(&self) {
        for flow in self.flows.lock().unwrap().iter() {
            flow.lock().unwrap().forgotten = true;
        }
    }

    /// Returns the number of connections that were forgotten.
    pub fn forgotten(&self) -> usize {
        self.count(|flow| flow.forgotten)
    }

    /// Returns the number of connections that are at least this old, open and not forgotten.
    pub fn older_than(&self, age: Duration) -> usize {
        self.count(|flow| !flow.forgotten && !flow.closed && flow.opened.elapsed() >= age)
    }

    fn count(&self, which: impl Fn(&Flow) -> bool) -> usize {
        let flows = self.flows.lock().unwrap();
        let counted = flows.iter().filter(|flow| {
            let mut flow = flow.lock().unwrap();
            flow.expire(self.idle);
            which(&flow)
        });
        counted.count()
    }
}

impl Drop for ForgetfulNat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: TcpStream, flow: Arc<Mutex<Flow>>, idle: Duration) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = one_way(from_client, to_server, &flow, idle) => {}
        () = one_way(from_server, to_client, &flow, idle) => {}
    }
    // The other socket of a forgotten connection can close too: that side has no use for it.
    flow.lock().unwrap().closed = true;
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, flow: &Mutex<Flow>, idle: Duration) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let lost = flow.lock().unwrap().pass(idle);
        if !lost && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
