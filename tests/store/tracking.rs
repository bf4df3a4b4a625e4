//! External changes of the contract's keys are signalled, and the operator's own are not.

use std::time::Duration;

use local_cluster::RedisOptions;
use runtime_operator::store::{ChangedKey, DriftSignal, Operation, ResyncCause, Tracking};
use tokio::time::timeout;

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

async fn next(tracking: &mut Tracking) -> DriftSignal {
    timeout(Duration::from_secs(90), tracking.next()).await.expect("no signal came").expect("tracking ended")
}

async fn tracked(world: &World) -> Tracking {
    let mut tracking = world.store.track(&world.cluster);
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Connected));
    tracking
}

fn changed_did(did: &str) -> DriftSignal {
    DriftSignal::Changed(ChangedKey::Did(parse_did(did)))
}

fn changed_config(tenant: &str) -> DriftSignal {
    DriftSignal::Changed(ChangedKey::Config(tenant_id(tenant)))
}

/// Asserts that no signal is pending: makes an external write, whose signal must be the next one.
async fn assert_no_signal(world: &World, tracking: &mut Tracking) {
    world.set("tenantcfg:marker", "x").await;
    assert_eq!(next(tracking).await, changed_config("marker"));
}

#[tokio::test]
async fn external_writes_are_signalled() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    let mut tracking = tracked(&world).await;
    let () = world.run(&format!("DEL tenantmap:did:{A}")).await;
    assert_eq!(next(&mut tracking).await, changed_did(A));
    world.set("tenantcfg:acme", "{}").await;
    assert_eq!(next(&mut tracking).await, changed_config("acme"));
    world.set(&format!("tenantmap:did:{B}"), "external").await;
    assert_eq!(next(&mut tracking).await, changed_did(B));
    let () = world.run(&format!("RENAME tenantmap:did:{B} elsewhere")).await;
    assert_eq!(next(&mut tracking).await, changed_did(B));
    let () = world.run(&format!("SET tenantmap:did:{A} x PX 1")).await;
    assert_eq!(next(&mut tracking).await, changed_did(A), "written");
    assert_eq!(next(&mut tracking).await, changed_did(A), "expired");
}

#[tokio::test]
async fn own_writes_are_not_signalled() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    world.apply([tenant("acme", &[A]), tenant("globex", &[B])]).await;
    assert_no_signal(&world, &mut tracking).await;
    world
        .apply([tenant("acme", &[B]).yielded_by(&["globex"]), tenant("globex", &[A]).yielded_by(&["acme"])])
        .await;
    assert_no_signal(&world, &mut tracking).await;
    world.apply_one(tenant("acme", &[B]).with_text("more")).await;
    assert_no_signal(&world, &mut tracking).await;
}

#[tokio::test]
async fn an_external_write_right_after_an_own_write_is_signalled() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    // After a freeze, Redis handles both writes together and sends one message for the two.
    world.redis.freeze().await.unwrap();
    let own = tokio::spawn({
        let (store, epoch, cluster) = (world.store.clone(), world.epoch, world.cluster.clone());
        async move { store.apply(epoch, &cluster, &[Operation::from(tenant("acme", &[A]))]).await }
    });
    let external = tokio::spawn({
        let mut raw = world.raw.clone();
        async move { redis::cmd("SET").arg("tenantcfg:acme").arg("{}").query_async::<()>(&mut raw).await }
    });
    tokio::task::yield_now().await;
    world.redis.thaw().unwrap();
    own.await.unwrap().unwrap();
    external.await.unwrap().unwrap();
    // The order of the writes is open: the stored value decides.
    let ours = world.config("acme").await == Some(tenant("acme", &[A]).json());
    if ours {
        // The external write came first, and may have been signalled before it was overwritten.
        return;
    }
    assert_eq!(next(&mut tracking).await, changed_config("acme"));
    assert_no_signal(&world, &mut tracking).await;
}

#[tokio::test]
async fn a_take_over_by_another_cluster_is_signalled() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let mut tracking = tracked(&world).await;
    world.apply_one_as("there", tenant("globex", &[A]).take_over()).await;
    let signals = [next(&mut tracking).await, next(&mut tracking).await];
    assert!(signals.contains(&changed_did(A)) && signals.contains(&changed_config("globex")), "{signals:?}");
}

#[tokio::test]
async fn keys_outside_the_contract_are_not_signalled() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    for key in ["tenantmap:tenant:acme:cap:rpm", "cap:x", "tenantmap:did:not-a-did", "anything"] {
        world.set(key, "1").await;
    }
    assert_no_signal(&world, &mut tracking).await;
}

#[tokio::test]
async fn a_flush_causes_a_resync() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let () = world.run("FLUSHALL").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Flushed));
}

#[tokio::test]
async fn a_flush_of_another_database_causes_no_resync() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let mut tracking = tracked(&world).await;
    let flush = ["SELECT 1", "FLUSHDB", "SELECT 0"];
    for _ in 0..10 {
        for command in flush {
            let () = world.run(command).await;
        }
    }
    assert_no_signal(&world, &mut tracking).await;
    let () = world.run("FLUSHDB").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Flushed));
}

#[tokio::test]
async fn swapped_databases_are_detected_by_the_probe() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let () = world.run("SWAPDB 0 1").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::EpochChanged));
}

#[tokio::test]
async fn another_processs_epoch_causes_a_resync_and_an_own_one_does_not() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let own = world.store.acquire_epoch().await.unwrap();
    let other = runtime_operator::store::Store::new(settings(&world.redis.url())).unwrap();
    // Two more probes: the second one began after this process had acquired its epoch.
    let probes = probes(&world).await;
    eventually(async || self::probes(&world).await >= probes + 2).await;
    assert_no_signal(&world, &mut tracking).await;
    assert!(other.acquire_epoch().await.unwrap() > own);
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::EpochChanged));
}

/// Returns the number of probes so far.
async fn probes(world: &World) -> u64 {
    let info: String = world.run("INFO commandstats").await;
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_client|trackinginfo:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_restart_causes_a_resync_once_tracking_is_on_again() {
    let world = World::with(RedisOptions::default()).await;
    let mut tracking = tracked(&world).await;
    let mut health = tracking.health();
    world.redis.stop().await.unwrap();
    health.wait_for(Option::is_some).await.unwrap();
    assert_eq!(health.borrow().as_ref().unwrap().reason().as_str(), "RedisUnreachable");
    world.redis.restart().await.unwrap();
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::ServerChanged));
    assert_eq!(*tracking.health().borrow(), None);
    let mut raw = world.redis.connection().await.unwrap();
    let () = redis::cmd("SET").arg("tenantcfg:acme").arg("{}").query_async(&mut raw).await.unwrap();
    assert_eq!(next(&mut tracking).await, changed_config("acme"));
}

#[tokio::test]
async fn a_killed_connection_is_replaced() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let clients: String = world.run("CLIENT LIST").await;
    let line = clients.lines().find(|line| line.contains("flags=tB") || line.contains("flags=Bt")).unwrap();
    let client = line.split_whitespace().next().unwrap().strip_prefix("id=").unwrap();
    let _: i64 = world.run(&format!("CLIENT KILL ID {client}")).await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Reconnected));
}

#[tokio::test]
async fn a_frozen_redis_is_detected_by_the_probe() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let mut health = tracking.health();
    world.redis.freeze().await.unwrap();
    health.wait_for(Option::is_some).await.unwrap();
    world.redis.thaw().unwrap();
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Reconnected));
}

#[tokio::test]
async fn another_replication_history_behind_the_same_connection_is_detected() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    // Like a failover that keeps the connection open.
    let () = world.run("REPLICAOF 127.0.0.1 1").await;
    let () = world.run("REPLICAOF NO ONE").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::ServerChanged));
}

#[tokio::test]
async fn many_external_writes_are_each_signalled() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let mut pipe = redis::pipe();
    for n in 0..3000 {
        pipe.cmd("SET").arg(format!("tenantcfg:tenant-{n:04}")).arg("x").ignore();
    }
    let () = pipe.query_async(&mut world.raw.clone()).await.unwrap();
    let mut signalled = std::collections::BTreeSet::new();
    while signalled.len() < 3000 {
        match next(&mut tracking).await {
            DriftSignal::Changed(ChangedKey::Config(tenant)) => signalled.insert(tenant),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(signalled.last().unwrap().as_str(), "tenant-2999");
}

#[tokio::test]
async fn a_dropped_tracking_closes_its_connection() {
    let world = World::new().await;
    let tracking = tracked(&world).await;
    drop(tracking);
    eventually(async || !world.run::<String>("CLIENT LIST").await.contains("flags=tB")).await;
}
