//! The limits of the admin server. It runs in the test's process, with short limits.

use std::time::Duration;

use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::limits::{Limits, MAX_STORED_BYTES};
use runtime_operator::admin::{Access, AdminAuth, AdminSettings, Server};
use runtime_operator::http::{ConnectionLimits, ListenAddress};
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::{LabelValues, Metrics};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Admin, PREFIX, config, raw, read_all};

const DID: &str = "+15551234567";
const HEAD: &str =
    "POST /api/admin/runtime/dids/map HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
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
        addr: ListenAddress::One(([127, 0, 0, 1], 0).into()),
        enabled: true,
        allow_secret_read: false,
        auth: AdminAuth::None,
        key_file: None,
        origins: Vec::new(),
        tls: None,
    };
    let server = Server::bind(&settings, access, store.unwrap(), metrics, limits).unwrap();
    let admin = Admin::at(format!("http://{}", server.address().unwrap()));
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.serve(async { stopped.await.unwrap_or_default() }));
    Served { admin, stop, task }
}

/// The default limits, but for connections.
fn with_connections(change: impl FnOnce(&mut ConnectionLimits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits.connections);
    limits
}

async fn served(limits: Limits) -> (Redis, Served) {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let served = serve(&redis, Access::Open, Metrics::new(&LabelValues::default()), limits).await;
    (redis, served)
}

#[tokio::test]
async fn an_incomplete_head_gets_408_and_an_idle_connection_is_closed() {
    let (_redis, served) = served(with_connections(|limits| limits.head = SHORT)).await;
    let address = served.admin.address();

    let slow = raw(address, b"GET /api/admin/runtime/health HTTP/1.1\r\nhost").await;
    assert!(slow.starts_with("HTTP/1.1 408 ") && slow.ends_with(r#"{"error":"request_timeout"}"#), "{slow}");
    assert_eq!(raw(address, b"").await, "");
    let idle = raw(address, b"GET /api/admin/runtime/health HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
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
    let (_redis, served) = served(with_connections(|limits| limits.answer_pause = SHORT)).await;
    let mut large = config("acme", &[DID]);
    large["x"] = "p".repeat(8 << 20).into();
    served.admin.publish(&large).await.ok();
    let stream = TcpStream::connect(served.admin.address()).await.unwrap();
    let request = "GET /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: localhost\r\n\r\n";
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
    let get = "GET /api/admin/runtime/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
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
    let per_peer = Limits { body_bytes_per_peer: 64 * 1024, ..Limits::default() };
    for (limits, size) in [(few, 100), (little, 60 * 1024), (per_peer, 60 * 1024)] {
        let (_redis, served) = served(limits).await;
        let admin = &served.admin;
        let mut stream = TcpStream::connect(admin.address()).await.unwrap();
        let head = format!("{HEAD}connection: close\r\ncontent-length: {size}\r\n\r\n");
        // Only bytes that were sent count.
        let most = format!("{{{}", " ".repeat(size - 2));
        stream.write_all(format!("{head}{most}").as_bytes()).await.unwrap();
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
        stream.write_all(b"}").await.unwrap();
        let response = read_all(&mut stream).await;
        assert!(response.contains("did_required"), "{response}");
        admin.post_text("/dids/map", padded).await.ok();
        served.stop().await;
    }
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_grace_period() {
    let (_redis, served) = served(with_connections(|limits| limits.stop = SHORT)).await;
    let mut stream = TcpStream::connect(served.admin.address()).await.unwrap();
    stream.write_all(format!("{HEAD}content-length: 10\r\n\r\n{{").as_bytes()).await.unwrap();
    served.admin.get("/health").await.ok();

    tokio::time::timeout(Duration::from_secs(60), served.stop()).await.unwrap();

    assert_eq!(read_all(&mut stream).await, "");
}

#[tokio::test]
async fn an_announced_body_takes_no_room_until_it_is_sent() {
    let (_redis, served) = served(Limits { body_bytes: 128 * 1024, ..Limits::default() }).await;
    let mut announced = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(served.admin.address()).await.unwrap();
        let head = "POST /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{";
        stream.write_all(head.as_bytes()).await.unwrap();
        announced.push(stream);
    }
    served.admin.publish(&config("acme", &[DID])).await.ok();
    drop(announced);
    served.stop().await;
}

#[tokio::test]
async fn bodies_of_map_and_unmap_are_small_and_only_two_members_of_them_count() {
    let (_redis, served) = served(Limits::default()).await;
    let large = format!(r#"{{"didE164":"{DID}","tenantId":"acme","x":"{}"}}"#, "x".repeat(70_000));
    for path in ["/dids/map", "/dids/unmap"] {
        served.admin.post_text(path, large.clone()).await.rejected(413, "payload_too_large");
        let bomb = format!("[{}]", vec!["{\"\":0}"; 9_000].join(","));
        served.admin.post_text(path, bomb).await.rejected(400, "did_required");
    }
    let other = r#"{"x":[{"":0}],"didE164":"+1 555 123 4567","tenantId":" acme ","didE164":"+15551234567"}"#;
    served.admin.post_text("/dids/map", other).await.ok();
    assert_eq!(served.admin.get(&format!("/dids/{DID}")).await.ok()["tenantId"], "acme");
    served.stop().await;
}

#[tokio::test]
async fn a_config_of_too_many_values_is_neither_stored_nor_read() {
    let (redis, served) = served(Limits::default()).await;
    let mut dense = config("acme", &[DID]).to_string();
    dense.truncate(dense.len() - 1);
    let dense = format!("{dense},\"x\":[{}]}}", vec!["{\"\":0}"; 400_000].join(","));
    served.admin.post_text("/tenants/acme/config", dense.clone()).await.rejected(413, "payload_too_large");
    let mut connection = redis.client().unwrap().get_multiplexed_async_connection().await.unwrap();
    let set: String =
        redis::cmd("SET").arg("tenantcfg:acme").arg(dense).query_async(&mut connection).await.unwrap();
    assert_eq!(set, "OK");
    served.admin.get("/tenants/acme/config").await.rejected(500, "runtime_config_read_failed");
    served.stop().await;
}

#[tokio::test]
async fn a_stored_config_above_the_limit_is_not_read() {
    let (redis, served) = served(Limits::default()).await;
    let mut connection = redis.client().unwrap().get_multiplexed_async_connection().await.unwrap();
    let large = "x".repeat(MAX_STORED_BYTES + 1);
    let set: String =
        redis::cmd("SET").arg("tenantcfg:acme").arg(large).query_async(&mut connection).await.unwrap();
    assert_eq!(set, "OK");
    let rejected = served.admin.get("/tenants/acme/config").await.rejected(500, "runtime_config_read_failed");
    assert!(rejected["message"].as_str().unwrap().contains("bytes"), "{rejected}");
    served.stop().await;
}

#[tokio::test]
async fn a_response_counts_until_it_is_sent() {
    let limits =
        Limits { answer_bytes: 5 << 20, ..with_connections(|limits| limits.answer_pause = 10 * SHORT) };
    let (_redis, served) = served(limits).await;
    let mut large = config("acme", &[DID]);
    large["x"] = "p".repeat(4 << 20).into();
    served.admin.publish(&large).await.ok();
    let path = "/tenants/acme/config";
    served.admin.get(path).await.ok();

    let unread = test_support::hostile::ask_and_read_nothing(
        served.admin.address(),
        &format!("GET {PREFIX}{path} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
    )
    .await;
    let response = served.admin.get(path).await;
    response.rejected(503, "overloaded");
    // Small responses go on.
    served.admin.get("/dids/+15551234567").await.rejected(404, "did_unmapped");

    // The client that does not read is disconnected in the end, and its part is free again.
    test_support::eventually("the response is free", Duration::from_secs(90), || async {
        served.admin.get(path).await.status == 200
    })
    .await;
    drop(unread);
    served.stop().await;
}

#[tokio::test]
async fn half_heads_of_one_peer_give_way_to_its_next_request() {
    let (_redis, served) = served(with_connections(|limits| limits.connections_per_peer = 10)).await;
    let half = "GET /api/admin/runtime/health HTTP/1.1\r\nhost";
    let halves = test_support::hostile::send_half(served.admin.address(), 50, half).await;
    served.admin.get("/health").await.ok();
    test_support::eventually("the others are closed", Duration::from_secs(90), || async {
        test_support::hostile::still_open(&halves).await <= 10
    })
    .await;
    served.stop().await;
}

#[tokio::test]
async fn a_peer_with_requests_in_flight_on_all_its_connections_is_refused_more() {
    let (_redis, served) = served(with_connections(|limits| limits.connections_per_peer = 3)).await;
    let half = format!("{HEAD}expect: 100-continue\r\ncontent-length: 10\r\n\r\n");
    let halves = test_support::hostile::send_half(served.admin.address(), 3, &half).await;
    for half in &halves {
        // The server waits for the body.
        half.readable().await.unwrap();
    }
    assert_eq!(raw(served.admin.address(), b"").await, "");
    assert_eq!(test_support::hostile::still_open(&halves).await, 3);
    drop(halves);
    test_support::eventually("the slots are free", Duration::from_secs(90), || async {
        raw(
            served.admin.address(),
            b"GET /api/admin/runtime/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        )
        .await
        .starts_with("HTTP/1.1 200 ")
    })
    .await;
    served.stop().await;
}
