//! Drift: external changes of the operator's keys are repaired, keys without an owner here are left alone, and an idle
//! operator does nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod contested;
mod expiry;
mod inside;
mod orphans;
mod silent;

use serde_json::json;
use test_support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const MAPPING: &str = "tenantmap:did:+15551234567";
const CONFIG: &str = "tenantcfg:acme";
const RECONCILES: &str = "runtime_operator_reconciles_total";

/// The config of an older publisher's tenant, which has no resource.
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

/// Breaks the published keys with each of these redis-cli commands, and waits each time until they are restored.
async fn break_and_wait(world: &World, ways: &[&str]) {
    let mut read = redis::pipe();
    // MGET reads a key of another type as missing. A key that will expire has a time to live until it is written again.
    read.cmd("MGET").arg(MAPPING).arg(CONFIG).cmd("PTTL").arg(MAPPING).cmd("PTTL").arg(CONFIG);
    let before = (world.live(DID).await, world.config_text("acme").await);
    for way in ways {
        let words: Vec<_> = way.split(' ').collect();
        world.redis_cli(&words).await;
        world
            .wait(&format!("everything is restored after {way}"), || async {
                let now: ((Option<String>, Option<String>), i64, i64) =
                    read.query_async(&mut world.connection().await).await.unwrap();
                let (values, mapping_ttl, config_ttl) = now;
                let forever = mapping_ttl == -1 && config_ttl == -1;
                if values == before && forever { Ok(()) } else { Err(format!("{values:?}")) }
            })
            .await;
    }
}

#[tokio::test]
async fn a_deleted_or_redirected_mapping_is_repaired() {
    let (world, _operator) = live_acme().await;
    // The tenant to which calls are redirected has a config.
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
async fn a_deleted_or_overwritten_config_is_repaired() {
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
async fn a_key_of_another_type_is_repaired() {
    let (world, _operator) = live_acme().await;
    world.exempt([DID]);
    for key in [CONFIG, MAPPING] {
        let mut replaced = redis::pipe();
        replaced.atomic().del(key).rpush(key, "a list");
        let before = (world.live(DID).await, world.config_text("acme").await);

        replaced.exec_async(&mut world.connection().await).await.unwrap();

        world
            .wait(&format!("{key} is a string again"), || async {
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
async fn everything_is_restored_after_a_flush_and_after_a_database_swap() {
    let (world, _operator) = live_acme().await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    let configs = [world.config_text("acme").await, world.config_text("beta").await];

    // SWAPDB sends no notification.
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
        assert_eq!(world.event_count(name, "PublishDelayed").await, 0, "{name} was never delayed");
    }
    world.finish().await;
}

#[tokio::test]
async fn keys_without_an_owner_here_are_left_alone() {
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

    // Everything that was signalled before this repair has been checked.
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
async fn a_did_unmapped_externally_is_claimed_by_the_waiting_tenant() {
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
async fn own_writes_do_not_trigger_a_reconcile() {
    let (world, operator) = live_acme().await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    world.apply_secret("acme-webhook", "rotated").await;
    world.wait_event("acme", "SecretRotated").await;
    world.patch("beta", json!({ "spec": { "dids": [OTHER, "+15550001111"] } })).await;
    world.wait_ready("beta").await;
    assert!(!operator.logs().contains("key changed by another client"), "{}", operator.logs());

    // The operator probes Redis every second; by the second probe, everything that followed the last write is over.
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
    let before = operator.metric(RECONCILES).await;
    let versions = [world.version("acme").await, world.version("beta").await];
    probes(3).await;

    // Commands that the operator's scripts call, and the reader's does not.
    let commands = world.commands().await;
    for command in ["mget", "getrange", "pttl", "hget", "hmget", "sismember", "smembers", "script|load"] {
        assert_eq!(commands.get(command), None, "{commands:?}");
    }
    assert_eq!(world.writes().await, 0, "{commands:?}");
    assert!((operator.metric(RECONCILES).await - before).abs() < 0.5, "something was reconciled");
    assert_eq!([world.version("acme").await, world.version("beta").await], versions);
    world.finish().await;
}
