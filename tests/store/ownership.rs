//! The ownership of tenant ids and DIDs, as Redis records it.

use runtime_operator::domain::{ClusterId, Uid};
use runtime_operator::store::{Applied, Conflict, Operation, TakenOver};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";
const C: &str = "+15550000003";

fn mapping(did: &str) -> String {
    format!("tenantmap:did:{did}")
}

fn held_by(name: &str, dids: &[&str]) -> Conflict {
    Conflict::HeldBy {
        uid: Uid::new(format!("uid-{name}")),
        owner: format!("voice/{name}"),
        dids: parse_dids(dids),
    }
}

#[tokio::test]
async fn a_tenant_id_is_not_taken_from_another_resource() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    assert_eq!(world.conflict(tenant("acme", &[A]).named("impostor")).await, held_by("acme", &[]));
    let forced = tenant("acme", &[A]).named("impostor").take_over();
    assert_eq!(
        world.conflict(forced).await,
        held_by("acme", &[]),
        "a take-over is for another cluster's tenants"
    );
}

#[tokio::test]
async fn a_yielding_owner_gives_up_the_tenant_id_with_its_dids() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B]).generation(9)).await;
    let applied = world.apply_one(tenant("acme", &[B, C]).named("heir").yielded_by(&["acme"])).await;
    assert_eq!(applied, Applied::Published { adopted: None, taken_over: vec![], removed: parse_dids(&[A]) });
    assert_eq!(world.store.records(&world.cluster).await.unwrap()[0].0.owner.to_string(), "voice/heir");
}

#[tokio::test]
async fn dids_of_another_resource_are_rejected_and_all_listed() {
    let world = World::new().await;
    world.apply([tenant("acme", &[A, B]), tenant("globex", &[C])]).await;
    let conflict = world.conflict(tenant("new", &["+15550000009", A, B]).take_over()).await;
    assert_eq!(conflict, held_by("acme", &[A, B]));
}

#[tokio::test]
async fn an_owned_did_is_kept_when_its_mapping_is_lost_or_redirected() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    let () = world.run(&format!("DEL {}", mapping(A))).await;
    world.set(&mapping(B), "new").await;
    assert_eq!(world.conflict(tenant("new", &[A, B])).await, held_by("acme", &[A, B]));
}

#[tokio::test]
async fn an_owned_did_is_kept_when_the_hash_of_dids_is_lost() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let () = world.run("DEL runtime-operator:dids").await;
    assert_eq!(world.conflict(tenant("new", &[A])).await, held_by("acme", &[A]));
    let again = world.apply_one(tenant("acme", &[A])).await;
    assert_eq!(again, Applied::Recorded, "the owner's next operation restores it");
}

#[tokio::test]
async fn a_hash_entry_without_a_record_is_no_owner() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let () = world.run(&format!("HSET runtime-operator:dids {B} ghost {C} acme")).await;
    assert_eq!(world.apply_one(tenant("new", &[B, C])).await, published());
    assert_eq!(world.tenant_of(C).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_transferred_did_stays_mapped_and_is_left_by_its_old_holder() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    world.apply_one(tenant("globex", &[A]).yielded_by(&["acme"])).await;
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("globex"));
    let records = world.store.records(&world.cluster).await.unwrap();
    let of = |name: &str| {
        records.iter().find(|(record, _)| record.tenant == tenant_id(name)).unwrap().0.dids.clone()
    };
    assert_eq!((of("acme"), of("globex")), (parse_dids(&[B]), parse_dids(&[A])));
    assert_eq!(
        world.apply_one(tenant("acme", &[B])).await,
        published(),
        "its config no longer lists the DID"
    );
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("globex"));
}

#[tokio::test]
async fn an_owner_published_after_it_released_dids_yields_nothing() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    let late = tenant("globex", &[A]).yielded_by_generation("acme", 1);
    world.apply_one(tenant("acme", &[A, B]).generation(3)).await;
    assert_eq!(world.conflict(late).await, held_by("acme", &[A]));
    assert_eq!(
        world.conflict(tenant("acme", &[C]).named("heir").yielded_by_generation("acme", 1)).await,
        held_by("acme", &[])
    );
    assert_eq!(world.apply_one(tenant("globex", &[A]).yielded_by_generation("acme", 3)).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("globex"));
}

#[tokio::test]
async fn drift_of_a_recorded_did_is_repaired() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    world.set(&mapping(A), "external").await;
    let () = world.run(&format!("DEL {}", mapping(B))).await;
    assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
    assert_eq!(world.tenant_of(B).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn drift_of_a_did_listed_only_in_the_status_is_repaired() {
    let world = World::new().await;
    world.set(&mapping(A), "external").await;
    assert_eq!(world.apply_one(tenant("acme", &[A]).previously_listed(&[A])).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_did_of_an_unowned_tenant_is_redirected_only_by_take_over() {
    let world = World::new().await;
    world.set(&mapping(A), "legacy").await;
    world.set(&mapping(B), "older").await;
    let conflict = world.conflict(tenant("acme", &[A, C, B])).await;
    let expected = vec![(parse_did(A), "legacy".to_owned()), (parse_did(B), "older".to_owned())];
    assert_eq!(conflict, Conflict::DidsInUse(expected));

    let Applied::Published { taken_over, .. } = world.apply_one(tenant("acme", &[A, C, B]).take_over()).await
    else {
        panic!("the take-over was rejected")
    };
    let from = "tenant legacy".to_owned();
    assert_eq!(taken_over[0], TakenOver { did: Some(parse_did(A)), from, holder: None });
    assert_eq!(taken_over.len(), 2);
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_status_alone_makes_no_did_known_beside_a_record() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    world.set(&mapping(B), "legacy").await;
    let forged = tenant("acme", &[A, B]).previously_listed(&[A, B]);
    let in_use = Conflict::DidsInUse(vec![(parse_did(B), "legacy".to_owned())]);
    assert_eq!(world.conflict(forged.clone()).await, in_use);
    assert_eq!(world.apply_one(forged.after_loss()).await, published(), "after a loss the status counts");
    let () = world.run("DEL runtime-operator:dids").await;
    world.set(&mapping(B), "legacy").await;
    assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, published(), "the record lists it");
}

#[tokio::test]
async fn a_take_over_from_one_holder_takes_from_no_other() {
    let world = World::new().await;
    world.apply_one_as("there", tenant("acme", &[A])).await;
    world.apply_one_as("there", tenant("globex", &[B])).await;
    world.set(&mapping(C), "legacy").await;
    let ours = |dids: &[&str]| tenant("acme", dids).take_over_from("there", "voice/acme");
    assert!(matches!(world.conflict(ours(&[A, B])).await, Conflict::OwnedElsewhere { .. }));
    assert!(matches!(world.conflict(ours(&[A, C])).await, Conflict::DidsInUse(_)));
    let other = tenant("acme", &[A]).take_over_from("elsewhere", "voice/acme");
    assert!(matches!(world.conflict(other).await, Conflict::OwnedElsewhere { .. }));
    let Applied::Published { taken_over, .. } = world.apply_one(ours(&[A])).await else { panic!("rejected") };
    assert_eq!(taken_over.len(), 1);
    let taken: String = world.run("HGET runtime-operator:tenant:acme taken").await;
    assert_eq!(taken, "uid-acme there", "the record notes from whom");
    assert_eq!(world.apply_one(ours(&[A])).await, Applied::Unchanged);
}

#[tokio::test]
async fn a_did_redirected_externally_to_a_managed_tenant_is_free() {
    let world = World::new().await;
    world.apply_one(tenant("globex", &[B])).await;
    world.set(&mapping(A), "globex").await;
    assert_eq!(world.apply_one(tenant("acme", &[A])).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_key_of_another_type_is_overwritten() {
    let world = World::new().await;
    let () = world.run(&format!("SADD {} x", mapping(A))).await;
    let () = world.run("SADD tenantcfg:acme x").await;
    assert_eq!(world.apply_one(tenant("acme", &[A])).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn an_older_publishers_tenant_is_adopted() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A])).await;
    world.set(&mapping(A), "acme").await;
    let applied = world.apply_one(tenant("acme", &[A, B])).await;
    let Applied::Published { adopted: Some(adopted), taken_over, removed } = applied else {
        panic!("{applied:?}")
    };
    assert_eq!((taken_over, removed), (vec![], vec![]));
    assert_eq!(adopted.to_string(), "changed: dids, text");
    assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, Applied::Unchanged);
}

#[tokio::test]
async fn an_adoption_that_would_unmap_a_did_is_rejected() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B, C])).await;
    for did in [A, B] {
        world.set(&mapping(did), "acme").await;
    }
    // C is listed but not mapped: its adoption unmaps nothing.
    assert_eq!(world.conflict(tenant("acme", &[A])).await, Conflict::WouldUnmap(parse_dids(&[B])));
    let applied = world.apply_one(tenant("acme", &[A]).take_over()).await;
    let Applied::Published { adopted: Some(_), removed, .. } = applied else { panic!("{applied:?}") };
    assert_eq!(removed, parse_dids(&[B]));
    assert_eq!(world.tenant_of(B).await, None);
}

#[tokio::test]
async fn an_adoption_may_unmap_dids_listed_in_the_status() {
    let world = World::new().await;
    world.set("tenantcfg:acme", &config("acme", &[A, B])).await;
    for did in [A, B] {
        world.set(&mapping(did), "acme").await;
    }
    let applied = world.apply_one(tenant("acme", &[A]).previously_listed(&[A, B])).await;
    assert_eq!(applied, Applied::Published { adopted: None, taken_over: vec![], removed: parse_dids(&[B]) });
}

#[tokio::test]
async fn an_invalid_old_config_lists_no_dids() {
    for broken in ["{", "[]", "null", r#"{"dids":7}"#, r#"{"dids":[null,3,{}]}"#] {
        let world = World::new().await;
        world.set("tenantcfg:acme", broken).await;
        let applied = world.apply_one(tenant("acme", &[A])).await;
        assert!(matches!(applied, Applied::Published { adopted: Some(_), .. }), "{broken}: {applied:?}");
    }
}

#[tokio::test]
async fn an_empty_config_is_no_config_and_is_removed_with_its_tenant() {
    let world = World::new().await;
    world.set("tenantcfg:acme", "").await;
    let acme = tenant("acme", &[A]);
    let applied = world.apply_one(acme.clone()).await;
    assert!(matches!(applied, Applied::Published { adopted: None, .. }), "{applied:?}");
    world.set("tenantcfg:acme", "").await;
    world.apply_one(Operation::Remove(acme.removal())).await;
    assert_eq!(world.run::<u8>("EXISTS tenantcfg:acme").await, 0);
}

#[tokio::test]
async fn dids_of_another_cluster_are_taken_only_by_take_over() {
    let world = World::new().await;
    world.apply_one_as("there", tenant("acme", &[A])).await;
    world.apply_one_as("there", tenant("globex", &[B, C])).await;
    let owned = |owner: &str, dids: &[&str]| Conflict::OwnedElsewhere {
        cluster: ClusterId::new("there"),
        owner: owner.to_owned(),
        dids: parse_dids(dids),
    };
    assert_eq!(world.conflict(tenant("acme", &[A])).await, owned("voice/acme", &[]));
    let ours = tenant("new", &[A, B]);
    assert_eq!(
        world.conflict(ours.clone().yielded_by(&["acme"])).await,
        owned("voice/acme, voice/globex", &[A, B])
    );

    let Applied::Published { taken_over, .. } = world.apply_one(ours.take_over()).await else {
        panic!("rejected")
    };
    let texts: Vec<String> = taken_over.iter().map(ToString::to_string).collect();
    assert_eq!(texts[0], format!("{A} from voice/acme of cluster there"));
    assert_eq!(texts[1], format!("{B} from voice/globex of cluster there"));
    let theirs = world.store.records(&ClusterId::new("there")).await.unwrap();
    let left: Vec<_> = theirs.iter().flat_map(|(record, _)| record.dids.clone()).collect();
    assert_eq!(left, parse_dids(&[C]), "their records no longer list what was taken");
}

#[tokio::test]
async fn a_tenant_id_taken_over_leaves_the_other_clusters_index() {
    let world = World::new().await;
    world.apply_one_as("there", tenant("acme", &[A, B])).await;
    let applied = world.apply_one(tenant("acme", &[A]).take_over()).await;
    let holder = Some((ClusterId::new("there"), Uid::from("uid-acme")));
    let from = TakenOver { did: None, from: "voice/acme of cluster there".to_owned(), holder };
    assert_eq!(
        applied,
        Applied::Published { adopted: None, taken_over: vec![from], removed: parse_dids(&[B]) }
    );
    assert!(world.store.records(&ClusterId::new("there")).await.unwrap().is_empty());
    assert_eq!(world.run::<i64>("SCARD runtime-operator:tenants:there").await, 0);
    assert_eq!(world.store.records(&world.cluster).await.unwrap().len(), 1);
}
