//! Outages: whatever is away, what is published stays; who has to know is told, and nobody else; all is caught up once
//! it is back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod failover;
mod refusals;

use std::process::Command;

use local_cluster::{Error, Port, RedisOptions};
use serde_json::json;
use support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const REDIS_UP: &str = "runtime_operator_redis_up";

/// Three tenants that are live: `t0`, `t1` and `t2`.
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

/// Each as often as it was told, of `t1` and `t2`.
async fn others_events(world: &World) -> Vec<(String, String)> {
    let mut events = world.events("t1").await;
    events.extend(world.events("t2").await);
    events.sort();
    events
}

async fn wait_sick(world: &World, operator: &Operator, why: &str) {
    world.wait_not_ready(operator, why).await;
    assert!(operator.metric(REDIS_UP).await < 0.5);
    assert_eq!(operator.probe("livez").await.unwrap().0, 200, "a restart would not help");
}

async fn wait_well(world: &World, operator: &Operator) {
    world.wait_operator_ready(operator).await;
    world.wait_metric(operator, REDIS_UP, 1.0).await;
}

/// An outage of Redis in which `t0` is edited: it alone is told, once; nothing is written to any; then it is caught up.
async fn edit_during_an_outage(world: &World, operator: &Operator, why: &str, end: impl AsyncFnOnce()) {
    let (before, events) = (versions(world).await, others_events(world).await);
    wait_sick(world, operator, why).await;
    world.patch("t0", json!({ "spec": { "dids": [OTHER] } })).await;
    let told = world.wait_event("t0", "PublishWaits").await;
    assert!(told.contains(why), "{told}");
    assert_eq!(versions(world).await[1..], before[1..]);
    assert_eq!(world.status("t0").await["observedGeneration"], 1, "nobody has dealt with the edit");

    end().await;

    wait_well(world, operator).await;
    world.wait_ready("t0").await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("t0"));
    assert_eq!(world.live("+15550000000").await, None);
    assert_eq!(versions(world).await[1..], before[1..]);
    assert_eq!(others_events(world).await, events);
    assert_eq!(world.told("t0", "PublishWaits").await, 1);
}

#[tokio::test]
async fn without_redis_at_start_it_comes_up_and_says_why_it_is_not_ready() {
    let world = World::new().await;
    let earlier = world.operator().start().await;
    apply_three(&world).await;
    earlier.stop().await.unwrap();
    let (before, events) = (versions(&world).await, others_events(&world).await);
    world.redis().kill().await.unwrap();

    let operator = world.operator().spawn().await;
    wait_sick(&world, &operator, &world.redis().address()).await;
    world.apply(&tenant("new").dids([DID])).await;

    let message = world.wait_condition("new", "Ready", "Unknown", "RedisUnavailable").await;
    assert!(message.contains("Redis"), "{message}");
    let told = world.wait_event("new", "PublishWaits").await;
    assert!(told.contains("Redis can't be reached"), "{told}");
    assert_eq!(versions(&world).await, before, "what was live is, as far as anybody knows");
    world.redis().restart().await.unwrap();
    wait_well(&world, &operator).await;
    world.wait_ready("new").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("new"));
    assert_eq!(world.told("new", "PublishWaits").await, 1);
    assert_eq!(versions(&world).await, before);
    assert_eq!(others_events(&world).await, events);
    world.finish().await;
}

#[tokio::test]
async fn redis_that_ends_and_comes_back_with_its_data_costs_no_write_but_what_was_to_change() {
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
async fn redis_that_hangs_and_goes_on_costs_no_write_but_what_was_to_change() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    world.redis().freeze().await.unwrap();
    // What there is to see is asked of the API server: Redis answers nobody.
    edit_during_an_outage(&world, &operator, "Redis did not answer in time", async || {
        world.redis().thaw().unwrap();
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn after_an_outage_each_change_is_published_once_and_nothing_else_is() {
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
    wait_sick(&world, &operator, "Redis did not answer in time").await;

    for n in 0..4 {
        let did = format!("+1555000001{n}");
        world.patch(&format!("t{n}"), json!({ "spec": { "dids": [did] } })).await;
    }
    world.apply_secret("t4-webhook", "rotated").await;
    for n in 0..5 {
        let told = world.wait_event(&format!("t{n}"), "PublishWaits").await;
        assert!(told.contains("Redis did not answer in time"), "{told}");
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
    assert_eq!(world.told("t5", "PublishWaits").await, 0, "nothing of it was to change");
    world.finish().await;
}

#[tokio::test]
async fn redis_that_comes_back_empty_is_filled_again() {
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
        assert_eq!(world.told(&format!("t{n}"), "PublishWaits").await, 0, "nobody had to wait for it");
    }
    world.apply(&tenant("new").dids([DID])).await;
    world.wait_ready("new").await;
    world.finish().await;
}

#[tokio::test]
async fn without_the_api_server_what_is_published_stays_and_then_it_goes_on() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;
    let number = world.follow("+15550000000").await;
    let (before, config) = (versions(&world).await, world.config_text("t0").await);
    world.reset_commands().await;

    world.cluster().api_server().kill().await.unwrap();
    world
        .wait("the operator notices", || async {
            if operator.logs().contains("the watch is interrupted") {
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
    world.wait_gone("t0").await;
    assert_eq!(number.seen().await, [Some("t0".into()), None]);
    world.finish().await;
}

#[tokio::test]
async fn a_wrong_password_is_named_and_one_that_is_put_right_needs_no_restart() {
    let world = World::with_redis(RedisOptions::default().password("right")).await;
    let file = world.write_file("password", "wrong");
    let builder = world.operator().env("REDIS_URL", world.redis().bare_url());
    let operator = builder.env("REDIS_PASSWORD_FILE", file.to_str().unwrap()).spawn().await;
    let why = world.wait_not_ready(&operator, "refuses the user or password").await;
    assert!(!why.contains("wrong"), "{why}");

    world.write_file("password", "right");

    wait_well(&world, &operator).await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_missing_permission_is_named_with_what_is_missing() {
    let options = RedisOptions::default().user("operator", ">secret ~* &* +@all -incr -set");
    let world = World::with_redis(options).await;
    let url = format!("redis://operator:secret@{}/0", world.redis().address());
    let operator = world.operator().env("REDIS_URL", url).spawn().await;
    let why = world.wait_not_ready(&operator, "NOPERM").await;
    assert!(why.contains("incr"), "{why}");
    world.redis_cli(&["ACL", "SETUSER", "operator", "+incr"]).await;
    wait_well(&world, &operator).await;

    world.apply(&tenant("acme").dids([DID])).await;
    let told = world.wait_event("acme", "PublishWaits").await;
    assert!(told.contains("NOPERM") && told.contains("set"), "{told}");
    world.redis_cli(&["ACL", "SETUSER", "operator", "+set"]).await;

    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_read_only_replica_is_named() {
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
    let told = world.wait_event("acme", "PublishWaits").await;
    assert!(told.contains("read-only replica"), "{told}");
    world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_full_memory_is_named_and_takes_nothing_from_what_is_live() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "1"]).await;

    world.apply(&tenant("beta").dids([OTHER])).await;

    let told = world.wait_event("beta", "PublishWaits").await;
    assert!(told.contains("out of memory") && told.contains("maxmemory"), "{told}");
    world.wait_condition("beta", "Ready", "Unknown", "RedisUnavailable").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    world.wait_ready("beta").await;
    world.finish().await;
}

#[tokio::test]
async fn a_redis_in_cluster_mode_is_refused_at_start_with_that_reason() {
    // Its nodes' own port would be 10,000 above, where anybody's may be.
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
fn settings_that_cannot_be_used_are_told_all_at_once_by_flag_and_variable() {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    operator.arg("run").env_clear();
    operator
        .args(["--leader-elect", "perhaps"])
        .env("ADMIN_ADDR", "8080")
        .env("ENABLE_RUNTIME_ADMIN", "true");
    operator.env("WATCH_NAMESPACES", "good,Not_good").env("REDIS_SENTINEL", "sentinel:26379");

    let output = operator.output().unwrap();

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for (flag, variable) in [
        ("--redis-url", "REDIS_URL"),
        ("--leader-elect", "LEADER_ELECT"),
        ("--admin-addr", "ADMIN_ADDR"),
        ("--watch-namespaces", "WATCH_NAMESPACES"),
        ("--redis-sentinel-service", "REDIS_SENTINEL_SERVICE"),
    ] {
        let line = told.lines().find(|line| line.contains(flag) && line.contains(variable));
        assert!(line.is_some(), "{flag} ({variable}) is not told: {told}");
    }
    assert!(told.contains("ENABLE_RUNTIME_ADMIN"), "why it needs Redis: {told}");
}

#[test]
fn a_url_that_cannot_be_used_is_told_without_its_password() {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    operator.arg("run").env_clear().env("REDIS_URL", "http://user:hunter2@redis");

    let output = operator.output().unwrap();

    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("REDIS_URL") && !told.contains("hunter2"), "{told}");
}
