//! A proxy to Redis: finds the ends of commands and replies, and recognises the calls of scripts that write.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use local_cluster::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::injector::{FaultInjector, Pass};
use super::resp;

/// Makes a script of the same files as the operator does, so that it has the same SHA-1.
macro_rules! script {
    ($($file:literal),+) => {
        concat!(text!("common.lua"), $("\n", text!($file)),+)
    };
}

macro_rules! text {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../src/store/scripts/", $file))
    };
}

/// The scripts that write; each call of one is a side effect.
const SCRIPTS: [(&str, &str); 2] =
    [("apply", script!("adoption.lua", "apply.lua")), ("acquire_epoch", script!("acquire_epoch.lua"))];

/// A proxy in front of a Redis; ends on drop.
pub struct RedisProxy {
    port: Port,
    task: AbortHandle,
}

impl RedisProxy {
    /// Starts in front of the Redis at this address, in which the scripts must be loaded already
    /// ([`RedisProxy::load_scripts`]): a call that fails because its script is missing would count.
    pub async fn start(upstream: &str, injector: FaultInjector) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let scripts: BTreeMap<String, &str> = SCRIPTS
            .iter()
            .map(|(name, text)| (::redis::Script::new(text).get_hash().to_owned(), *name))
            .collect();
        let (scripts, upstream) = (Arc::new(scripts), upstream.to_owned());
        let accept = async move {
            while let Ok((client, _)) = listener.accept().await {
                let (scripts, injector, upstream) =
                    (Arc::clone(&scripts), injector.clone(), upstream.clone());
                tokio::spawn(async move {
                    // Without a Redis the connection closes, as a port without a server would.
                    let Ok(server) = TcpStream::connect(upstream).await else { return };
                    Connection { scripts, injector, waiting: Arc::default() }.run(client, server).await;
                });
            }
        };
        Self { port, task: tokio::spawn(accept).abort_handle() }
    }

    /// Loads the scripts into a Redis.
    pub async fn load_scripts(redis: &local_cluster::Redis) {
        let mut connection = redis.connection().await.unwrap();
        for (_, text) in SCRIPTS {
            ::redis::Script::new(text).load_async(&mut connection).await.unwrap();
        }
    }

    /// `redis://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("redis://{}", self.port.address())
    }
}

impl Drop for RedisProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection. Replies come in the order of the commands, and so do their treatments in `waiting`.
#[derive(Clone)]
struct Connection {
    scripts: Arc<BTreeMap<String, &'static str>>,
    injector: FaultInjector,
    waiting: Arc<Mutex<VecDeque<Pass>>>,
}

impl Connection {
    async fn run(self, client: TcpStream, server: TcpStream) {
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        // If either side closes, the connection ends.
        tokio::select! {
            () = self.clone().commands(from_client, to_server) => {}
            () = self.replies(from_server, to_client) => {}
        }
    }

    async fn commands(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = Vec::new();
        while let Some(command) = next(&mut from, &mut bytes).await {
            let effect = resp::script(&command).and_then(|sha| self.scripts.get(&sha));
            let pass = effect.map_or(Pass::Through, |name| self.injector.arrive(&format!("EVALSHA {name}")));
            if pass == Pass::Hold {
                // The connection ends with the process.
                hold(&mut from).await;
                return;
            }
            self.waiting.lock().unwrap().push_back(pass);
            if to.write_all(&command).await.is_err() {
                return;
            }
        }
    }

    async fn replies(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let mut bytes = Vec::new();
        while let Some(reply) = next(&mut from, &mut bytes).await {
            if !resp::is_push(&reply) {
                let pass = self.waiting.lock().unwrap().pop_front();
                match pass.expect("each reply belongs to a command") {
                    Pass::Through => {}
                    Pass::LoseReply => return,
                    Pass::KillBeforeReply | Pass::Hold => {
                        self.injector.request_crash();
                        std::future::pending::<()>().await;
                    }
                }
            }
            if to.write_all(&reply).await.is_err() {
                return;
            }
        }
    }
}

/// Returns the next whole message; none at the end of the connection.
async fn next(from: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = resp::message(bytes) {
            return Some(bytes.drain(..end).collect());
        }
        if from.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Discards everything until the other side closes.
async fn hold(from: &mut OwnedReadHalf) {
    let mut dropped = Vec::new();
    while from.read_buf(&mut dropped).await.is_ok_and(|read| read > 0) {
        dropped.clear();
    }
}
