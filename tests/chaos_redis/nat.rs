//! Translates the primary's port in the replies of Sentinels, as network address translation would, so that an operator
//! connects through its own proxy.

use std::sync::Arc;

use local_cluster::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub struct Nat {
    port: Port,
    accepting: JoinHandle<()>,
}

/// A Sentinel's port and its translation. All ports of these tests have five digits.
pub type Translation = (u16, u16);

impl Nat {
    /// Starts in front of a Sentinel: `host:port`.
    pub async fn start(sentinel: String, translations: Vec<Translation>) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let accepting = tokio::spawn(accept(listener, sentinel, translations.into()));
        Self { port, accepting }
    }

    pub fn address(&self) -> String {
        self.port.address()
    }
}

impl Drop for Nat {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: String, translations: Arc<[Translation]>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&to).await else { continue };
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
            (client.into_split(), server.into_split());
        tokio::spawn(async move {
            let _ = copy(&mut from_client, &mut to_server).await;
        });
        let translations = Arc::clone(&translations);
        tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            // A reply is short, and arrives in one piece.
            while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                translate(&mut buffer[..length], &translations);
                if to_client.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Replaces a port, which is a bulk string of its own: `$5\r\n26379\r\n`.
fn translate(answer: &mut [u8], translations: &[Translation]) {
    for (original, translated) in translations {
        let (original, translated) = (format!("$5\r\n{original}\r\n"), format!("$5\r\n{translated}\r\n"));
        while let Some(at) = answer.windows(original.len()).position(|part| part == original.as_bytes()) {
            answer[at..at + original.len()].copy_from_slice(translated.as_bytes());
        }
    }
}

#[test]
fn only_ports_are_translated() {
    let mut answer = b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n20001\r\n*1\r\n$6\r\n120001\r\n".to_vec();
    translate(&mut answer, &[(20001, 30001), (20002, 30002)]);
    assert_eq!(answer, b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n30001\r\n*1\r\n$6\r\n120001\r\n");
}
