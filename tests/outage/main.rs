//! Outages: published keys stay, whatever is unavailable; only affected tenants get an event; pending changes are published
//! afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod cluster;
mod credentials;
mod eviction;
mod failover;
mod nat;
mod refusals;
mod truth;
mod watches;

use std::process::Command;

use local_cluster::{Error, Port, RedisOptions};
use serde_json::json;
use test_support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const REDIS_UP: &str = "runtime_operator_redis_up";

/// Publishes three tenants: `t0`, `t1` and `t2`.
async fn apply_three(world: &World) {
    for n in 0..3 {
        world.apply(&tenant(&format!("t{n}")).dids([format!("+1555000000{n}").as_str()])).await;
    }
    for n in 0..3 {
        world.wait_ready(&format!("t{n}")).await;
        world.wait_event(&format!("t{n}"), "Published").await;
    }
}

async fn versions(world: &World) -> Vec<Option<String>> {
    vec![world.version("t0").await, world.version("t1").await, world.version("t2").await]
}

/// Returns the events about `t1` and `t2`, each with its count.
async fn others_events(world: &World) -> Vec<(String, String)> {
    let mut events = world.events("t1").await;
    events.extend(world.events("t2").await);
    events.sort();
    events
}

async fn wait_sick(world: &World, operator: &Operator, why: &str) {
    world.wait_not_ready(operator, why).await;
    assert!(operator.metric(REDIS_UP).await < 0.5);
    assert_eq!(operator.probe("livez").await.unwrap().0, 200, "a restart would change nothing");
}

async fn wait_well(world: &World, operator: &Operator) {
    world.wait_operator_ready(operator).await;
    world.wait_metric(operator, REDIS_UP, 1.0).await;
}

/// Edits `t0` during an outage of Redis: only it gets an event, one, and its status is the only one that is written; afterwards it is published.
async fn edit_during_an_outage(world: &World, operator: &Operator, why: &str, end: impl AsyncFnOnce()) {
    let (before, events) = (versions(world).await, others_events(world).await);
    wait_sick(world, operator, why).await;
    world.patch("t0", json!({ "spec": { "dids": [OTHER] } })).await;
    let message = world.wait_event("t0", "PublishDelayed").await;
    assert!(message.contains(why), "{message}");
    assert_eq!(versions(world).await[1..], before[1..]);
    assert_eq!(world.status("t0").await["observedGeneration"], 2, "the status is about the edit");

    end().await;

    wait_well(world, operator).await;
    world.wait_ready("t0").await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("t0"));
    assert_eq!(world.live("+15550000000").await, None);
    assert_eq!(versions(world).await[1..], before[1..]);
    assert_eq!(others_events(world).await, events);
    assert_eq!(world.event_count("t0", "PublishDelayed").await, 1);
}

#[tokio::test]
async fn a_start_without_redis_is_not_ready_and_reports_why() {
    let world = World::new().await;
    let earlier = world.operator().start().await;
    apply_three(&world).await;
    earlier.stop().await.unwrap();
    let (before, events) = (versions(&world).await, others_events(&world).await);
    world.redis().kill().await.unwrap();

    let operator = world.operator().spawn().await;
    wait_sick(&world, &operator, &world.redis().address()).await;
    world.apply(&tenant("new").dids([DID])).await;

    let message = world.wait_condition("new", "Ready", "Unknown", "RedisUnreachable").await;
    assert!(
        message.starts_with("Redis can't be reached") && message.ends_with("; nothing is live"),
        "{message}"
    );
    let message = world.wait_event("new", "PublishDelayed").await;
    assert!(message.contains("Redis can't be reached"), "{message}");
    assert_eq!(versions(&world).await, before, "the published tenants are not reported as failed");
    world.redis().restart().await.unwrap();
    wait_well(&world, &operator).await;
    world.wait_ready("new").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("new"));
    assert_eq!(world.event_count("new", "PublishDelayed").await, 1);
    assert_eq!(versions(&world).await, before);
    assert_eq!(others_events(&world).await, events);
    world.finish().await;
}

#[tokio::test]
async fn a_redis_restart_with_data_costs_only_pending_changes() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    world.redis().kill().await.unwrap();
    edit_during_an_outage(&world, &operator, "Redis can't be reached", async || {
        world.redis().restart().await.unwrap();
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_hanging_redis_costs_only_pending_changes() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    world.redis().freeze().await.unwrap();
    // Only the API server is read here: Redis hangs.
    edit_during_an_outage(&world, &operator, "Redis did not reply in time", async || {
        world.redis().thaw().unwrap();
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn after_an_outage_only_changes_are_published_and_each_once() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    for n in 0..6 {
        world.apply(&tenant(&format!("t{n}")).dids([format!("+1555000000{n}").as_str()])).await;
    }
    for n in 0..6 {
        world.wait_ready(&format!("t{n}")).await;
    }
    let mut journal = world.journal().await;
    world.redis().freeze().await.unwrap();
    wait_sick(&world, &operator, "Redis did not reply in time").await;

    for n in 0..4 {
        let did = format!("+1555000001{n}");
        world.patch(&format!("t{n}"), json!({ "spec": { "dids": [did] } })).await;
    }
    world.apply_secret("t4-webhook", "rotated").await;
    for n in 0..5 {
        let message = world.wait_event(&format!("t{n}"), "PublishDelayed").await;
        assert!(message.contains("Redis did not reply in time"), "{message}");
    }
    world.redis().thaw().unwrap();

    wait_well(&world, &operator).await;
    for n in 0..4 {
        world.wait_live(&format!("+1555000001{n}"), Some(&format!("t{n}"))).await;
        world.wait_ready(&format!("t{n}")).await;
    }
    world.wait_event("t4", "SecretRotated").await;
    let writes = journal.writes().await;
    for n in 0..6 {
        let key = format!("tenantcfg:t{n}");
        let times = writes.iter().filter(|(of, _)| *of == key).count();
        assert_eq!(times, usize::from(n < 5), "{key}: {writes:?}");
    }
    assert_eq!(world.event_count("t5", "PublishDelayed").await, 0, "it had no pending change");
    world.finish().await;
}

#[tokio::test]
async fn a_redis_that_restarts_empty_is_refilled() {
    let world = World::with_redis(RedisOptions::default().in_memory()).await;
    let operator = world.operator().start().await;
    apply_three(&world).await;
    let config = world.config_text("t1").await;

    world.redis().restart().await.unwrap();

    for n in 0..3 {
        world.wait_live(&format!("+1555000000{n}"), Some(&format!("t{n}"))).await;
    }
    assert_eq!(world.config_text("t1").await, config);
    assert_eq!(world.keys("runtime-operator:tenant:*").await.len(), 3);
    wait_well(&world, &operator).await;
    for n in 0..3 {
        world.wait_ready(&format!("t{n}")).await;
        assert_eq!(
            world.event_count(&format!("t{n}"), "PublishDelayed").await,
            0,
            "it had no pending change"
        );
    }
    world.apply(&tenant("new").dids([DID])).await;
    world.wait_ready("new").await;
    world.finish().await;
}

#[tokio::test]
async fn an_outage_of_the_api_server_unpublishes_nothing() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;
    let number = world.record_mapping("+15550000000").await;
    let (before, config) = (versions(&world).await, world.config_text("t0").await);
    world.reset_commands().await;

    world.cluster().api_server().kill().await.unwrap();
    world
        .wait("the operator notices the outage", || async {
            if operator.logs().contains("watch interrupted; retrying") {
                Ok(())
            } else {
                Err(operator.log_tail())
            }
        })
        .await;
    assert_eq!(operator.probe("livez").await.unwrap().0, 200);
    world.cluster().api_server().restart().await.unwrap();

    assert_eq!(world.writes().await, 0);
    assert_eq!(world.config_text("t0").await, config);
    assert_eq!(versions(&world).await, before);
    world.patch("t1", json!({ "spec": { "dids": [DID] } })).await;
    world.apply_secret("t2-webhook", "rotated").await;
    world.delete("t0").await;
    world.wait_ready("t1").await;
    world.wait_event("t2", "SecretRotated").await;
    world.wait_deleted("t0").await;
    assert_eq!(number.finish().await, [Some("t0".into()), None]);
    world.finish().await;
}

#[tokio::test]
async fn a_wrong_password_is_reported_and_corrected_without_a_restart() {
    let world = World::with_redis(RedisOptions::default().password("right")).await;
    let file = world.write_file("password", "wrong");
    let builder = world.operator().env("REDIS_URL", world.redis().bare_url());
    let operator = builder.env("REDIS_PASSWORD_FILE", file.to_str().unwrap()).spawn().await;
    let why = world.wait_not_ready(&operator, "rejected the user or password").await;
    assert!(!why.contains("wrong"), "{why}");

    world.write_file("password", "right");

    wait_well(&world, &operator).await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_missing_permission_is_reported_by_name() {
    let options = RedisOptions::default().user("operator", ">secret ~* &* +@all -incr -set");
    let world = World::with_redis(options).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).spawn().await;
    let why = world.wait_not_ready(&operator, "NOPERM").await;
    assert!(why.contains("incr"), "{why}");
    world.redis_cli(&["ACL", "SETUSER", "operator", "+incr"]).await;
    wait_well(&world, &operator).await;

    world.apply(&tenant("acme").dids([DID])).await;
    let message = world.wait_event("acme", "PublishDelayed").await;
    assert!(message.contains("NOPERM") && message.contains("set"), "{message}");
    world.redis_cli(&["ACL", "SETUSER", "operator", "+set"]).await;

    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_read_only_replica_is_reported() {
    let world = World::new().await;
    world.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]).await;

    let operator = world.operator().spawn().await;

    world.wait_not_ready(&operator, "read-only replica").await;
    world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
    wait_well(&world, &operator).await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
    world.patch("acme", json!({ "spec": { "dids": [OTHER] } })).await;
    let message = world.wait_event("acme", "PublishDelayed").await;
    assert!(message.contains("read-only replica"), "{message}");
    world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn out_of_memory_is_reported_and_unpublishes_nothing() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "1"]).await;

    world.apply(&tenant("beta").dids([OTHER])).await;

    let message = world.wait_event("beta", "PublishDelayed").await;
    assert!(message.contains("out of memory") && message.contains("maxmemory"), "{message}");
    world.wait_condition("beta", "Ready", "Unknown", "RedisOutOfMemory").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    world.wait_ready("beta").await;
    world.finish().await;
}

#[tokio::test]
async fn redis_cluster_mode_is_rejected_at_start() {
    // The cluster bus would use the port 10,000 above, which another process may use.
    let nodes = Port::reserve().unwrap();
    let options = RedisOptions::default().set("cluster-enabled", "yes");
    let world = World::with_redis(options.set("cluster-port", &nodes.number().to_string())).await;

    let ended = world.operator().try_start().await.err().unwrap();

    let Error::EndedEarly { status, log, .. } = ended else { panic!("{ended}") };
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("cluster mode") && log.contains("cluster-enabled no"), "{log}");
    world.finish().await;
}

#[test]
fn invalid_settings_are_reported_together_by_flag_and_variable() {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    operator.arg("run").env_clear();
    operator
        .args(["--leader-elect", "perhaps"])
        .env("ADMIN_ADDR", "8080")
        .env("ENABLE_RUNTIME_ADMIN", "true");
    operator.env("WATCH_NAMESPACES", "good,Not_good").env("REDIS_SENTINEL", "sentinel:26379");

    let output = operator.output().unwrap();

    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    for (flag, variable) in [
        ("--redis-url", "REDIS_URL"),
        ("--leader-elect", "LEADER_ELECT"),
        ("--admin-addr", "ADMIN_ADDR"),
        ("--watch-namespaces", "WATCH_NAMESPACES"),
        ("--redis-sentinel-service", "REDIS_SENTINEL_SERVICE"),
    ] {
        let line = message.lines().find(|line| line.contains(flag) && line.contains(variable));
        assert!(line.is_some(), "{flag} ({variable}) is not reported: {message}");
    }
    assert!(message.contains("ENABLE_RUNTIME_ADMIN"), "the reason for needing Redis: {message}");
}

#[test]
fn an_invalid_url_is_reported_without_its_password() {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    operator.arg("run").env_clear().env("REDIS_URL", "http://user:hunter2@redis");

    let output = operator.output().unwrap();

    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("REDIS_URL") && !message.contains("hunter2"), "{message}");
}
