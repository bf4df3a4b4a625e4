//! Whether Redis still holds what the records say, asked without reading a config.

use runtime_operator::contract::TenantId;
use runtime_operator::domain::ClusterId;
use runtime_operator::store::Applied;

use crate::fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

async fn intact(world: &World) -> bool {
    let [inspection] = world.store.inspect(&[id("acme")]).await.unwrap().try_into().unwrap();
    assert!(inspection.record.is_some());
    inspection.intact
}

#[tokio::test]
async fn what_was_published_is_intact() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    assert!(intact(&world).await);
}

#[tokio::test]
async fn any_harm_is_seen_and_repaired_by_the_same_publication() {
    let world = World::new().await;
    for harm in [
        "SET tenantcfg:acme {}",
        "DEL tenantcfg:acme",
        "DEL tenantmap:did:+15550000002",
        "SET tenantmap:did:+15550000001 foreign",
        "HDEL runtime-operator:dids +15550000001",
        "SREM runtime-operator:tenants:here acme",
    ] {
        world.one(tenant("acme", &[A, B])).await;
        let _: redis::Value = world.run(harm).await;
        assert!(!intact(&world).await, "{harm}");
        // An index is nothing that the runtime reads.
        let repaired = if harm.contains("runtime-operator:") { Applied::Recorded } else { published() };
        assert_eq!(world.one(tenant("acme", &[A, B])).await, repaired, "{harm}");
        assert!(intact(&world).await, "{harm}");
    }
    let () = world.run("DEL tenantcfg:acme").await;
    let _: redis::Value = world.run("SADD tenantcfg:acme of-another-type").await;
    assert!(!intact(&world).await);
}

#[tokio::test]
async fn many_tenants_are_inspected_at_once_in_their_order() {
    let world = World::new().await;
    let name = |n: usize| format!("tenant-{n}");
    let number = |n: usize| format!("+1555{n:07}");
    world.apply((0..100).filter(|n| n % 3 != 0).map(|n| tenant(&name(n), &[&number(n)]))).await;
    let tenants: Vec<TenantId> = (0..100).map(|n| id(&name(n))).collect();
    // Scripts that Redis forgot are given again.
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
async fn the_records_of_a_cluster_are_its_own() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    world.one_as("there", tenant("globex", &[B])).await;
    let of = async |cluster: &str| {
        let records = world.store.records(&ClusterId::new(cluster)).await.unwrap();
        records.iter().map(|(record, _)| record.tenant.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(of("here").await, ["acme"]);
    assert_eq!(of("there").await, ["globex"]);
    assert!(of("nowhere").await.is_empty());
    let () = world.run("DEL runtime-operator:tenant:acme").await;
    assert!(of("here").await.is_empty(), "an index entry without a record is no record");
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let world = World::new().await;
    assert_eq!(world.maps(A).await, None);
    assert_eq!(world.config("acme").await, None);
}
