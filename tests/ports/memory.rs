//! The memory of the process under attack stays below the chart's limit.

use std::fmt::Write;

use serde_json::{Value, json};
use test_support::hostile::{connect_from, send_half};
use test_support::{Operator, TIMEOUT, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONFIG: &str = "/api/admin/runtime/tenants/acme/config";
/// The most memory that the process may ever have, in MB.
const LIMIT: u64 = 200;

async fn open(world: &World) -> Operator {
    world
        .operator()
        .env("ENABLE_RUNTIME_ADMIN", "true")
        .env("RUNTIME_ADMIN_AUTH", "none")
        .env("RUST_LOG", "info")
        .start()
        .await
}

/// The most memory that the process has had so far, in MB; `None` where `/proc` has none.
fn peak(operator: &Operator) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.id()?)).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}

#[track_caller]
fn stays_small(operator: &Operator, after: &str) {
    if let Some(peak) = peak(operator) {
        println!("peak after {after}: {peak} MB");
        assert!(peak < LIMIT, "{peak} MB after {after}");
    }
}

fn config() -> Value {
    let mut config: Value = serde_json::from_str(include_str!("../fixtures/tenant-kokoro.json")).unwrap();
    config["tenantId"] = json!("acme");
    config["dids"] = json!(["+15551234567"]);
    config
}

fn with_x(x: &str) -> String {
    let mut text = config().to_string();
    text.truncate(text.len() - 1);
    write!(text, ",\"x\":{x}}}").unwrap();
    text
}

async fn post(operator: &Operator, path: &str, body: String) -> u16 {
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
    let url = format!("{}{path}", operator.admin_url());
    let request = http.post(url).header("content-type", "application/json").body(body);
    request.send().await.unwrap().status().as_u16()
}

async fn first_line(mut stream: TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    let read = tokio::time::timeout(TIMEOUT, stream.read_exact(&mut line)).await.unwrap();
    read.map_or(String::new(), |_| String::from_utf8_lossy(&line).into_owned())
}

#[tokio::test]
async fn unread_responses_stay_bounded_and_others_are_answered() {
    let world = World::new().await;
    world.exempt_all();
    let operator = open(&world).await;
    let text = with_x(&format!("\"{}\"", "p".repeat(9_900_000)));
    assert_eq!(post(&operator, CONFIG, text).await, 200);
    let address = operator.admin_url().replace("http://", "");
    let request = format!("GET {CONFIG} HTTP/1.1\r\nhost: localhost\r\n\r\n");

    let unread = send_half(&address, 40, &request).await;
    // Each has a response by now, or the beginning of one.
    for stream in &unread {
        tokio::time::timeout(TIMEOUT, stream.readable()).await.unwrap().unwrap();
    }

    let lookup = "GET /api/admin/runtime/dids/+15550000000 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let other = first_line(connect_from([127, 0, 0, 2], &address).await.unwrap(), lookup).await;
    assert_eq!(other, "HTTP/1.1 404");
    stays_small(&operator, "40 unread responses of 9.9 MB");
    drop(unread);
    world.close().await;
}

#[tokio::test]
async fn bodies_of_many_tiny_values_stay_bounded() {
    let world = World::new().await;
    world.exempt_all();
    let operator = open(&world).await;
    let bomb = format!("[{}]", vec!["{\"\":0}"; 1_400_000].join(","));
    assert_eq!(post(&operator, "/api/admin/runtime/dids/map", bomb.clone()).await, 413);
    stays_small(&operator, "a bomb to /dids/map");
    assert_eq!(post(&operator, CONFIG, with_x(&bomb)).await, 413);
    world.set_key("tenantcfg:acme", with_x(&bomb)).await;
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
    let read = http.get(format!("{}{CONFIG}", operator.admin_url())).send().await.unwrap();
    assert_eq!(read.status(), 500);
    stays_small(&operator, "a bomb as a config");
    let posts = (0..12).map(|_| post(&operator, CONFIG, with_x(&format!("\"{}\"", "p".repeat(9_900_000)))));
    let statuses = futures::future::join_all(posts).await;
    assert!(
        statuses.contains(&200) && statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    stays_small(&operator, "12 concurrent bodies of 9.9 MB");
    world.close().await;
}

#[tokio::test]
async fn denied_requests_with_long_paths_leave_nothing_behind() {
    let world = World::new().await;
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUST_LOG", "info").start().await;
    let token = world.cluster().service_account_token(world.namespace(), "plain", &[]).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().unwrap();
    let before = peak(&operator);
    for round in 0..40 {
        let requests = (0..50).map(|number| {
            let long = "!".repeat(if number % 2 == 0 { 30_500 } else { 300 });
            let path = format!("/api/admin/runtime/tenants/{long}{round}-{number}/config");
            http.get(format!("{}{path}", operator.admin_url())).bearer_auth(&token).send()
        });
        for response in futures::future::join_all(requests).await {
            let status = response.unwrap().status().as_u16();
            assert!([400, 403].contains(&status), "{status}");
        }
    }
    if let (Some(before), Some(after)) = (before, peak(&operator)) {
        println!("peak before {before} MB, after {after} MB");
        assert!(after < before + 40, "{before} MB before, {after} MB after");
    }
    world.finish().await;
}
