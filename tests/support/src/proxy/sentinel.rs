//! A proxy in front of a Sentinel that replaces the primary's port in its replies: as network address translation would, or
//! as a Sentinel that disagrees with the others.

use std::sync::{Arc, Mutex};

use local_cluster::Port;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A proxy in front of a Sentinel; ends on drop.
pub struct SentinelProxy {
    port: Port,
    translations: Translations,
    accepting: JoinHandle<()>,
}

/// A port and what replaces it. All ports of these tests have five digits.
pub type Translation = (u16, u16);

type Translations = Arc<Mutex<Vec<Translation>>>;

impl SentinelProxy {
    /// Starts in front of a Sentinel: `host:port`.
    pub async fn start(sentinel: String, translations: Vec<Translation>) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let translations: Translations = Arc::new(Mutex::new(translations));
        let accepting = tokio::spawn(accept(listener, sentinel, Arc::clone(&translations)));
        Self { port, translations, accepting }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// Replaces other ports from now on: `translate(vec![(primary, other)])` makes it name another primary.
    pub fn translate(&self, translations: Vec<Translation>) {
        *self.translations.lock().unwrap() = translations;
    }
}

impl Drop for SentinelProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: String, translations: Translations) {
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
                translate(&mut buffer[..length], &translations.lock().unwrap().clone());
                if to_client.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Replaces a port, which is a bulk string of its own: `$5\r\n26379\r\n`.
fn translate(answer: &mut [u8], translations: &[Translation]) {
    let mut at = 0;
    while at < answer.len() {
        let replaced = translations.iter().find_map(|(original, translated)| {
            let original = format!("$5\r\n{original}\r\n");
            answer[at..].starts_with(original.as_bytes()).then(|| format!("$5\r\n{translated}\r\n"))
        });
        match replaced {
            Some(translated) => {
                answer[at..at + translated.len()].copy_from_slice(translated.as_bytes());
                at += translated.len();
            }
            None => at += 1,
        }
    }
}

#[test]
fn only_ports_are_translated() {
    let mut answer = b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n20001\r\n*1\r\n$6\r\n120001\r\n".to_vec();
    // Two ports can be exchanged.
    translate(&mut answer, &[(20001, 30001), (30001, 20001)]);
    assert_eq!(answer, b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n30001\r\n*1\r\n$6\r\n120001\r\n");
}
