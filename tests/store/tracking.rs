//! Redis tells what others did to the contract's keys, and nothing of what this operator did.

use std::time::Duration;

use local_cluster::RedisOptions;
use runtime_operator::store::{ChangedKey, DriftSignal, Operation, ResyncCause, Tracking};
use tokio::time::timeout;

use crate::fixture::*;

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

fn number(number: &str) -> DriftSignal {
    DriftSignal::Changed(ChangedKey::Did(did(number)))
}

fn config_of(tenant: &str) -> DriftSignal {
    DriftSignal::Changed(ChangedKey::Config(id(tenant)))
}

/// A foreign write that is told: whatever comes before it in the order of writes has been told by then.
async fn nothing_until_now(world: &World, tracking: &mut Tracking) {
    world.set("tenantcfg:a-mark", "x").await;
    assert_eq!(next(tracking).await, config_of("a-mark"));
}

#[tokio::test]
async fn foreign_writes_are_told() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    let mut tracking = tracked(&world).await;
    let () = world.run(&format!("DEL tenantmap:did:{A}")).await;
    assert_eq!(next(&mut tracking).await, number(A));
    world.set("tenantcfg:acme", "{}").await;
    assert_eq!(next(&mut tracking).await, config_of("acme"));
    world.set(&format!("tenantmap:did:{B}"), "foreign").await;
    assert_eq!(next(&mut tracking).await, number(B));
    let () = world.run(&format!("RENAME tenantmap:did:{B} elsewhere")).await;
    assert_eq!(next(&mut tracking).await, number(B));
    let () = world.run(&format!("SET tenantmap:did:{A} x PX 1")).await;
    assert_eq!(next(&mut tracking).await, number(A), "written");
    assert_eq!(next(&mut tracking).await, number(A), "expired");
}

#[tokio::test]
async fn own_publications_are_not_told() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    world.apply([tenant("acme", &[A]), tenant("globex", &[B])]).await;
    nothing_until_now(&world, &mut tracking).await;
    world.apply([tenant("acme", &[B]).after(&["globex"]), tenant("globex", &[A]).after(&["acme"])]).await;
    nothing_until_now(&world, &mut tracking).await;
    world.one(tenant("acme", &[B]).saying("more")).await;
    nothing_until_now(&world, &mut tracking).await;
}

#[tokio::test]
async fn a_foreign_write_right_after_an_own_one_is_told() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    // Frozen, Redis finds both writes at once and sends one message for the two.
    world.redis.freeze().await.unwrap();
    let own = tokio::spawn({
        let (store, epoch, cluster) = (world.store.clone(), world.epoch, world.cluster.clone());
        async move { store.apply(epoch, &cluster, &[Operation::from(tenant("acme", &[A]))]).await }
    });
    let foreign = tokio::spawn({
        let mut raw = world.raw.clone();
        async move { redis::cmd("SET").arg("tenantcfg:acme").arg("{}").query_async::<()>(&mut raw).await }
    });
    tokio::task::yield_now().await;
    world.redis.thaw().unwrap();
    own.await.unwrap().unwrap();
    foreign.await.unwrap().unwrap();
    // Whichever came first, what is stored now decides.
    let ours = world.config("acme").await == Some(tenant("acme", &[A]).json());
    if ours {
        // The foreign write came first and may have been told before it was overwritten: one look too many.
        return;
    }
    assert_eq!(next(&mut tracking).await, config_of("acme"));
    nothing_until_now(&world, &mut tracking).await;
}

#[tokio::test]
async fn what_another_cluster_takes_is_told() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    let mut tracking = tracked(&world).await;
    world.one_as("there", tenant("globex", &[A]).take_over()).await;
    let told = [next(&mut tracking).await, next(&mut tracking).await];
    assert!(told.contains(&number(A)) && told.contains(&config_of("globex")), "{told:?}");
}

#[tokio::test]
async fn keys_of_others_are_not_told() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    for key in ["tenantmap:tenant:acme:cap:rpm", "cap:x", "tenantmap:did:not-a-number", "anything"] {
        world.set(key, "1").await;
    }
    nothing_until_now(&world, &mut tracking).await;
}

#[tokio::test]
async fn a_flush_asks_to_check_everything() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let () = world.run("FLUSHALL").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Flushed));
}

#[tokio::test]
async fn swapped_databases_are_noticed_by_the_probe() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let () = world.run("SWAPDB 0 1").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::EpochChanged));
}

#[tokio::test]
async fn an_own_epoch_is_no_news_but_anothers_is() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let own = world.store.acquire_epoch().await.unwrap();
    let other = runtime_operator::store::Store::new(settings(&world.redis.url())).unwrap();
    // The probe has seen the own one once it sees another.
    let probes = probes(&world).await;
    eventually(async || self::probes(&world).await >= probes + 2).await;
    nothing_until_now(&world, &mut tracking).await;
    assert!(other.acquire_epoch().await.unwrap() > own);
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::EpochChanged));
}

/// How often the probe has asked.
async fn probes(world: &World) -> u64 {
    let info: String = world.run("INFO commandstats").await;
    let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_client|trackinginfo:calls="));
    calls.map_or(0, |calls| calls.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_restart_is_told_once_tracking_is_on_again() {
    let world = World::with(RedisOptions::default()).await;
    let mut tracking = tracked(&world).await;
    let mut health = tracking.health();
    world.redis.stop().await.unwrap();
    health.wait_for(Option::is_some).await.unwrap();
    assert_eq!(health.borrow().as_ref().unwrap().reason(), "RedisUnreachable");
    world.redis.restart().await.unwrap();
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Reconnected));
    assert_eq!(*tracking.health().borrow(), None);
    let mut raw = world.redis.connection().await.unwrap();
    let () = redis::cmd("SET").arg("tenantcfg:acme").arg("{}").query_async(&mut raw).await.unwrap();
    assert_eq!(next(&mut tracking).await, config_of("acme"));
}

#[tokio::test]
async fn a_connection_that_is_killed_is_made_again() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let clients: String = world.run("CLIENT LIST").await;
    let line = clients.lines().find(|line| line.contains("flags=tB") || line.contains("flags=Bt")).unwrap();
    let client = line.split_whitespace().next().unwrap().strip_prefix("id=").unwrap();
    let _: i64 = world.run(&format!("CLIENT KILL ID {client}")).await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Reconnected));
}

#[tokio::test]
async fn a_frozen_redis_is_noticed_by_the_probe() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let mut health = tracking.health();
    world.redis.freeze().await.unwrap();
    health.wait_for(Option::is_some).await.unwrap();
    world.redis.thaw().unwrap();
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::Reconnected));
}

#[tokio::test]
async fn another_history_behind_the_same_connection_is_noticed() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    // As after a failover that leaves the connection standing.
    let () = world.run("REPLICAOF 127.0.0.1 1").await;
    let () = world.run("REPLICAOF NO ONE").await;
    assert_eq!(next(&mut tracking).await, DriftSignal::Resync(ResyncCause::ServerChanged));
}

#[tokio::test]
async fn a_bulk_of_foreign_writes_is_told_whole_or_as_everything() {
    let world = World::new().await;
    let mut tracking = tracked(&world).await;
    let mut pipe = redis::pipe();
    for n in 0..3000 {
        pipe.cmd("SET").arg(format!("tenantcfg:tenant-{n:04}")).arg("x").ignore();
    }
    let () = pipe.query_async(&mut world.raw.clone()).await.unwrap();
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 3000 {
        match next(&mut tracking).await {
            DriftSignal::Changed(ChangedKey::Config(tenant)) => told.insert(tenant),
            other => panic!("{other:?}"),
        };
    }
    assert_eq!(told.last().unwrap().as_str(), "tenant-2999");
}

#[tokio::test]
async fn a_dropped_tracking_closes_its_connection() {
    let world = World::new().await;
    let tracking = tracked(&world).await;
    drop(tracking);
    eventually(async || !world.run::<String>("CLIENT LIST").await.contains("flags=tB")).await;
}
