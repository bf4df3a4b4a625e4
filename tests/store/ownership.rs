//! Who owns a tenant id or a number, by what Redis holds.

use runtime_operator::domain::{ClusterId, Uid};
use runtime_operator::store::{Applied, Conflict, TakenOver};

use crate::fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";
const C: &str = "+15550000003";

fn mapping(number: &str) -> String {
    format!("tenantmap:did:{number}")
}

fn held_by(name: &str, numbers: &[&str]) -> Conflict {
    Conflict::HeldBy {
        uid: Uid::new(format!("uid-{name}")),
        owner: format!("voice/{name}"),
        dids: dids(numbers),
    }
}

#[tokio::test]
async fn a_tenant_id_is_not_taken_from_another_resource() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    assert_eq!(world.refusal(tenant("acme", &[A]).named("impostor")).await, held_by("acme", &[]));
    let forced = tenant("acme", &[A]).named("impostor").take_over();
    assert_eq!(world.refusal(forced).await, held_by("acme", &[]), "take-over is not for the same cluster");
}

#[tokio::test]
async fn a_predecessor_yields_the_tenant_id_with_its_numbers() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B]).generation(9)).await;
    let applied = world.one(tenant("acme", &[B, C]).named("heir").after(&["acme"])).await;
    assert_eq!(applied, Applied::Published { adopted: false, taken_over: vec![], removed: dids(&[A]) });
    assert_eq!(world.store.records(&world.cluster).await.unwrap()[0].0.owner.to_string(), "voice/heir");
}

#[tokio::test]
async fn numbers_of_another_resource_are_refused_and_all_named() {
    let world = World::new().await;
    world.apply([tenant("acme", &[A, B]), tenant("globex", &[C])]).await;
    let refusal = world.refusal(tenant("new", &["+15550000009", A, B]).take_over()).await;
    assert_eq!(refusal, held_by("acme", &[A, B]));
}

#[tokio::test]
async fn a_number_stays_its_owners_when_its_mapping_is_lost_or_hijacked() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    let () = world.run(&format!("DEL {}", mapping(A))).await;
    world.set(&mapping(B), "new").await;
    assert_eq!(world.refusal(tenant("new", &[A, B])).await, held_by("acme", &[A, B]));
}

#[tokio::test]
async fn a_number_stays_its_owners_when_the_hash_of_numbers_is_lost() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    let () = world.run("DEL runtime-operator:dids").await;
    assert_eq!(world.refusal(tenant("new", &[A])).await, held_by("acme", &[A]));
    let again = world.one(tenant("acme", &[A])).await;
    assert_eq!(again, Applied::Recorded, "its owner's next operation brings it back");
}

#[tokio::test]
async fn an_entry_of_the_hash_without_a_record_is_no_owner() {
    let world = World::new().await;
    world.one(tenant("acme", &[A])).await;
    let () = world.run(&format!("HSET runtime-operator:dids {B} ghost {C} acme")).await;
    assert_eq!(world.one(tenant("new", &[B, C])).await, published());
    assert_eq!(world.maps(C).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_number_goes_over_without_a_gap_and_the_old_holder_leaves_it_alone() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    world.one(tenant("globex", &[A]).after(&["acme"])).await;
    assert_eq!(world.maps(A).await.as_deref(), Some("globex"));
    let records = world.store.records(&world.cluster).await.unwrap();
    let of =
        |name: &str| records.iter().find(|(record, _)| record.tenant == id(name)).unwrap().0.dids.clone();
    assert_eq!((of("acme"), of("globex")), (dids(&[B]), dids(&[A])));
    assert_eq!(world.one(tenant("acme", &[B])).await, published(), "its config no longer lists the number");
    assert_eq!(world.maps(A).await.as_deref(), Some("globex"));
}

#[tokio::test]
async fn an_owner_that_was_published_since_it_let_go_yields_nothing() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    let late = tenant("globex", &[A]).after_generation("acme", 1);
    world.one(tenant("acme", &[A, B]).generation(3)).await;
    assert_eq!(world.refusal(late).await, held_by("acme", &[A]));
    assert_eq!(
        world.refusal(tenant("acme", &[C]).named("heir").after_generation("acme", 1)).await,
        held_by("acme", &[])
    );
    assert_eq!(world.one(tenant("globex", &[A]).after_generation("acme", 3)).await, published());
    assert_eq!(world.maps(A).await.as_deref(), Some("globex"));
}

#[tokio::test]
async fn drift_of_a_recorded_number_is_set_right() {
    let world = World::new().await;
    world.one(tenant("acme", &[A, B])).await;
    world.set(&mapping(A), "foreign").await;
    let () = world.run(&format!("DEL {}", mapping(B))).await;
    assert_eq!(world.one(tenant("acme", &[A, B])).await, published());
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
    assert_eq!(world.maps(B).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn drift_of_a_number_that_only_the_status_knows_is_set_right() {
    let world = World::new().await;
    world.set(&mapping(A), "foreign").await;
    assert_eq!(world.one(tenant("acme", &[A]).listed(&[A])).await, published());
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_number_mapped_to_a_tenant_nobody_owns_is_never_rerouted_unasked() {
    let world = World::new().await;
    world.set(&mapping(A), "legacy").await;
    world.set(&mapping(B), "older").await;
    let refusal = world.refusal(tenant("acme", &[A, C, B])).await;
    let expected = vec![(did(A), "legacy".to_owned()), (did(B), "older".to_owned())];
    assert_eq!(refusal, Conflict::DidsInUse(expected));

    let Applied::Published { taken_over, .. } = world.one(tenant("acme", &[A, C, B]).take_over()).await
    else {
        panic!("take-over was refused")
    };
    assert_eq!(taken_over[0], TakenOver { did: Some(did(A)), from: "tenant legacy".to_owned() });
    assert_eq!(taken_over.len(), 2);
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_number_broken_from_outside_onto_a_managed_tenant_is_free() {
    let world = World::new().await;
    world.one(tenant("globex", &[B])).await;
    world.set(&mapping(A), "globex").await;
    assert_eq!(world.one(tenant("acme", &[A])).await, published());
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_key_of_another_type_is_overwritten() {
    let world = World::new().await;
    let () = world.run(&format!("SADD {} x", mapping(A))).await;
    let () = world.run("SADD tenantcfg:acme x").await;
    assert_eq!(world.one(tenant("acme", &[A])).await, published());
    assert_eq!(world.maps(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn an_older_publishers_tenant_is_adopted() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A])).await;
    world.set(&mapping(A), "acme").await;
    let applied = world.one(tenant("acme", &[A, B])).await;
    assert_eq!(applied, Applied::Published { adopted: true, taken_over: vec![], removed: vec![] });
    assert_eq!(world.one(tenant("acme", &[A, B])).await, Applied::Unchanged);
}

#[tokio::test]
async fn adoption_waits_where_it_would_unmap_a_live_number() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B, C])).await;
    for number in [A, B] {
        world.set(&mapping(number), "acme").await;
    }
    // C is listed, but maps to nothing: adoption takes nothing away.
    assert_eq!(world.refusal(tenant("acme", &[A])).await, Conflict::WouldUnmap(dids(&[B])));
    let applied = world.one(tenant("acme", &[A]).take_over()).await;
    assert_eq!(applied, Applied::Published { adopted: true, taken_over: vec![], removed: dids(&[B]) });
    assert_eq!(world.maps(B).await, None);
}

#[tokio::test]
async fn a_number_that_the_status_knows_may_go_on_adoption() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B])).await;
    for number in [A, B] {
        world.set(&mapping(number), "acme").await;
    }
    let applied = world.one(tenant("acme", &[A]).listed(&[A, B])).await;
    assert_eq!(applied, Applied::Published { adopted: false, taken_over: vec![], removed: dids(&[B]) });
}

#[tokio::test]
async fn a_broken_old_config_lists_nothing() {
    for broken in ["{", "[]", "null", r#"{"dids":7}"#, r#"{"dids":[null,3,{}]}"#, ""] {
        let world = World::new().await;
        world.set("tenantcfg:acme", broken).await;
        let applied = world.one(tenant("acme", &[A])).await;
        assert!(matches!(applied, Applied::Published { adopted: true, .. }), "{broken}: {applied:?}");
    }
}

#[tokio::test]
async fn what_another_cluster_owns_is_taken_only_when_told_to() {
    let world = World::new().await;
    world.one_as("there", tenant("acme", &[A])).await;
    world.one_as("there", tenant("globex", &[B, C])).await;
    let owned = |owner: &str, numbers: &[&str]| Conflict::OwnedElsewhere {
        cluster: ClusterId::new("there"),
        owner: owner.to_owned(),
        dids: dids(numbers),
    };
    assert_eq!(world.refusal(tenant("acme", &[A])).await, owned("voice/acme", &[]));
    let ours = tenant("new", &[A, B]);
    assert_eq!(
        world.refusal(ours.clone().after(&["acme"])).await,
        owned("voice/acme, voice/globex", &[A, B])
    );

    let Applied::Published { taken_over, .. } = world.one(ours.take_over()).await else { panic!("rejected") };
    let told: Vec<String> = taken_over.iter().map(ToString::to_string).collect();
    assert_eq!(told[0], format!("{A} from voice/acme of cluster there"));
    assert_eq!(told[1], format!("{B} from voice/globex of cluster there"));
    let theirs = world.store.records(&ClusterId::new("there")).await.unwrap();
    let left: Vec<_> = theirs.iter().flat_map(|(record, _)| record.dids.clone()).collect();
    assert_eq!(left, dids(&[C]), "their records no longer list what was taken");
}

#[tokio::test]
async fn a_tenant_id_taken_over_leaves_the_other_clusters_index() {
    let world = World::new().await;
    world.one_as("there", tenant("acme", &[A, B])).await;
    let applied = world.one(tenant("acme", &[A]).take_over()).await;
    let from = TakenOver { did: None, from: "voice/acme of cluster there".to_owned() };
    assert_eq!(applied, Applied::Published { adopted: false, taken_over: vec![from], removed: dids(&[B]) });
    assert!(world.store.records(&ClusterId::new("there")).await.unwrap().is_empty());
    assert_eq!(world.run::<i64>("SCARD runtime-operator:tenants:there").await, 0);
    assert_eq!(world.store.records(&world.cluster).await.unwrap().len(), 1);
}
