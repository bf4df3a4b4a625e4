//! Publications: what they write, whom they fence, and operations that share a call.

use runtime_operator::domain::{ClusterId, Epoch};
use runtime_operator::store::{Applied, Conflict, Operation, Store, StoreError};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";
const C: &str = "+15550000003";

#[tokio::test]
async fn a_publication_stores_its_exact_bytes_and_maps_its_dids() {
    let world = World::new().await;
    let acme = tenant("acme", &[A, B]).with_text("naïve \u{1f4de} \\ \"");
    assert_eq!(world.apply_one(acme.clone()).await, published());
    assert_eq!(world.config("acme").await, Some(acme.json()));
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
    assert_eq!(world.tenant_of(B).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn the_record_holds_owner_dids_and_secret_version() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[B, A]).generation(7)).await;
    let records = world.store.records(&world.cluster).await.unwrap();
    let [(record, true)] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((record.owner.to_string().as_str(), record.owner.uid.as_str()), ("voice/acme", "uid-acme"));
    assert_eq!((record.generation, record.cluster.as_str()), (7, "here"));
    assert_eq!((record.secret.as_str(), record.hash.as_str()), ("reference", "hash"));
    assert_eq!(record.dids, parse_dids(&[B, A]), "in the order of the config");
    let stored = world.get("tenantcfg:acme").await.unwrap();
    let sha1: String = redis::Script::new("return redis.sha1hex(ARGV[1])")
        .arg(stored)
        .invoke_async(&mut world.raw.clone())
        .await
        .unwrap();
    assert_eq!(record.sha1, sha1);
}

#[tokio::test]
async fn a_repeated_publication_calls_no_write_command() {
    let world = World::new().await;
    let both = || [tenant("acme", &[A, B]), tenant("globex", &[C])];
    world.apply(both()).await;
    let (calls, everything) = (world.write_commands().await, world.everything().await);
    assert!(calls > 0, "the counter counts");
    assert_eq!(world.apply(both()).await, [Applied::Unchanged, Applied::Unchanged]);
    assert_eq!(world.write_commands().await, calls);
    assert_eq!(world.everything().await, everything);
}

#[tokio::test]
async fn only_differing_keys_are_written() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    let calls = world.write_commands().await;
    world.set(&format!("tenantmap:did:{A}"), "stranger").await;
    assert_eq!(world.apply_one(tenant("acme", &[A, B])).await, published());
    assert_eq!(world.write_commands().await, calls + 2, "the test's own and one that repairs");
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_released_did_is_unmapped_in_the_same_operation() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    let applied = world.apply_one(tenant("acme", &[B, C])).await;
    assert_eq!(applied, Applied::Published { adopted: None, taken_over: vec![], removed: parse_dids(&[A]) });
    assert_eq!((world.tenant_of(A).await, world.tenant_of(C).await.as_deref()), (None, Some("acme")));
}

#[tokio::test]
async fn a_released_did_that_maps_elsewhere_is_left_alone() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A, B])).await;
    world.set(&format!("tenantmap:did:{A}"), "external").await;
    assert_eq!(world.apply_one(tenant("acme", &[B])).await, published());
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("external"));
}

#[tokio::test]
async fn a_later_generation_is_never_undone_by_an_earlier_one() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A]).generation(10)).await;
    assert_eq!(world.conflict(tenant("acme", &[B]).generation(9)).await, Conflict::Stale { generation: 10 });
    let same = world.apply_one(tenant("acme", &[A]).generation(11)).await;
    assert_eq!(same, Applied::Recorded, "the keys that the runtime reads are unchanged");
}

#[tokio::test]
async fn a_superseded_writer_is_fenced_and_writes_nothing() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    let next = world.store.acquire_epoch().await.unwrap();
    let before = world.everything().await;
    let operations = [tenant("acme", &[B]).into(), Operation::Remove(tenant("acme", &[]).removal())];
    for operation in operations {
        let error = world.try_apply([operation]).await.unwrap_err();
        assert_eq!(error, StoreError::Fenced { current: Some(next) });
        assert_eq!(error.reason().as_str(), "Fenced");
    }
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn a_lost_counter_fences_writers_and_continues_above_every_seen_epoch() {
    let world = World::new().await;
    for _ in 0..3 {
        world.store.acquire_epoch().await.unwrap();
    }
    let () = world.run("FLUSHALL").await;
    let error = world.try_apply([tenant("acme", &[A])]).await.unwrap_err();
    assert_eq!(error, StoreError::Fenced { current: None });
    assert!(world.everything().await.is_empty());
    assert_eq!(world.store.acquire_epoch().await.unwrap(), Epoch(5));
    assert_eq!(world.store.acquire_epoch().await.unwrap(), Epoch(6));
    assert_eq!(world.get("runtime-operator:epoch").await.as_deref(), Some("6"));
}

#[tokio::test]
async fn of_two_processes_with_the_same_epoch_only_the_later_writes() {
    let world = World::new().await;
    let process = |name| Store::new(settings(&world.redis.url())).unwrap().with_writer("one", name);
    let (first, second) = (process("first"), process("second"));
    let () = world.run("FLUSHALL").await;
    let epoch = first.acquire_epoch().await.unwrap();
    let () = world.run("FLUSHALL").await;
    assert_eq!(second.acquire_epoch().await.unwrap(), epoch, "it has never seen the lost epoch");

    let operations = [Operation::from(tenant("acme", &[A]))];
    let fenced = first.apply(epoch, &world.cluster, &operations).await;
    assert_eq!(fenced, Err(StoreError::Fenced { current: Some(epoch) }));
    assert_eq!(second.apply(epoch, &world.cluster, &operations).await.unwrap(), [published()]);
}

#[tokio::test]
async fn after_a_flush_the_same_publications_restore_everything() {
    let mut world = World::new().await;
    let operations =
        || [tenant("acme", &[A]).previously_listed(&[A]), tenant("globex", &[B]).previously_listed(&[B])];
    world.apply(operations()).await;
    let before = world.everything().await;
    let () = world.run("FLUSHALL").await;
    world.epoch = world.store.acquire_epoch().await.unwrap();
    assert_eq!(world.apply(operations()).await, [published(), published()]);
    let mut after = world.everything().await;
    for key in ["runtime-operator:epoch", "runtime-operator:epochs"] {
        after.insert(key.to_owned(), before[key].clone());
    }
    assert_eq!(after, before);
}

#[tokio::test]
async fn one_rejected_operation_aborts_all_others() {
    let world = World::new().await;
    world.set(&format!("tenantmap:did:{C}"), "external").await;
    let before = world.everything().await;
    let applied = world.apply([tenant("acme", &[A]), tenant("globex", &[C]), tenant("initech", &[B])]).await;
    assert_eq!(applied[0], Applied::Aborted);
    assert!(matches!(applied[1], Applied::Rejected(Conflict::DidsInUse(_))), "{applied:?}");
    assert_eq!(applied[2], Applied::Aborted);
    assert_eq!(world.everything().await, before);
}

#[tokio::test]
async fn two_tenants_exchange_dids_in_one_call() {
    let world = World::new().await;
    world.apply([tenant("acme", &[A, C]), tenant("globex", &[B])]).await;
    let applied = world
        .apply([
            tenant("acme", &[B, C]).yielded_by(&["globex"]),
            tenant("globex", &[A]).yielded_by(&["acme"]),
        ])
        .await;
    assert_eq!(applied, [published(), published()], "no did was unmapped in between");
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("globex"));
    assert_eq!(world.tenant_of(B).await.as_deref(), Some("acme"));
    assert_eq!(world.tenant_of(C).await.as_deref(), Some("acme"));
    let again = world.apply([tenant("acme", &[B, C]), tenant("globex", &[A])]).await;
    assert_eq!(again, [Applied::Unchanged, Applied::Unchanged]);
}

#[tokio::test]
async fn three_tenants_rotate_dids_in_one_call() {
    let world = World::new().await;
    world.apply([tenant("a", &[A]), tenant("b", &[B]), tenant("c", &[C])]).await;
    let applied = world
        .apply([
            tenant("a", &[B]).yielded_by(&["b"]),
            tenant("b", &[C]).yielded_by(&["c"]),
            tenant("c", &[A]).yielded_by(&["a"]),
        ])
        .await;
    assert_eq!(applied, [published(), published(), published()]);
    for (did, holder) in [(A, "c"), (B, "a"), (C, "b")] {
        assert_eq!(world.tenant_of(did).await.as_deref(), Some(holder));
    }
}

#[tokio::test]
async fn a_did_of_an_earlier_operation_of_the_call_is_held() {
    let world = World::new().await;
    let applied = world.apply([tenant("acme", &[A]), tenant("globex", &[A])]).await;
    assert_eq!(applied[0], Applied::Aborted);
    let Applied::Rejected(Conflict::HeldBy { uid, owner, dids }) = &applied[1] else { panic!("{applied:?}") };
    assert_eq!((uid.as_str(), owner.as_str(), dids), ("uid-acme", "voice/acme", &parse_dids(&[A])));
}

#[tokio::test]
async fn an_empty_list_of_operations_causes_no_call() {
    let world = World::new().await;
    let none = world.store.apply(Epoch(0), &ClusterId::new("x"), &[] as &[Operation]).await;
    assert_eq!(none, Ok(vec![]));
}

#[tokio::test]
async fn two_writers_do_not_fence_each_other() {
    let world = World::new().await;
    let other = world.store.clone().with_writer("other", "");
    let other_epoch = other.acquire_epoch().await.unwrap();
    assert!(other_epoch > world.epoch, "no epoch is given out twice");
    world.apply_one(tenant("acme", &[A])).await;
    let () = world.run("INCR runtime-operator:epoch").await;
    for (store, epoch) in [(&world.store, world.epoch), (&other, other_epoch)] {
        let operations = [Operation::from(tenant("globex", &[B]))];
        let fenced = store.apply(epoch, &world.cluster, &operations).await;
        assert!(
            matches!(fenced, Err(StoreError::Fenced { .. })),
            "a counter that another client moved fences both"
        );
    }
}
