//! What goes when a resource goes, and what stays.

use runtime_operator::store::{Applied, Operation, Removal};

use crate::fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

#[tokio::test]
async fn a_removal_takes_mappings_config_and_record() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]);
    let empty = world.everything().await;
    world.one(acme.clone()).await;
    assert_eq!(world.one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.everything().await, empty);
    assert_eq!(world.one(Operation::Remove(acme.removal())).await, Applied::Unchanged, "twice is once");
}

#[tokio::test]
async fn a_retained_tenant_keeps_its_keys_and_loses_its_record() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.one(acme.clone()).await;
    assert_eq!(world.one(Operation::Remove(acme.retained())).await, Applied::Removed { keys: false });
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
        matches!(world.one(acme).await, Applied::Published { adopted: true, .. }),
        "and can be adopted again"
    );
}

#[tokio::test]
async fn a_removal_leaves_what_another_resource_owns() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.one(acme.clone()).await;
    let before = world.everything().await;
    let impostor = acme.clone().named("impostor").listed(&[A]).removal();
    assert_eq!(world.one(Operation::Remove(impostor)).await, Applied::NotOwned);
    assert_eq!(world.one_as("there", Operation::Remove(acme.removal())).await, Applied::NotOwned);
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn what_is_not_owned_does_not_hold_back_other_steps() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    let impostor: Operation = Operation::Remove(tenant("acme", &[]).named("impostor").removal());
    let applied = world.apply([impostor, tenant("globex", &[B]).into()]).await;
    assert_eq!(applied, [Applied::NotOwned, published()]);
}

#[tokio::test]
async fn a_removal_leaves_mappings_that_point_elsewhere() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]);
    world.one(acme.clone()).await;
    world.set(&format!("tenantmap:did:{A}"), "foreign").await;
    world.one(tenant("globex", &[B]).after(&["acme"])).await;
    assert_eq!(world.one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.maps(A).await.as_deref(), Some("foreign"));
    assert_eq!(world.maps(B).await.as_deref(), Some("globex"));
    assert_eq!(world.config("acme").await, None);
}

#[tokio::test]
async fn a_number_goes_over_in_the_call_that_removes_its_holder() {
    for retain in [false, true] {
        for heir_first in [false, true] {
            let world = World::new().await;
            world.one(tenant("acme", &[A])).await;
            let removal = Operation::Remove(Removal { retain, ..tenant("acme", &[]).removal() });
            let heir: Operation = tenant("globex", &[A]).after(&["acme"]).into();
            if retain && !heir_first {
                // A retained number has no owner any more: who waits for it goes first.
                continue;
            }
            let operations = if heir_first { [heir, removal] } else { [removal, heir] };
            let applied = world.apply(operations).await;
            assert!(applied.contains(&published()), "{applied:?}");
            assert_eq!(world.maps(A).await.as_deref(), Some("globex"));
            assert_eq!(world.config("acme").await.is_some(), retain);
        }
    }
}

#[tokio::test]
async fn without_a_record_the_numbers_of_the_status_go() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]).listed(&[A, B]);
    world.one(acme.clone()).await;
    let () = world.run("DEL runtime-operator:tenant:acme runtime-operator:dids").await;
    let () = world.run("DEL runtime-operator:tenants:here").await;
    assert_eq!(world.one(Operation::Remove(acme.retained())).await, Applied::Unchanged, "nothing to give up");
    assert_eq!(world.one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(
        world.everything().await.into_keys().collect::<Vec<_>>(),
        ["runtime-operator:epoch", "runtime-operator:epochs"]
    );
}

#[tokio::test]
async fn without_a_record_a_config_with_other_live_numbers_stays() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B])).await;
    for number in [A, B] {
        world.set(&format!("tenantmap:did:{number}"), "acme").await;
    }
    world.one(Operation::Remove(tenant("acme", &[]).listed(&[A]).removal())).await;
    assert_eq!((world.maps(A).await, world.maps(B).await.as_deref()), (None, Some("acme")));
    assert!(world.config("acme").await.is_some(), "a live number never loses its config");
}

#[tokio::test]
async fn a_tenant_that_was_never_published_leaves_an_older_publishers_alone() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A])).await;
    world.set(&format!("tenantmap:did:{A}"), "acme").await;
    assert_eq!(world.one(Operation::Remove(tenant("acme", &[A]).removal())).await, Applied::Unchanged);
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
    assert!(world.config("acme").await.is_some());
}
