//! A proxy between an operator and Redis that holds a chosen command, and forwards it long after it was sent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use local_cluster::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::truth::TIMEOUT;

/// Forwards everything until it is given a text to hold.
pub struct HoldingProxy {
    port: Port,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    wanted: Mutex<Option<Vec<u8>>>,
    stage: watch::Sender<Stage>,
    answer: Mutex<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Held,
    Released,
    Replied,
}

impl HoldingProxy {
    /// Starts in front of a server: `host:port`.
    pub async fn start(to: String) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let stage = watch::Sender::new(Stage::Open);
        let shared = Arc::new(Shared { wanted: Mutex::default(), stage, answer: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, to, Arc::clone(&shared)));
        Self { port, shared, accepting }
    }

    /// Returns the URL for the operator.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.port.address())
    }

    /// Holds the next command that contains this text, and everything after it on its connection.
    pub fn hold(&self, text: &str) {
        *self.shared.wanted.lock().unwrap() = Some(text.into());
    }

    /// Waits until it is held.
    pub async fn wait_held(&self) {
        self.wait(Stage::Held).await;
    }

    /// Forwards the held command, and returns the reply of Redis.
    pub async fn release(&self) -> String {
        self.shared.stage.send_replace(Stage::Released);
        self.wait(Stage::Replied).await;
        String::from_utf8_lossy(&self.shared.answer.lock().unwrap()).into_owned()
    }

    async fn wait(&self, stage: Stage) {
        let mut stages = self.shared.stage.subscribe();
        let waited = timeout(TIMEOUT, stages.wait_for(|now| *now == stage)).await;
        assert!(waited.is_ok(), "the proxy is not {stage:?} after {TIMEOUT:?}");
    }
}

impl Drop for HoldingProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: String, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&to).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        // True while the reply to the held command is awaited on this connection.
        let caught = Arc::<AtomicBool>::default();
        tokio::spawn(there(from_client, to_server, Arc::clone(&shared), Arc::clone(&caught)));
        tokio::spawn(back(from_server, to_client, Arc::clone(&shared), caught));
    }
}

async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
    caught: Arc<AtomicBool>,
) {
    let (mut buffer, mut tail) = (vec![0; 65_536], Vec::new());
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let chunk = &buffer[..length];
        tail.extend_from_slice(chunk);
        if shared.wants(&tail) {
            shared.stage.send_replace(Stage::Held);
            let _ = shared.stage.subscribe().wait_for(|stage| *stage != Stage::Held).await;
            caught.store(true, Ordering::SeqCst);
        }
        if to.write_all(chunk).await.is_err() {
            return;
        }
        // A text that is split between two chunks is found too: the first part is no whole command.
        tail.drain(..tail.len().saturating_sub(200));
    }
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Shared>, caught: Arc<AtomicBool>) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if caught.swap(false, Ordering::SeqCst) {
            shared.answer.lock().unwrap().extend_from_slice(&buffer[..length]);
            shared.stage.send_replace(Stage::Replied);
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Returns true if this contains the text to hold, which is held once.
    fn wants(&self, bytes: &[u8]) -> bool {
        let mut wanted = self.wanted.lock().unwrap();
        let found = wanted.as_ref().is_some_and(|text| bytes.windows(text.len()).any(|part| part == text));
        if found {
            *wanted = None;
        }
        found
    }
}
