//! A scrape of a running operator reports the events that happened.

use std::io::Write;
use std::process::{Command, Stdio};

use local_cluster::{RedisOptions, tools};
use test_support::{Operator, World, tenant};

/// An operator with every kind of certificate: TLS on the admin routes, and a Redis that requires a client certificate.
pub async fn tls_operator() -> (World, Operator) {
    let world = World::with_redis(RedisOptions::default().tls().client_certificates()).await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| world.write_file(name, text).to_str().unwrap().to_owned();
    let (cert, key) = (file("tls.crt", &made.cert.pem()), file("tls.key", &made.signing_key.serialize_pem()));
    let tls = world.redis().tls().unwrap().clone();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let operator = world
        .operator()
        .env("ENABLE_RUNTIME_ADMIN", "true")
        .env("RUNTIME_ADMIN_AUTH", "none")
        .env("ADMIN_TLS_CERT_FILE", cert)
        .env("ADMIN_TLS_KEY_FILE", key)
        .env("REDIS_CA_FILE", path(&tls.ca))
        .env("REDIS_CERT_FILE", path(&tls.cert))
        .env("REDIS_KEY_FILE", path(&tls.key))
        .start()
        .await;
    (world, operator)
}

/// Waits until the scrape has exactly this line.
async fn wait_line(world: &World, operator: &Operator, line: &str) {
    world
        .wait(line, || async {
            let text = operator.metrics().await;
            let name = line.split(['{', ' ']).next().unwrap();
            if text.lines().any(|is| is == line) {
                return Ok(());
            }
            Err(text.lines().filter(|is| is.starts_with(name)).collect::<Vec<_>>().join("\n"))
        })
        .await;
}

#[tokio::test]
async fn promtool_accepts_the_metrics_without_warnings() {
    let world = World::new().await;
    let operator = world.operator().env("ENABLE_RUNTIME_ADMIN", "true").start().await;
    let text = operator.metrics().await;

    let mut promtool = Command::new(tools::find("promtool").unwrap())
        .args(["check", "metrics", "--extended"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();

    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(format!("{}/metrics", operator.telemetry_url()));
    let response =
        request.header("accept", "application/openmetrics-text;version=1.0.0").send().await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    assert!(response.text().await.unwrap().ends_with("# EOF\n"));
    world.finish().await;
}

#[tokio::test]
async fn tenants_are_counted_by_condition_until_they_are_deleted() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("good").dids(["+15551231001", "+15551231002"])).await;
    world.apply(&tenant("secretless").dids(["+15551231003"]).without_secret()).await;
    let not_ready =
        |count: u8| format!("runtime_operator_tenants_not_ready{{reason=\"SecretNotFound\"}} {count}");

    wait_line(&world, &operator, "runtime_operator_tenants{condition=\"Ready\",status=\"True\"} 1").await;
    wait_line(&world, &operator, &not_ready(1)).await;
    wait_line(&world, &operator, "runtime_operator_tenants{condition=\"SecretResolved\",status=\"False\"} 1")
        .await;
    wait_line(&world, &operator, "runtime_operator_published_dids 2").await;

    world.delete("secretless").await;
    world.delete("good").await;
    wait_line(&world, &operator, &not_ready(0)).await;
    wait_line(&world, &operator, "runtime_operator_tenants{condition=\"Ready\",status=\"True\"} 0").await;
    wait_line(&world, &operator, "runtime_operator_published_dids 0").await;
    world.finish().await;
}

#[tokio::test]
async fn drift_is_counted_when_found_and_when_repaired() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids(["+15551232001"])).await;
    world.wait_ready("acme").await;
    world.exempt_all();
    wait_line(&world, &operator, "runtime_operator_drift_repaired_total 0").await;

    world.redis_cli(&["DEL", "tenantmap:did:+15551232001"]).await;
    wait_line(&world, &operator, "runtime_operator_drift_found_total{what=\"did\"} 1").await;
    wait_line(&world, &operator, "runtime_operator_drift_repaired_total 1").await;
    world.redis_cli(&["SET", "tenantcfg:acme", "{}"]).await;
    wait_line(&world, &operator, "runtime_operator_drift_found_total{what=\"config\"} 1").await;
    wait_line(&world, &operator, "runtime_operator_drift_repaired_total 2").await;

    world.redis_cli(&["FLUSHALL"]).await;
    wait_line(&world, &operator, "runtime_operator_full_resyncs_total{cause=\"Flushed\"} 1").await;
    wait_line(&world, &operator, "runtime_operator_drift_repaired_total 3").await;
    // A change by the owner is no drift.
    world.apply(&tenant("acme").dids(["+15551232002"])).await;
    world
        .wait("the new DID is published", || async {
            world.live("+15551232002").await.map(drop).ok_or_else(|| "it is not".to_owned())
        })
        .await;
    wait_line(&world, &operator, "runtime_operator_drift_repaired_total 3").await;
    world.close().await;
}

#[tokio::test]
async fn the_epoch_and_a_fenced_write_are_reported() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    wait_line(&world, &operator, "runtime_operator_leading 1").await;
    wait_line(&world, &operator, "runtime_operator_epoch 1").await;

    // Another process acquired the next epoch as the same writer.
    let writers: Vec<String> =
        redis::from_redis_value(world.redis_cli(&["HKEYS", "runtime-operator:epochs"]).await).unwrap();
    world.redis_cli(&["SET", "runtime-operator:epoch", "7"]).await;
    world.redis_cli(&["HSET", "runtime-operator:epochs", &writers[0], "7/another"]).await;
    world.apply(&tenant("acme").dids(["+15551233001"])).await;

    world.wait_ready("acme").await;
    world.wait_metric(&operator, "runtime_operator_epoch", 8.0).await;
    world.wait_metric(&operator, "runtime_operator_fenced_writes_total", 1.0).await;
    world.finish().await;
}

#[tokio::test]
async fn reconnects_and_round_trips_are_reported() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids(["+15551234001"])).await;
    world.wait_ready("acme").await;
    world.wait_metric(&operator, "runtime_operator_redis_round_trip_seconds_count", 1.0).await;
    world.wait_metric(&operator, "runtime_operator_reconcile_duration_seconds_count", 1.0).await;
    world.wait_metric(&operator, "runtime_operator_queue_wait_seconds_count", 2.0).await;

    world.redis().restart().await.unwrap();

    wait_line(
        &world,
        &operator,
        "runtime_operator_redis_connections_total{connection=\"tracking\",result=\"ok\"} 2",
    )
    .await;
    wait_line(&world, &operator, "runtime_operator_redis_up 1").await;
    wait_line(&world, &operator, "runtime_operator_queue_depth{queue=\"reconcile\"} 0").await;
    world.finish().await;
}
