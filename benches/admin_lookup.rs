//! Compares lookups by DID with a bare warp route that does the same single GET: both in this process, alternately, under the
//! same load of 64 connections. `cargo bench --bench admin_lookup`; `SECONDS=60` sets the duration
//! of the last part, in which memory is watched.
// A bench fails by panicking, and counts less than 2^52.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::cast_precision_loss, missing_docs)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use local_cluster::{Redis, RedisOptions};
use runtime_operator::admin::limits::Limits;
use runtime_operator::admin::{Access, AdminAuth, AdminSettings, Server};
use runtime_operator::http::ListenAddress;
use runtime_operator::store::{RedisSettings, Store};
use runtime_operator::telemetry::{LabelValues, Metrics};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use warp::Filter;

const CONNECTIONS: usize = 64;
const NUMBERS: u64 = 10_000;
/// The duration of a round: short and alternating, so that other load of the machine affects both equally.
const SLICE: Duration = Duration::from_millis(500);
const SLICES: usize = 30;
/// The share of the bare route's rate that must be reached.
const GOAL: f64 = 0.8;

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes `--test`: there is nothing to test.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let mut connection = redis.connection().await.unwrap();
    for number in 0..NUMBERS {
        let key = format!("tenantmap:did:{}", did(number));
        let () = redis::cmd("SET").arg(key).arg("acme-dental").query_async(&mut connection).await.unwrap();
    }
    let admin = (admin(&redis), "/api/admin/runtime/dids/");
    let bare = (bare(&redis).await, "/bare/");
    for target in [admin, bare] {
        load(target, Duration::from_secs(1)).await;
    }

    let (mut ours, mut theirs) = (Measured::default(), Measured::default());
    for _ in 0..SLICES {
        ours.add(load(admin, SLICE).await);
        theirs.add(load(bare, SLICE).await);
    }
    for (what, measured) in [("admin", &ours), ("bare", &theirs)] {
        println!("{what:<5} {:>7.0} lookups a second, p99 {:.2} ms", measured.rate(), measured.p99());
    }
    let ratio = ours.rate() / theirs.rate();

    let seconds = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let before = rss();
    let long = load(admin, Duration::from_secs(seconds)).await;
    println!(
        "{seconds} s: {:.0} lookups a second, p99 {:.2} ms, RSS {:.1} -> {:.1} MB (of which the load generator keeps {:.1} \
         MB of samples)",
        long.rate(),
        long.p99(),
        before,
        rss(),
        long.took.len() as f64 * 4.0 / 1e6,
    );
    println!("ratio {ratio:.2}, goal {GOAL}: {}", if ratio >= GOAL { "met" } else { "missed" });
    std::process::exit(i32::from(ratio < GOAL));
}

fn did(number: u64) -> String {
    format!("+1555{number:07}")
}

fn admin(redis: &Redis) -> SocketAddr {
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
    let server = Server::bind(
        &settings,
        Access::Open,
        store.unwrap(),
        Metrics::new(&LabelValues::default()),
        Limits::default(),
    );
    let server = server.unwrap();
    let address = server.address().unwrap();
    tokio::spawn(server.serve(std::future::pending()));
    address
}

async fn bare(redis: &Redis) -> SocketAddr {
    let connection = redis.connection().await.unwrap();
    let route = warp::path!("bare" / String).and(warp::get()).then(move |did: String| {
        let mut connection = connection.clone();
        async move {
            let key = format!("tenantmap:did:{did}");
            let tenant: Option<String> =
                redis::cmd("GET").arg(key).query_async(&mut connection).await.unwrap();
            warp::reply::json(&serde_json::json!({ "didE164": did, "tenantId": tenant }))
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(warp::serve(route).incoming(listener).run());
    address
}

#[derive(Default)]
struct Measured {
    wall: Duration,
    /// Microseconds of each lookup.
    took: Vec<u32>,
}

impl Measured {
    fn add(&mut self, other: Self) {
        self.wall += other.wall;
        self.took.extend(other.took);
    }

    fn rate(&self) -> f64 {
        self.took.len() as f64 / self.wall.as_secs_f64()
    }

    /// Returns a percentile in milliseconds.
    fn p99(&self) -> f64 {
        let mut sorted = self.took.clone();
        sorted.sort_unstable();
        f64::from(sorted[sorted.len() * 99 / 100]) / 1000.0
    }
}

async fn load(target: (SocketAddr, &'static str), long: Duration) -> Measured {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS as u64 {
        clients.spawn(look_up(target, client, began + long));
    }
    let took = clients.join_all().await.concat();
    Measured { wall: began.elapsed(), took }
}

/// Runs one connection, one lookup after another.
async fn look_up((address, path): (SocketAddr, &'static str), client: u64, until: Instant) -> Vec<u32> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut took, mut buffer, mut number) = (Vec::new(), [0; 2048], client);
    while Instant::now() < until {
        number = (number * 6_364_136 + 1_442_695) % NUMBERS;
        let request = format!("GET {path}{} HTTP/1.1\r\nhost: bench\r\n\r\n", did(number));
        let asked = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        while !buffer[..read].ends_with(b"}") {
            read += stream.read(&mut buffer[read..]).await.unwrap();
        }
        assert!(buffer.starts_with(b"HTTP/1.1 200 ") && buffer[..read].ends_with(b"\"acme-dental\"}"));
        took.push(u32::try_from(asked.elapsed().as_micros()).unwrap());
    }
    took
}

/// Returns this process's resident memory in MB.
fn rss() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1000.0
}
