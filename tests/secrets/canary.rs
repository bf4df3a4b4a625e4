//! Searches logs, metrics, events, statuses and probes for a secret that can be recognised.

use std::fmt::Write;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use local_cluster::RedisOptions;
use redis::aio::MultiplexedConnection;
use runtime_operator::api;
use serde_json::json;
use sha1::Digest;
use test_support::{Operator, World, tenant};

use super::{ONE, TWO, wait_published};

/// Returns the forms in which a secret may appear: as text, as the API server writes it, as bytes in a debug format, hashed.
fn shapes(secret: &str) -> Vec<String> {
    let base64 = serde_json::to_value(ByteString(secret.into())).unwrap();
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    };
    let bytes = format!("{:?}", secret.as_bytes());
    vec![
        secret.to_owned(),
        base64.as_str().unwrap().trim_end_matches('=').to_owned(),
        bytes.trim_matches(['[', ']']).to_owned(),
        hex(secret.as_bytes()),
        hex(&sha1::Sha1::digest(secret)),
        hex(&sha2::Sha256::digest(secret)),
    ]
}

/// Returns all outputs of the operator.
async fn outputs(world: &World, operator: &Operator) -> Vec<(&'static str, String)> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    let events = events.list(&ListParams::default()).await.unwrap();
    let tenants = world.tenants().list(&ListParams::default()).await.unwrap();
    let ready = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = ready.get(format!("{}/readyz", operator.telemetry_url())).send().await.unwrap();
    vec![
        ("a log", operator.logs()),
        ("a metric", operator.metrics().await),
        ("an event", serde_json::to_string(&events).unwrap()),
        ("a resource", serde_json::to_string(&tenants).unwrap()),
        ("the readiness probe", ready.text().await.unwrap()),
    ]
}

async fn assert_hidden(world: &World, operator: &Operator, secrets: &[String]) {
    for (place, text) in outputs(world, operator).await {
        for secret in secrets {
            for shape in shapes(secret) {
                let at = text.find(&shape).map(|at| text[..at].rsplit('\n').next().unwrap_or_default());
                assert!(at.is_none(), "{place} shows the secret as {shape:?}, after {at:?}");
            }
        }
    }
}

async fn run(connection: &mut MultiplexedConnection, command: &str) {
    let mut words = command.split(' ');
    let mut cmd = redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        cmd.arg(word);
    });
    cmd.exec_async(connection).await.unwrap();
}

#[tokio::test]
async fn no_secret_appears_in_logs_metrics_events_or_statuses() {
    let rules = ">pass ~* &* +@all";
    let world = World::with_redis(RedisOptions::default().user("operator", rules)).await;
    let canary = |of: &str| format!("canary-{of}-{}-Zq9", world.namespace());
    let secrets = ["found", "first", "second", "third", "fourth", "broken"].map(canary);
    let [found, first, second, third, fourth, broken] = &secrets;
    // A literal secret in the reference (as in older runtimes), and another one in the value.
    let old = json!({ "contractVersion": "v1", "tenantId": "acme", "dids": [ONE], "webhookSecretRef": found, "webhookSecret": found });
    world.set_key("tenantcfg:acme", old.to_string()).await;
    world.set_key(&format!("tenantmap:did:{ONE}"), "acme").await;
    let url = world.redis().bare_url().replacen("redis://", "redis://operator:pass@", 1);
    let operator = world.operator().env("REDIS_URL", url).env("RUST_LOG", "trace").start().await;

    // The adoption would replace the secret: it waits, and compares both.
    world.apply(&tenant("acme").dids([ONE]).secret(first)).await;
    world.wait_condition("acme", "Ready", "False", "AdoptionWouldChangeSecret").await;
    world.patch("acme", json!({ "metadata": { "annotations": { api::TAKE_OVER: "true" } } })).await;
    world.wait_ready("acme").await;
    world.apply_secret("acme-webhook", second).await;
    wait_published(&world, "acme", second).await;

    // Redis rejects the write that carries the value.
    let mut redis = world.connection().await;
    run(&mut redis, "ACL SETUSER operator -set").await;
    world.apply_secret("acme-webhook", third).await;
    wait_error(&world, &operator, "RedisNoPermission").await;
    run(&mut redis, "ACL SETUSER operator +set").await;
    wait_published(&world, "acme", third).await;
    run(&mut redis, "CONFIG SET maxmemory 1").await;
    world.apply(&tenant("acme").dids([ONE, TWO]).secret(fourth)).await;
    wait_error(&world, &operator, "RedisOutOfMemory").await;
    world.wait_event("acme", "PublishDelayed").await;
    run(&mut redis, "CONFIG SET maxmemory 0").await;
    wait_published(&world, "acme", fourth).await;

    // A value that is not UTF-8, and a value for a key that no tenant refers to.
    let bytes = ByteString([broken.as_bytes(), &[0xff]].concat());
    super::patch_secret(&world, "acme-webhook", json!({ "data": { "webhookSecret": bytes } })).await;
    world.wait_condition("acme", "Ready", "False", "SecretNotUtf8").await;

    assert!(operator.logs().contains(" TRACE "), "the log level is TRACE");
    assert_hidden(&world, &operator, &secrets).await;
    operator.stop().await.unwrap();
    let logs = operator.logs();
    assert!(!secrets.iter().any(|secret| logs.contains(&**secret)), "shown while it stopped");
    world.finish().await;
}

/// Waits until a reconcile has failed for a reason.
async fn wait_error(world: &World, operator: &Operator, reason: &str) {
    let label = format!("reason=\"{reason}\"");
    let check = || async {
        let metrics = operator.metrics().await;
        if metrics.lines().any(|line| line.contains(&label)) { Ok(()) } else { Err(metrics) }
    };
    world.wait(&format!("a reconcile fails for {reason}"), check).await;
}
