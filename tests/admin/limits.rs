//! Clients that take more than they should: too long, too much, too many at once. The server runs in the test, so that
//! its limits can be short.

use std::time::Duration;

use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::{Access, Limits, Server};
use runtime_operator::settings::{AdminAuth, AdminSettings};
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::Metrics;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Admin, config, raw, read_all};

const DID: &str = "+15551234567";
const HEAD: &str =
    "POST /api/admin/runtime/dids/map HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
const SHORT: Duration = Duration::from_millis(300);

/// A server of this test.
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
    let served = serve(&redis, Access::Open, Metrics::default(), limits).await;
    (redis, served)
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_408_and_a_silent_connection_ends() {
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
async fn a_body_that_pauses_or_drips_is_answered_408() {
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
        let answer = tokio::select! {
            answer = read_all(&mut reading) => answer,
            () = drip => unreachable!(),
        };
        assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("request_timeout"), "{answer}");
        served.stop().await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_of_its_answer_is_cut_off() {
    let (_redis, served) = served(Limits { answer_pause: SHORT, ..Limits::default() }).await;
    let mut large = config("acme", &[DID]);
    large["x"] = "p".repeat(8 << 20).into();
    served.admin.publish(&large).await.ok();
    let stream = TcpStream::connect(served.admin.address()).await.unwrap();
    let asked = "GET /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stream = stream;
    stream.write_all(asked.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();

    // It stops in a moment: nothing of this connection is waited for.
    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();
    let got = read_all(&mut stream).await;
    assert!(got.len() < 8 << 20, "all of it came: {}", got.len());
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
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
        let answer = raw(served.admin.address(), broken.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{broken:?}: {answer}");
    }
    served.stop().await;
}

#[tokio::test]
async fn more_requests_or_bytes_at_once_than_are_served_are_told_to_come_again() {
    let few = Limits { requests: 1, ..Limits::default() };
    let little = Limits { body_bytes: 64 * 1024, ..Limits::default() };
    for (limits, size) in [(few, 100), (little, 60 * 1024)] {
        let (_redis, served) = served(limits).await;
        let admin = &served.admin;
        let mut stream = TcpStream::connect(admin.address()).await.unwrap();
        let head = format!("{HEAD}connection: close\r\ncontent-length: {size}\r\n\r\n{{");
        stream.write_all(head.as_bytes()).await.unwrap();
        let padded = format!(r#"{{"didE164":"{DID}","tenantId":"acme"}}{}"#, " ".repeat(8000));

        // The first request may not have been looked at yet.
        let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
        let answer = loop {
            let answer = admin.post_text("/dids/map", padded.clone()).await;
            if answer.status != 200 {
                break answer;
            }
            assert!(tokio::time::Instant::now() < deadline, "never overloaded");
        };
        answer.refused(503, "overloaded");
        assert_eq!(answer.headers["retry-after"], "1");

        // What was served first is finished, and makes room.
        stream.write_all(format!("{}}}", " ".repeat(size - 2)).as_bytes()).await.unwrap();
        let answer = read_all(&mut stream).await;
        assert!(answer.contains("did_required"), "{answer}");
        admin.post_text("/dids/map", padded).await.ok();
        served.stop().await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_no_longer_than_it_may() {
    let (_redis, served) = served(Limits { stop: SHORT, ..Limits::default() }).await;
    let mut stream = TcpStream::connect(served.admin.address()).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
    served.admin.get("/health").await.ok();

    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();

    assert_eq!(read_all(&mut stream).await, "");
}
