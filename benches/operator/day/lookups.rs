//! Lookups by DID at the admin routes, on many connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::figure::Spread;
use crate::load::Tenant;

const CONNECTIONS: usize = 64;
/// The interval of each connection's lookups: 640 lookups a second in all.
const EVERY: Duration = Duration::from_millis(100);

pub struct Lookups {
    done: Arc<AtomicBool>,
    clients: JoinSet<(Vec<Duration>, usize)>,
}

pub struct Answers {
    pub took: Spread,
    pub failed: usize,
}

pub fn start(admin: &str, tenants: usize) -> Lookups {
    let done = Arc::new(AtomicBool::default());
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        clients.spawn(look_up(admin.to_owned(), client, tenants, Arc::clone(&done)));
    }
    Lookups { done, clients }
}

impl Lookups {
    pub async fn finish(self) -> Answers {
        self.done.store(true, Ordering::Relaxed);
        let (took, failed): (Vec<_>, Vec<_>) = self.clients.join_all().await.into_iter().unzip();
        Answers { took: took.concat().into_iter().collect(), failed: failed.iter().sum() }
    }
}

/// Runs one connection, each lookup at its time; a late one counts from when it was due.
async fn look_up(
    admin: String,
    client: usize,
    tenants: usize,
    done: Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let mut stream = TcpStream::connect(&admin).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut took, mut failed, mut buffer) = (Vec::new(), 0, [0; 2048]);
    let mut due = Instant::now() + EVERY.mul_f64(client as f64 / CONNECTIONS as f64);
    for number in (client..).step_by(CONNECTIONS) {
        if done.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep_until(due.into()).await;
        let tenant = Tenant::numbered("t", number % tenants);
        let did = tenant.did(0);
        let request = format!("GET /api/admin/runtime/dids/{did} HTTP/1.1\r\nhost: bench\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        while !buffer[..read].ends_with(b"}") {
            let more = stream.read(&mut buffer[read..]).await.unwrap();
            assert!(more > 0, "the admin server closed a connection");
            read += more;
        }
        took.push(due.elapsed());
        let answer = String::from_utf8_lossy(&buffer[..read]);
        let expected = format!(r#""tenantId":"{}"}}"#, tenant.name);
        failed += usize::from(!answer.starts_with("HTTP/1.1 200 ") || !answer.ends_with(&expected));
        due += EVERY;
    }
    (took, failed)
}
