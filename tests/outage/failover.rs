//! A failover: the operator follows the Sentinels to the new primary.

use local_cluster::{Redis, RedisOptions, SentinelOptions, Sentinels};
use redis::AsyncCommands;
use serde_json::json;
use test_support::{World, tenant};

use super::{DID, OTHER};

#[tokio::test]
async fn pending_changes_are_published_at_the_new_primary() {
    let world = World::new().await;
    let replica = Redis::start(RedisOptions::default().replica_of(world.redis())).await.unwrap();
    world.also_read(&replica);
    let sentinels = Sentinels::start(world.redis(), SentinelOptions::default()).await.unwrap();
    let operator = world
        .operator()
        .env("REDIS_URL", "redis://unknown.invalid/0")
        .env("REDIS_SENTINEL", sentinels.addresses().join(","))
        .env("REDIS_SENTINEL_SERVICE", sentinels.service())
        .start()
        .await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.apply(&tenant("beta").dids(["+15550001111"])).await;
    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    world.wait_event("beta", "Published").await;
    let version = world.version("beta").await;
    // Writes that are acknowledged and not yet replicated would be lost with the primary.
    let mut replicated = redis::pipe();
    replicated.cmd("SET").arg("mark").arg("").ignore().cmd("WAIT").arg(1).arg(0).ignore();
    replicated.exec_async(&mut world.connection().await).await.unwrap();

    world.redis().kill().await.unwrap();
    world.patch("acme", json!({ "spec": { "dids": [OTHER] } })).await;
    world.wait_not_ready(&operator, "not ready").await;
    assert_eq!(operator.probe("livez").await.unwrap().0, 200);
    assert_eq!(sentinels.wait_failover(&world.redis().address()).await.unwrap(), replica.address());

    world.wait_operator_ready(&operator).await;
    world.wait_ready("acme").await;
    let live = async |did: &str| {
        let mut connection = replica.connection().await.unwrap();
        connection.get::<_, Option<String>>(format!("tenantmap:did:{did}")).await.unwrap()
    };
    assert_eq!(live(OTHER).await.as_deref(), Some("acme"));
    assert_eq!(live(DID).await, None);
    assert_eq!(live("+15550001111").await.as_deref(), Some("beta"));
    assert_eq!(world.version("beta").await, version, "it had no pending change");

    // The old primary starts as a primary again, and the Sentinels demote it: the operator does not write to it meanwhile.
    world.redis().restart().await.unwrap();
    world.set_dids("acme", [DID, OTHER]).await;
    world.wait_ready("acme").await;
    assert_eq!(live(DID).await.as_deref(), Some("acme"));
    world.finish().await;
}
