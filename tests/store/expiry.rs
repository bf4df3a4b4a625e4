//! Managed keys have no expiry: one that another client sets is drift, and is removed.

use local_cluster::RedisOptions;
use runtime_operator::store::{Applied, Operation, Store};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

/// The permissions that docs/security.md listed before the operator read expiries.
const WITHOUT_EXPIRY: &str = "~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* -@all +hello +auth +ping +info +select \
    +client|setname +client|tracking +client|trackinginfo +script|load +evalsha +get +mget +set +del +incr +hget \
    +hmget +hvals +hset +hdel +sadd +srem +sismember +smembers";

async fn ttl(world: &World, key: &str) -> i64 {
    world.run(&format!("PTTL {key}")).await
}

async fn intact(world: &World) -> bool {
    world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact
}

#[tokio::test]
async fn an_expiry_of_a_tenants_key_is_drift_and_removed_by_the_same_publication() {
    for (key, repaired) in [
        ("tenantcfg:acme", published()),
        ("tenantmap:did:+15550000002", published()),
        ("runtime-operator:tenant:acme", Applied::Recorded),
    ] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A, B])).await;
        let before = world.everything().await;
        let () = world.run(&format!("EXPIRE {key} 3600")).await;
        assert!(!intact(&world).await, "{key}");
        assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, repaired, "{key}");
        assert_eq!(ttl(&world, key).await, -1, "{key}");
        assert!(intact(&world).await, "{key}");
        assert_eq!(world.everything().await, before, "{key}");
    }
}

#[tokio::test]
async fn an_expiry_of_a_shared_own_key_is_removed_by_whatever_reads_it() {
    let all = ["epoch", "epochs", "dids", "tenants:here"].map(|name| format!("runtime-operator:{name}"));
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    for key in &all {
        let () = world.run(&format!("EXPIRE {key} 3600")).await;
    }
    assert_eq!(world.apply_one(tenant("acme", &[A])).await, Applied::Unchanged);
    for key in &all {
        assert_eq!(ttl(&world, key).await, -1, "{key}");
    }
    for key in &all {
        let () = world.run(&format!("EXPIRE {key} 3600")).await;
    }
    assert!(intact(&world).await);
    for key in &all {
        assert_eq!(ttl(&world, key).await, -1, "{key}");
    }
    for key in &all[..2] {
        let () = world.run(&format!("EXPIRE {key} 3600")).await;
    }
    world.store.acquire_epoch().await.unwrap();
    for key in &all[..2] {
        assert_eq!(ttl(&world, key).await, -1, "{key}");
    }
}

#[tokio::test]
async fn an_adopted_or_retained_key_keeps_no_expiry() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    let keys = ["tenantcfg:acme".to_owned(), format!("tenantmap:did:{A}")];
    let expire = async || {
        for key in &keys {
            let () = world.run(&format!("EXPIRE {key} 3600")).await;
        }
    };
    // The older publisher's bytes are those of the resource: only the expiry differs.
    world.set(&keys[0], &acme.json()).await;
    world.set(&keys[1], "acme").await;
    expire().await;
    assert!(matches!(world.apply_one(acme.clone()).await, Applied::Published { .. }));
    for key in &keys {
        assert_eq!(ttl(&world, key).await, -1, "{key}");
    }
    expire().await;
    world.apply_one(Operation::Remove(acme.retained())).await;
    for key in &keys {
        assert_eq!(ttl(&world, key).await, -1, "{key}");
    }
}

#[tokio::test]
async fn an_expiry_is_signalled_as_drift() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let mut tracking = world.store.track(&world.cluster);
    tracking.next().await.unwrap();
    for key in ["tenantcfg:acme".to_owned(), format!("tenantmap:did:{A}")] {
        let () = world.run(&format!("EXPIRE {key} 3600")).await;
        let signal = tokio::time::timeout(std::time::Duration::from_secs(60), tracking.next()).await;
        let signal = format!("{:?}", signal.expect("a signal").unwrap());
        assert!(signal.contains("Changed"), "{key}: {signal}");
    }
}

#[tokio::test]
async fn without_the_right_to_read_expiries_all_else_goes_on() {
    let options = RedisOptions::default().in_memory().user("operator", &format!(">p {WITHOUT_EXPIRY}"));
    let world = World::with(options).await;
    let store = Store::new(settings(&format!("redis://operator:p@{}/0", world.redis.address()))).unwrap();
    let mut tracking = store.track(&world.cluster);
    tracking.next().await.unwrap();
    let epoch = store.acquire_epoch().await.unwrap();
    let acme = || [Operation::from(tenant("acme", &[A]))];
    assert_eq!(store.apply(epoch, &world.cluster, &acme()).await.unwrap(), [published()]);
    assert!(store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact);
    let () = world.run(&format!("EXPIRE tenantmap:did:{A} 3600")).await;
    assert!(store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact, "the expiry isn't seen");
    let () = world.run("DEL tenantcfg:acme").await;
    assert_eq!(store.apply(epoch, &world.cluster, &acme()).await.unwrap(), [published()]);
    let removal = [Operation::Remove(tenant("acme", &[A]).removal())];
    assert_eq!(
        store.apply(epoch, &world.cluster, &removal).await.unwrap(),
        [Applied::Removed { keys: true }]
    );
}
