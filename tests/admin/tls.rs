//! TLS with files that may change at any time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use test_support::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Admin, open};

const REQUEST: &[u8] = b"GET /api/admin/runtime/health HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn certificate() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

struct Client {
    address: String,
    connector: TlsConnector,
}

impl Client {
    fn new(address: &str, trusted: &[&CertifiedKey<KeyPair>]) -> Self {
        let mut roots = RootCertStore::empty();
        for trusted in trusted {
            roots.add(trusted.cert.der().clone()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self { address: address.to_owned(), connector: TlsConnector::from(Arc::new(config)) }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        self.connector.connect(ServerName::try_from("localhost").unwrap(), stream).await
    }

    /// The certificate that the server presents to a new connection.
    async fn presented(&self) -> CertificateDer<'static> {
        let mut stream = self.connect().await.unwrap();
        request(&mut stream).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

async fn request(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(REQUEST).await.unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"}") {
        let mut buffer = [0; 1024];
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&buffer[..read]);
    }
    assert!(response.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&response));
}

fn write(files: [&Path; 2], pair: &CertifiedKey<KeyPair>) {
    std::fs::write(files[0], pair.cert.pem()).unwrap();
    std::fs::write(files[1], pair.signing_key.serialize_pem()).unwrap();
}

#[tokio::test]
async fn a_certificate_is_reloaded_without_a_failed_request() {
    let world = World::new().await;
    let (old, new) = (certificate(), certificate());
    let cert = world.write_file("tls.crt", &old.cert.pem());
    let key = world.write_file("tls.key", &old.signing_key.serialize_pem());
    let operator = open(&world)
        .env("ADMIN_TLS_CERT_FILE", cert.to_str().unwrap())
        .env("ADMIN_TLS_KEY_FILE", key.to_str().unwrap())
        .start()
        .await;
    let admin = Admin::of(&operator);
    let client = Arc::new(Client::new(admin.address(), &[&old, &new]));
    assert_eq!(client.presented().await, *old.cert.der());

    let (done, requests) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let flow = tokio::spawn({
        let (client, done, requests) = (Arc::clone(&client), Arc::clone(&done), Arc::clone(&requests));
        async move {
            let mut lasting = client.connect().await.unwrap();
            while !done.load(Ordering::SeqCst) {
                request(&mut lasting).await;
                request(&mut client.connect().await.unwrap()).await;
                requests.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    // A certificate without its key is not used, and the current one stays.
    std::fs::write(&cert, new.cert.pem()).unwrap();
    world
        .wait("the failed reload is logged", || async {
            let logged = operator.logs().contains("failed to reload admin certificate");
            if logged { Ok(()) } else { Err(String::new()) }
        })
        .await;
    assert_eq!(client.presented().await, *old.cert.der());

    write([&cert, &key], &new);
    world
        .wait("the new certificate is presented", || async {
            if client.presented().await == *new.cert.der() { Ok(()) } else { Err(String::new()) }
        })
        .await;
    let before = requests.load(Ordering::SeqCst);
    world
        .wait("requests continue", || async {
            if requests.load(Ordering::SeqCst) > before + 3 { Ok(()) } else { Err(String::new()) }
        })
        .await;
    done.store(true, Ordering::SeqCst);
    flow.await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn plain_http_and_an_untrusted_certificate_fail() {
    let world = World::new().await;
    let own = certificate();
    let cert = world.write_file("tls.crt", &own.cert.pem());
    let key = world.write_file("tls.key", &own.signing_key.serialize_pem());
    let operator = open(&world)
        .env("ADMIN_TLS_CERT_FILE", cert.to_str().unwrap())
        .env("ADMIN_TLS_KEY_FILE", key.to_str().unwrap())
        .start()
        .await;
    let admin = Admin::of(&operator);

    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("http://{}/api/admin/runtime/health", admin.address())).send().await.is_err());
    assert!(Client::new(admin.address(), &[&certificate()]).connect().await.is_err());
    assert_eq!(Client::new(admin.address(), &[&own]).presented().await, *own.cert.der());
    world.finish().await;
}
