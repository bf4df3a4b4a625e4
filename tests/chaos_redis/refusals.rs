//! T7: Redis answers, and refuses to write.

use serde_json::json;

use crate::scene::{DIDS, Scene, goes_on};
use crate::support::tenant;

/// A number goes from one tenant to another, one is deleted and one is new, while Redis refuses; what is live stays as
/// it is, to the key, and is right when Redis refuses no more.
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
        let told = world.wait_event(name, "PublishWaits").await;
        assert!(told.contains(why), "{told}");
    }
    for key in before {
        assert!(world.key(&key).await.is_some(), "{key} was live, and is not");
    }
    for words in end {
        world.redis_cli(words).await;
    }

    scene.wait_true().await;
    world.wait_gone("t2").await;
    assert_eq!(world.live(DIDS[2]).await, None);
    assert_eq!(world.told("t1", "PublishWaits").await, 1, "once is enough");
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_redis_out_of_memory_keeps_what_is_live_and_is_caught_up_with_once_it_has_room() {
    refused(
        &[&["CONFIG", "SET", "maxmemory-policy", "noeviction"], &["CONFIG", "SET", "maxmemory", "1"]],
        "out of memory",
        &[&["CONFIG", "SET", "maxmemory", "0"]],
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_lacks_its_replicas_keeps_what_is_live_and_is_caught_up_with_once_it_has_them() {
    refused(
        &[&["CONFIG", "SET", "min-replicas-to-write", "1"]],
        "NOREPLICAS",
        &[&["CONFIG", "SET", "min-replicas-to-write", "0"]],
    )
    .await;
}

#[tokio::test]
async fn a_redis_that_became_a_replica_keeps_what_is_live_and_is_caught_up_with_once_it_is_none() {
    refused(
        &[&["CONFIG", "SET", "replica-serve-stale-data", "yes"], &["REPLICAOF", "127.0.0.1", "1"]],
        "read-only replica",
        &[&["REPLICAOF", "NO", "ONE"]],
    )
    .await;
}
