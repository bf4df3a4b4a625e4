//! Drift: what somebody else does to a key of ours is set right, what is nobody's here is left alone, and at rest there
//! is rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

#[path = "../support/mod.rs"]
mod support;

mod contested;
mod inside;
mod orphans;
mod silent;

use serde_json::json;
use support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const MAPPING: &str = "tenantmap:did:+15551234567";
const CONFIG: &str = "tenantcfg:acme";
const LOOKS: &str = "runtime_operator_reconciles_total";

/// An older publisher's tenant that no resource is about.
fn legacy() -> String {
    json!({ "contractVersion": "v1", "tenantId": "legacy", "dids": [DID, OTHER] }).to_string()
}

async fn live_acme() -> (World, Operator) {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    (world, operator)
}

/// Breaks what is live in each of these ways, a redis-cli command each, and waits each time until it is as before.
async fn break_and_wait(world: &World, ways: &[&str]) {
    let mut look = redis::pipe();
    // MGET reads a key of another type as not there. What is to expire has a time to live, until it is written anew.
    look.cmd("MGET").arg(MAPPING).arg(CONFIG).cmd("PTTL").arg(MAPPING).cmd("PTTL").arg(CONFIG);
    let before = (world.live(DID).await, world.config_text("acme").await);
    for way in ways {
        let words: Vec<_> = way.split(' ').collect();
        world.redis_cli(&words).await;
        world
            .wait(&format!("all is as it was before {way}"), || async {
                let now: ((Option<String>, Option<String>), i64, i64) =
                    look.query_async(&mut world.connection().await).await.unwrap();
                let (values, mapping_ttl, config_ttl) = now;
                let forever = mapping_ttl == -1 && config_ttl == -1;
                if values == before && forever { Ok(()) } else { Err(format!("{values:?}")) }
            })
            .await;
    }
}

#[tokio::test]
async fn a_number_that_somebody_deletes_or_redirects_is_set_right() {
    let (world, _operator) = live_acme().await;
    // Whoever redirects calls gives the tenant to which they go.
    world.set_key("tenantcfg:legacy", legacy()).await;

    break_and_wait(
        &world,
        &[
            "DEL tenantmap:did:+15551234567",
            "SET tenantmap:did:+15551234567 legacy",
            "PEXPIRE tenantmap:did:+15551234567 1",
            "RENAME tenantmap:did:+15551234567 elsewhere",
            "GETDEL tenantmap:did:+15551234567",
        ],
    )
    .await;

    assert_eq!(world.key("tenantcfg:legacy").await, Some(legacy()));
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_config_that_somebody_deletes_or_overwrites_is_set_right() {
    let (world, _operator) = live_acme().await;
    world.exempt([DID]);

    break_and_wait(
        &world,
        &[
            "DEL tenantcfg:acme",
            "SET tenantcfg:acme broken",
            "APPEND tenantcfg:acme x",
            "PEXPIRE tenantcfg:acme 1",
            "RENAME tenantcfg:acme elsewhere",
            "DEL tenantcfg:acme tenantmap:did:+15551234567",
        ],
    )
    .await;

    world.finish().await;
}

#[tokio::test]
async fn a_key_that_becomes_of_another_type_is_set_right() {
    let (world, _operator) = live_acme().await;
    world.exempt([DID]);
    for key in [CONFIG, MAPPING] {
        let mut replaced = redis::pipe();
        replaced.atomic().del(key).rpush(key, "a list");
        let before = (world.live(DID).await, world.config_text("acme").await);

        replaced.exec_async(&mut world.connection().await).await.unwrap();

        world
            .wait(&format!("{key} is text again"), || async {
                let kind = world.redis_cli(&["TYPE", key]).await;
                if kind == redis::Value::SimpleString("string".into()) {
                    Ok(())
                } else {
                    Err(format!("{kind:?}"))
                }
            })
            .await;
        assert_eq!((world.live(DID).await, world.config_text("acme").await), before);
    }
    world.finish().await;
}

#[tokio::test]
async fn all_is_back_after_a_flush_and_after_another_database_takes_its_place() {
    let (world, _operator) = live_acme().await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    let configs = [world.config_text("acme").await, world.config_text("beta").await];

    // What SWAPDB does sends no message to anyone.
    for loss in [&["FLUSHALL"][..], &["SWAPDB", "0", "1"], &["FLUSHDB"]] {
        world.redis_cli(loss).await;

        world.wait_live(DID, Some("acme")).await;
        world.wait_live(OTHER, Some("beta")).await;
        assert_eq!([world.config_text("acme").await, world.config_text("beta").await], configs, "{loss:?}");
        assert_eq!(world.keys("runtime-operator:tenant:*").await.len(), 2, "{loss:?}");
    }
    world.patch("acme", json!({ "spec": { "dids": [DID, "+15550001111"] } })).await;
    world.wait_ready("acme").await;
    for name in ["acme", "beta"] {
        assert_eq!(world.told(name, "PublishWaits").await, 0, "{name} had nothing to wait for");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_nobodys_here_is_left_alone() {
    let (world, operator) = live_acme().await;
    let theirs = [
        ("tenantcfg:legacy", legacy()),
        ("tenantmap:did:+15557654321", "legacy".to_owned()),
        ("tenantcfg:broken", "{".to_owned()),
        ("tenantmap:tenant:acme:cap:rpm", "7".to_owned()),
        ("tenantmap:did:no-number", "acme".to_owned()),
        ("cap:acme", "3".to_owned()),
    ];
    world.exempt(["no-number"]);
    for (key, value) in &theirs {
        world.set_key(key, value).await;
    }

    // All that was told before that is repaired has been looked at.
    world.delete_key(MAPPING).await;
    world.wait_live(DID, Some("acme")).await;
    operator.restart().await.unwrap();
    world.apply(&tenant("beta").dids(["+15550001111"])).await;
    world.wait_ready("beta").await;

    for (key, value) in theirs {
        assert_eq!(world.key(key).await, Some(value), "{key}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_number_that_is_freed_outside_is_taken_by_the_one_who_waits_for_it() {
    let (world, _operator) = live_acme().await;
    world.set_key("tenantcfg:legacy", legacy()).await;
    world.set_key("tenantmap:did:+15557654321", "legacy").await;
    world.patch("acme", json!({ "spec": { "dids": [DID, OTHER] } })).await;
    world.wait_condition("acme", "Ready", "False", "NumberInUse").await;

    world.delete_key("tenantmap:did:+15557654321").await;

    world.wait_ready("acme").await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    world.finish().await;
}

#[tokio::test]
async fn its_own_writes_cause_no_second_look_and_at_rest_there_is_rest() {
    let (world, operator) = live_acme().await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    world.apply_secret("acme-webhook", "rotated").await;
    world.wait_event("acme", "SecretRotated").await;
    world.patch("beta", json!({ "spec": { "dids": [OTHER, "+15550001111"] } })).await;
    world.wait_ready("beta").await;
    assert!(!operator.logs().contains("touched from outside"), "{}", operator.logs());

    // The probe asks once a second; before the second time, all that followed the last write is over.
    let probes = async |least: u64| {
        world
            .wait("Redis is probed", || async {
                let probes = world.commands().await.get("client|trackinginfo").copied().unwrap_or_default();
                if probes >= least { Ok(()) } else { Err(format!("{probes} times")) }
            })
            .await;
    };
    world.reset_commands().await;
    probes(2).await;
    world.reset_commands().await;
    let looks = operator.metric(LOOKS).await;
    let versions = [world.version("acme").await, world.version("beta").await];
    probes(3).await;

    // What the operator's scripts call, and the reader's does not.
    let commands = world.commands().await;
    for command in ["mget", "hget", "hmget", "sismember", "smembers", "script|load"] {
        assert_eq!(commands.get(command), None, "{commands:?}");
    }
    assert_eq!(world.writes().await, 0, "{commands:?}");
    assert!((operator.metric(LOOKS).await - looks).abs() < 0.5, "nothing was looked at");
    assert_eq!([world.version("acme").await, world.version("beta").await], versions);
    world.finish().await;
}
