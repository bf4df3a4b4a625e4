//! T7: Sentinels promote a replica that lacks writes which the old primary had acknowledged.

use local_cluster::{Redis, RedisOptions, SentinelOptions, Sentinels, Toxiproxy};
use serde_json::json;
use test_support::World;
use test_support::proxy::SentinelProxy;

use crate::full;
use crate::scene::{DIDS, STATUS_WRITES, apply_all};
use crate::truth::{TIMEOUT, wait_true};

/// Returns a field of INFO replication.
async fn replication(redis: &Redis, field: &str) -> Option<String> {
    let mut connection = redis.connection().await.ok()?;
    let info: redis::InfoDict =
        redis::cmd("INFO").arg("replication").query_async(&mut connection).await.ok()?;
    info.get(field)
}

/// Waits until a field of INFO replication has this value.
async fn wait_replication(world: &World, redis: &Redis, field: &str, value: &str) {
    world
        .wait_within(TIMEOUT, &format!("{field} is {value}"), || async {
            let is = replication(redis, field).await;
            if is.as_deref() == Some(value) { Ok(()) } else { Err(format!("{is:?}")) }
        })
        .await;
}

#[tokio::test]
async fn writes_lost_by_a_failover_are_written_again() {
    let world = World::new().await;
    let replica = Redis::start(RedisOptions::default().replica_of(world.redis())).await.unwrap();
    world.also_read(&replica);
    wait_replication(&world, &replica, "master_link_status", "up").await;
    let sentinels = Sentinels::start(world.redis(), SentinelOptions::default()).await.unwrap();
    let operator = world
        .operator()
        .env("REDIS_SENTINEL", sentinels.addresses().join(","))
        .env("REDIS_SENTINEL_SERVICE", sentinels.service())
        .start()
        .await;
    apply_all(&world).await;
    wait_true(&world, world.redis()).await;
    wait_replication(&world, &replica, "master_link_status", "up").await;
    world
        .wait_within(TIMEOUT, "the replica has it all", || async {
            let (is, was) = (
                replication(&replica, "slave_repl_offset"),
                replication(world.redis(), "master_repl_offset"),
            );
            let (is, was) = tokio::join!(is, was);
            if is.is_some() && is >= was { Ok(()) } else { Err(format!("{is:?} of {was:?}")) }
        })
        .await;

    // Disconnected from its primary: later writes never reach the replica.
    replica.freeze().await.unwrap();
    world.redis_cli(&["CLIENT", "KILL", "TYPE", "replica"]).await;
    world.patch("t0", json!({ "spec": { "dids": ["+15557770001"] } })).await;
    world.apply_secret("t1-webhook", "rotated").await;
    if full() {
        // Its keys are still on the replica, and wait for the orphan sweep, which has a grace period of a minute.
        world.delete("t2").await;
        world.wait_deleted("t2").await;
    }
    world.wait_event("t1", "SecretRotated").await;
    wait_true(&world, world.redis()).await;
    let statuses = operator.metric(STATUS_WRITES).await;
    let old = world.redis().address();
    world.redis().kill().await.unwrap();
    replica.thaw().unwrap();

    assert_eq!(sentinels.wait_failover(&old).await.unwrap(), replica.address());
    wait_true(&world, &replica).await;
    let statuses = operator.metric(STATUS_WRITES).await - statuses;
    assert!(statuses <= 3.0, "one status write per resource, for the publish time: {statuses}");
    world.wait_operator_ready(&operator).await;

    // The old primary restarts with its data, and is demoted.
    world.redis().restart().await.unwrap();
    wait_replication(&world, world.redis(), "role", "slave").await;
    wait_replication(&world, world.redis(), "master_link_status", "up").await;
    world.patch("t0", json!({ "spec": { "dids": [DIDS[0]] } })).await;
    wait_true(&world, &replica).await;
    world.finish().await;
}

#[tokio::test]
async fn a_primary_isolated_from_its_sentinels_is_replaced_by_the_elected_one() {
    let world = World::new().await;
    let toxiproxy = Toxiproxy::start().await.unwrap();
    let way = toxiproxy.edge("primary", &world.redis().address()).await.unwrap();
    let options = RedisOptions::default().replica_of(world.redis()).through(way.port());
    let replica = Redis::start(options).await.unwrap();
    world.also_read(&replica);
    wait_replication(&world, &replica, "master_link_status", "up").await;
    let options = SentinelOptions { port: Some(way.port()), ..SentinelOptions::default() };
    let sentinels = Sentinels::start(world.redis(), options).await.unwrap();
    // The operator is on the primary's side of the partition, and still reaches the Sentinels.
    let mut nats = Vec::new();
    for address in sentinels.addresses() {
        nats.push(SentinelProxy::start(address, vec![(way.port(), world.redis().port())]).await);
    }
    let _operator = world
        .operator()
        .env("REDIS_SENTINEL", nats.iter().map(SentinelProxy::address).collect::<Vec<_>>().join(","))
        .env("REDIS_SENTINEL_SERVICE", sentinels.service())
        .start()
        .await;
    apply_all(&world).await;
    wait_true(&world, world.redis()).await;

    way.cut().await.unwrap();

    assert_eq!(sentinels.wait_failover(&way.address()).await.unwrap(), replica.address());
    assert_eq!(replication(world.redis(), "role").await.as_deref(), Some("master"), "it is not demoted yet");
    world.patch("t0", json!({ "spec": { "dids": ["+15557770001"] } })).await;
    wait_true(&world, &replica).await;
    way.heal().await.unwrap();
    wait_replication(&world, world.redis(), "role", "slave").await;
    world.patch("t0", json!({ "spec": { "dids": [DIDS[0]] } })).await;
    wait_true(&world, &replica).await;
    world.finish().await;
}
