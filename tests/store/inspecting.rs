//! The comparison of Redis with the ownership records, without reading a config.

use runtime_operator::contract::TenantId;
use runtime_operator::domain::ClusterId;
use runtime_operator::store::Applied;

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

async fn intact(world: &World) -> bool {
    let [inspection] = world.store.inspect(&[tenant_id("acme")]).await.unwrap().try_into().unwrap();
    assert!(inspection.record.is_some());
    inspection.intact
}

#[tokio::test]
async fn a_published_tenant_is_intact() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    assert!(intact(&world).await);
}

#[tokio::test]
async fn any_drift_is_detected_and_repaired_by_the_same_publication() {
    let world = World::new().await;
    for change in [
        "SET tenantcfg:acme {}",
        "DEL tenantcfg:acme",
        "DEL tenantmap:did:+15550000002",
        "SET tenantmap:did:+15550000001 external",
        "HDEL runtime-operator:dids +15550000001",
        "SREM runtime-operator:tenants:here acme",
    ] {
        world.apply_one(tenant("acme", &[A, B])).await;
        let _: redis::Value = world.run(change).await;
        assert!(!intact(&world).await, "{change}");
        // The runtime does not read the indexes.
        let repaired = if change.contains("runtime-operator:") { Applied::Recorded } else { published() };
        assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, repaired, "{change}");
        assert!(intact(&world).await, "{change}");
    }
    let () = world.run("DEL tenantcfg:acme").await;
    let _: redis::Value = world.run("SADD tenantcfg:acme of-another-type").await;
    assert!(!intact(&world).await);
}

#[tokio::test]
async fn many_tenants_are_inspected_in_one_call_in_their_order() {
    let world = World::new().await;
    let name = |n: usize| format!("tenant-{n}");
    let did = |n: usize| format!("+1555{n:07}");
    world.apply((0..100).filter(|n| n % 3 != 0).map(|n| tenant(&name(n), &[&did(n)]))).await;
    let tenants: Vec<TenantId> = (0..100).map(|n| tenant_id(&name(n))).collect();
    // Scripts that Redis forgot are loaded again.
    let () = world.run("SCRIPT FLUSH").await;
    let inspections = world.store.inspect(&tenants).await.unwrap();
    assert_eq!(inspections.len(), 100);
    for (n, inspection) in inspections.iter().enumerate() {
        assert_eq!(inspection.intact, n % 3 != 0, "{n}");
        assert_eq!(
            inspection.record.as_ref().map(|record| record.tenant.as_str()),
            (n % 3 != 0).then_some(name(n)).as_deref()
        );
    }
    assert_eq!(world.store.inspect(&[]).await, Ok(vec![]));
}

#[tokio::test]
async fn records_are_listed_per_cluster() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    world.apply_one_as("there", tenant("globex", &[B])).await;
    let of = async |cluster: &str| {
        let records = world.store.records(&ClusterId::new(cluster)).await.unwrap();
        records.iter().map(|(record, _)| record.tenant.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("here").await, ["acme"]);
    assert_eq!(of("there").await, ["globex"]);
    assert!(of("nowhere").await.is_empty());
    let () = world.run("DEL runtime-operator:tenant:acme").await;
    assert!(of("here").await.is_empty(), "an index entry without a record counts for nothing");
}

#[tokio::test]
async fn absent_keys_are_none() {
    let world = World::new().await;
    assert_eq!(world.tenant_of(A).await, None);
    assert_eq!(world.config("acme").await, None);
}
