//! T7: Redis rejects writes.

use serde_json::json;
use test_support::tenant;

use crate::scene::{DIDS, Scene, goes_on};

/// Moves a DID between tenants, deletes a tenant and creates one while Redis rejects writes: all published keys stay until
/// then, and equal the resources afterwards.
async fn refused(begin: &[&[&str]], why: &str, end: &[&[&str]]) {
    let scene = Scene::new().await;
    let world = &scene.world;
    let mut before = world.keys("tenant*").await;
    before.retain(|key| key != "tenantcfg:t2" && !key.ends_with(DIDS[2]));
    for words in begin {
        world.redis_cli(words).await;
    }

    world.patch("t0", json!({ "spec": { "dids": ["+15557779999"] } })).await;
    world.patch("t1", json!({ "spec": { "dids": [DIDS[1], "+15557770001"] } })).await;
    world.apply(&tenant("t3").dids(["+15550000003"])).await;
    world.delete("t2").await;
    for name in ["t1", "t3"] {
        let message = world.wait_event(name, "PublishDelayed").await;
        assert!(message.contains(why), "{message}");
    }
    for key in before {
        assert!(world.key(&key).await.is_some(), "{key} was removed");
    }
    for words in end {
        world.redis_cli(words).await;
    }

    scene.wait_true().await;
    world.wait_deleted("t2").await;
    assert_eq!(world.live(DIDS[2]).await, None);
    assert_eq!(world.event_count("t1", "PublishDelayed").await, 1, "one event is enough");
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn out_of_memory_keeps_what_is_published_and_is_caught_up_with() {
    refused(
        &[&["CONFIG", "SET", "maxmemory-policy", "noeviction"], &["CONFIG", "SET", "maxmemory", "1"]],
        "out of memory",
        &[&["CONFIG", "SET", "maxmemory", "0"]],
    )
    .await;
}

#[tokio::test]
async fn missing_replicas_keep_what_is_published_and_are_caught_up_with() {
    refused(
        &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        "NOREPLICAS",
        &[&["CONFIG", "SET", "min-replicas-to-write", "0"]],
    )
    .await;
}

#[tokio::test]
async fn a_demoted_primary_keeps_what_is_published_and_is_caught_up_with() {
    refused(
        &[&["CONFIG", "SET", "replica-serve-stale-data", "yes"], &["REPLICAOF", "127.0.0.1", "1"]],
        "read-only replica",
        &[&["REPLICAOF", "NO", "ONE"]],
    )
    .await;
}
