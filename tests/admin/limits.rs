//! The limits of the admin server. It runs in the test's process, with short limits.

use std::time::Duration;

use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::{Access, AdminAuth, AdminSettings, Limits, Server};
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::{LabelValues, Metrics};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Admin, config, raw, read_all};

const DID: &str = "+15551234567";
const HEAD: &str =
    "POST /api/admin/runtime/dids/map HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
const SHORT: Duration = Duration::from_millis(300);

/// A server in the test's process.
pub struct Served {
    pub admin: Admin,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

pub async fn serve(redis: &Redis, access: Access, metrics: Metrics, limits: Limits) -> Served {
    let store = Store::new(RedisSettings::at(redis.url()));
    let settings = AdminSettings {
        addr: ([127, 0, 0, 1], 0).into(),
        enabled: true,
        allow_secret_read: false,
        auth: AdminAuth::None,
        tls: None,
    };
    let server = Server::bind(settings, access, store.unwrap(), metrics, limits).await.unwrap();
    let admin = Admin::at(format!("http://{}", server.address().unwrap()));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
    Served { admin, stop, task }
}

async fn served(limits: Limits) -> (Redis, Served) {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let served = serve(&redis, Access::Open, Metrics::new(&LabelValues::default()), limits).await;
    (redis, served)
}

#[tokio::test]
async fn an_incomplete_head_gets_408_and_an_idle_connection_is_closed() {
    let (_redis, served) = served(Limits { head: SHORT, ..Limits::default() }).await;
    let address = served.admin.address();

    let slow = raw(address, b"GET /api/admin/runtime/health HTTP/1.1\r\nhost").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.ends_with(r#"{"error":"request_timeout"}"#), "{slow}");
    assert_eq!(raw(address, b"").await, "");
    let idle = raw(address, b"GET /api/admin/runtime/health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.starts_with("HTTP/1.1 200 ") && !idle.contains("408"), "{idle}");
    served.stop().await;
}

#[tokio::test]
async fn a_paused_or_slow_body_gets_408() {
    let pause = Limits { body_pause: SHORT, ..Limits::default() };
    let drip = Limits { body: SHORT, ..Limits::default() };
    for (limits, drips) in [(pause, false), (drip, true)] {
        let (_redis, served) = served(limits).await;
        let mut stream = TcpStream::connect(served.admin.address()).await.unwrap();
        stream.write_all(format!("{HEAD}content-length: 10000\r\n\r\n{{").as_bytes()).await.unwrap();
        let (mut reading, mut writing) = stream.split();
        let drip = async {
            while drips && writing.write_all(b" ").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
            std::future::pending::<()>().await;
        };
        let response = tokio::select! {
            response = read_all(&mut reading) => response,
            () = drip => unreachable!(),
        };
        assert!(response.starts_with("HTTP/1.1 408 ") && response.contains("request_timeout"), "{response}");
        served.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let (_redis, served) = served(Limits { response_pause: SHORT, ..Limits::default() }).await;
    let mut large = config("acme", &[DID]);
    large["x"] = "p".repeat(8 << 20).into();
    served.admin.publish(&large).await.ok();
    let stream = TcpStream::connect(served.admin.address()).await.unwrap();
    let request = "GET /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = stream;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();

    // The stop does not wait for this connection.
    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();
    let got = read_all(&mut stream).await;
    assert!(got.len() < 8 << 20, "all of it came: {}", got.len());
}

#[tokio::test]
async fn a_too_large_head_gets_431() {
    let (_redis, served) = served(Limits::default()).await;
    let get = "GET /api/admin/runtime/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
    let large =
        raw(served.admin.address(), format!("{get}x: {}\r\n\r\n", "x".repeat(40_000)).as_bytes()).await;
    assert!(large.starts_with("HTTP/1.1 431 "), "{large}");
    let many = "x: x\r\n".repeat(120);
    let many = raw(served.admin.address(), format!("{get}{many}\r\n").as_bytes()).await;
    assert!(many.starts_with("HTTP/1.1 431 "), "{many}");
    let fits =
        raw(served.admin.address(), format!("{get}x: {}\r\n\r\n", "x".repeat(20_000)).as_bytes()).await;
    assert!(fits.starts_with("HTTP/1.1 200 "), "{fits}");
    for broken in ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nhost x\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n"] {
        let response = raw(served.admin.address(), broken.as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 400 "), "{broken:?}: {response}");
    }
    served.stop().await;
}

#[tokio::test]
async fn requests_and_bytes_beyond_the_limits_get_503_overloaded() {
    let few = Limits { requests: 1, ..Limits::default() };
    let little = Limits { body_bytes: 64 * 1024, ..Limits::default() };
    for (limits, size) in [(few, 100), (little, 60 * 1024)] {
        let (_redis, served) = served(limits).await;
        let admin = &served.admin;
        let mut stream = TcpStream::connect(admin.address()).await.unwrap();
        let head = format!("{HEAD}connection: close\r\ncontent-length: {size}\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        let padded = format!(r#"{{"didE164":"{DID}","tenantId":"acme"}}{}"#, " ".repeat(8000));

        // The server may not have read the first request yet.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
        let response = loop {
            let response = admin.post_text("/dids/map", padded.clone()).await;
            if response.status != 200 {
                break response;
            }
            assert!(tokio::time::Instant::now() < deadline, "never overloaded");
        };
        response.rejected(503, "overloaded");
        assert_eq!(response.headers["retry-after"], "1");

        // The first request completes, and its resources are free again.
        stream.write_all(format!("{}}}", " ".repeat(size - 2)).as_bytes()).await.unwrap();
        let response = read_all(&mut stream).await;
        assert!(response.contains("did_required"), "{response}");
        admin.post_text("/dids/map", padded).await.ok();
        served.stop().await;
    }
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_grace_period() {
    let (_redis, served) = served(Limits { stop: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(served.admin.address()).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
    served.admin.get("/health").await.ok();

    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();

    assert_eq!(read_all(&mut stream).await, "");
}
