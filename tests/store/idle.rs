//! Connections that a NAT or a load balancer forgets when they are idle: they are kept alive, and one that was forgotten
//! all the same costs neither a write nor a read.

use std::time::Duration;

use local_cluster::RedisOptions;
use runtime_operator::store::{Operation, Store};
use test_support::proxy::ForgetfulNat;

use test_support::store_fixture::*;

const A: &str = "+15550000001";

/// Returns a Redis, a NAT in front of it, and a store that connects through it.
async fn behind(idle: Duration) -> (World, ForgetfulNat, Store) {
    let world = World::with(RedisOptions::default().in_memory()).await;
    let nat = ForgetfulNat::start(&world.redis.address(), idle).await;
    let store = Store::new(settings(&format!("redis://{}/0", nat.address()))).unwrap();
    (world, nat, store)
}

#[tokio::test]
async fn an_idle_connection_is_kept_alive() {
    let idle = Duration::from_secs(6);
    let (world, nat, store) = behind(idle).await;
    let _tracking = store.track(&world.cluster);
    store.ping().await.unwrap();
    // Both connections: that of commands and that of tracking.
    eventually(async || nat.older_than(idle * 2) == 2).await;
}

#[tokio::test]
async fn a_write_on_a_forgotten_idle_connection_is_done_with_its_epoch() {
    let (world, nat, store) = behind(Duration::from_secs(6)).await;
    let epoch = store.acquire_epoch().await.unwrap();
    eventually(async || nat.forgotten() == 1).await;
    let applied = store.apply(epoch, &world.cluster, &[Operation::from(tenant("acme", &[A]))]).await;
    assert_eq!(applied.unwrap(), [published()]);
}

#[tokio::test]
async fn a_read_on_a_connection_that_was_just_forgotten_is_repeated() {
    let (world, nat, store) = behind(Duration::from_secs(90)).await;
    world.apply_one(tenant("acme", &[A])).await;
    store.ping().await.unwrap();
    nat.forget_all();
    assert_eq!(store.lookup(&parse_did(A)).await.unwrap().as_deref(), Some("acme"));
    nat.forget_all();
    assert_eq!(store.records(&world.cluster).await.unwrap().len(), 1);
}

/// The kernel's timer of a connection is in `/proc/net/tcp` (`tr`, 02: keep-alive).
#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_kernel_probes_every_connection() {
    let world = World::with(RedisOptions::default().in_memory()).await;
    let _tracking = world.store.track(&world.cluster);
    let remote = format!(":{:04X}", world.redis.port());
    eventually(async || {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let probed =
            rows.filter(|row| row[2].ends_with(&remote) && row[3] == "01" && row[5].starts_with("02:"));
        probed.count() == 2
    })
    .await;
}
