//! Removals: the keys that they delete, and the keys that they keep.

use runtime_operator::store::{Applied, Operation, Removal};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

#[tokio::test]
async fn a_removal_deletes_mappings_config_and_record() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]);
    let empty = world.everything().await;
    world.apply_one(acme.clone()).await;
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.everything().await, empty);
    assert_eq!(
        world.apply_one(Operation::Remove(acme.removal())).await,
        Applied::Unchanged,
        "a repeated removal writes nothing"
    );
}

#[tokio::test]
async fn a_retained_tenant_keeps_its_keys_and_loses_its_record() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.apply_one(acme.clone()).await;
    assert_eq!(world.apply_one(Operation::Remove(acme.retained())).await, Applied::Removed { keys: false });
    let left: Vec<String> = world.everything().await.into_keys().collect();
    assert_eq!(
        left,
        [
            "runtime-operator:epoch".to_owned(),
            "runtime-operator:epochs".to_owned(),
            "tenantcfg:acme".to_owned(),
            format!("tenantmap:did:{A}"),
        ]
    );
    assert!(
        matches!(world.apply_one(acme).await, Applied::Published { adopted: Some(_), .. }),
        "it can be adopted again"
    );
}

#[tokio::test]
async fn a_removal_of_another_resources_tenant_writes_nothing() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.apply_one(acme.clone()).await;
    let before = world.everything().await;
    let impostor = acme.clone().named("impostor").previously_listed(&[A]).removal();
    assert_eq!(world.apply_one(Operation::Remove(impostor)).await, Applied::NotOwned);
    assert_eq!(world.apply_one_as("there", Operation::Remove(acme.removal())).await, Applied::NotOwned);
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn a_removal_that_is_not_owned_does_not_abort_other_operations() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let impostor: Operation = Operation::Remove(tenant("acme", &[]).named("impostor").removal());
    let applied = world.apply([impostor, tenant("globex", &[B]).into()]).await;
    assert_eq!(applied, [Applied::NotOwned, published()]);
}

#[tokio::test]
async fn a_removal_leaves_mappings_to_other_tenants() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]);
    world.apply_one(acme.clone()).await;
    world.set(&format!("tenantmap:did:{A}"), "external").await;
    world.apply_one(tenant("globex", &[B]).yielded_by(&["acme"])).await;
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("external"));
    assert_eq!(world.tenant_of(B).await.as_deref(), Some("globex"));
    assert_eq!(world.config("acme").await, None);
}

#[tokio::test]
async fn a_did_is_transferred_in_the_call_that_removes_its_holder() {
    for retain in [false, true] {
        for heir_first in [false, true] {
            let world = World::new().await;
            world.apply_one(tenant("acme", &[A])).await;
            let removal = Operation::Remove(Removal { retain, ..tenant("acme", &[]).removal() });
            let heir: Operation = tenant("globex", &[A]).yielded_by(&["acme"]).into();
            if retain && !heir_first {
                // A retained DID has no owner any more, so its next owner must come first.
                continue;
            }
            let operations = if heir_first { [heir, removal] } else { [removal, heir] };
            let applied = world.apply(operations).await;
            assert!(applied.contains(&published()), "{applied:?}");
            assert_eq!(world.tenant_of(A).await.as_deref(), Some("globex"));
            assert_eq!(world.config("acme").await.is_some(), retain);
        }
    }
}

#[tokio::test]
async fn a_removal_without_a_record_unmaps_the_dids_in_the_status() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]).previously_listed(&[A, B]);
    world.apply_one(acme.clone()).await;
    let () = world.run("DEL runtime-operator:tenant:acme runtime-operator:dids").await;
    let () = world.run("DEL runtime-operator:tenants:here").await;
    assert_eq!(
        world.apply_one(Operation::Remove(acme.retained())).await,
        Applied::Unchanged,
        "there is no record to remove"
    );
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(
        world.everything().await.into_keys().collect::<Vec<_>>(),
        ["runtime-operator:epoch", "runtime-operator:epochs"]
    );
}

#[tokio::test]
async fn a_removal_without_a_record_keeps_a_config_with_other_mapped_dids() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B])).await;
    for did in [A, B] {
        world.set(&format!("tenantmap:did:{did}"), "acme").await;
    }
    world.apply_one(Operation::Remove(tenant("acme", &[]).previously_listed(&[A]).removal())).await;
    assert_eq!((world.tenant_of(A).await, world.tenant_of(B).await.as_deref()), (None, Some("acme")));
    assert!(world.config("acme").await.is_some(), "a mapped DID never loses its config");
}

#[tokio::test]
async fn a_removal_before_any_publication_leaves_an_older_publishers_tenant() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A])).await;
    world.set(&format!("tenantmap:did:{A}"), "acme").await;
    assert_eq!(world.apply_one(Operation::Remove(tenant("acme", &[A]).removal())).await, Applied::Unchanged);
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
    assert!(world.config("acme").await.is_some());
}
