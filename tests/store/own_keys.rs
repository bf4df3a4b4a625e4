//! The operator's own keys are trusted no more than the contract's: a wrong type or an absurd value counts as lost, and
//! is made good.

use runtime_operator::domain::index::Recorded;
use runtime_operator::domain::{ClusterId, Epoch, Uid};
use runtime_operator::store::{Applied, Operation, Store, StoreError, WriteError, WriterNote};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";

const EPOCH: &str = "runtime-operator:epoch";
const EPOCHS: &str = "runtime-operator:epochs";
const DIDS: &str = "runtime-operator:dids";
const TENANTS: &str = "runtime-operator:tenants:here";
const RECORD: &str = "runtime-operator:tenant:acme";

/// Replaces a key by one of another type than each own key has.
async fn spoil(world: &World, key: &str) {
    let _: i64 = world.run(&format!("DEL {key}")).await;
    let _: i64 = world.run(&format!("RPUSH {key} x")).await;
}

async fn type_of(world: &World, key: &str) -> String {
    world.run(&format!("TYPE {key}")).await
}

#[tokio::test]
async fn an_own_key_of_another_type_is_made_good_by_the_next_publication() {
    for (key, good) in [(DIDS, "hash"), (TENANTS, "set"), (RECORD, "hash")] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A]).previously_listed(&[A])).await;
        let before = world.everything().await;
        spoil(&world, key).await;
        assert!(!world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact, "{key}");
        let applied = world.apply_one(tenant("acme", &[A]).previously_listed(&[A])).await;
        assert_eq!(applied, Applied::Recorded, "{key}");
        assert_eq!(type_of(&world, key).await, good, "{key}");
        assert_eq!(world.everything().await, before, "{key}");
    }
}

#[tokio::test]
async fn an_own_key_of_another_type_fails_no_other_tenant() {
    for key in [DIDS, TENANTS, RECORD] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A])).await;
        spoil(&world, key).await;
        assert_eq!(world.apply_one(tenant("globex", &[B])).await, published(), "{key}");
        let removal = Operation::Remove(tenant("globex", &[B]).removal());
        assert_eq!(world.apply_one(removal).await, Applied::Removed { keys: true }, "{key}");
        assert!(world.store.records(&world.cluster).await.is_ok(), "{key}");
        assert!(world.store.tenants(&world.cluster).await.is_ok(), "{key}");
    }
}

#[tokio::test]
async fn a_removal_removes_a_record_of_another_type_too() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]).previously_listed(&[A]);
    world.apply_one(acme.clone()).await;
    spoil(&world, RECORD).await;
    world.apply_one(Operation::Remove(acme.removal())).await;
    assert_eq!(world.everything().await.into_keys().collect::<Vec<_>>(), [EPOCH, EPOCHS]);
}

#[tokio::test]
async fn a_take_over_leaves_an_index_of_another_type_behind() {
    let world = World::new().await;
    world.apply_one_as("there", tenant("acme", &[A])).await;
    spoil(&world, "runtime-operator:tenants:there").await;
    let applied = world.apply_one(tenant("acme", &[A]).take_over()).await;
    assert!(matches!(applied, Applied::Published { .. }), "{applied:?}");
}

#[tokio::test]
async fn epochs_of_another_type_or_without_sense_fence_and_are_replaced() {
    for harm in [
        "RPUSH runtime-operator:epoch x",
        "SET runtime-operator:epoch abc",
        "SET runtime-operator:epoch -7",
        "SET runtime-operator:epoch 1e300",
        "SET runtime-operator:epoch 9223372036854775807",
        "SET runtime-operator:epoch 999999999999999999999999",
        "RPUSH runtime-operator:epochs x",
        "HSET runtime-operator:epochs zz 99999999999999999999/x",
        "HSET runtime-operator:epochs zz nonsense",
        "HSET runtime-operator:epochs zz 999999999999999/x",
    ] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A])).await;
        if harm.starts_with("RPUSH") {
            let _: i64 = world.run(&format!("DEL {}", harm.split(' ').nth(1).unwrap())).await;
        }
        let _: redis::Value = world.run(harm).await;
        let epoch = world.store.acquire_epoch().await.unwrap_or_else(|error| panic!("{harm}: {error}"));
        assert!(epoch >= world.epoch && epoch < Epoch(1_000_000_000_000_000), "{harm}: {epoch}");
        let operations = [Operation::from(tenant("acme", &[A, B]))];
        let applied = world.store.apply(epoch, &world.cluster, &operations).await;
        assert_eq!(applied, Ok(vec![published()]), "{harm}");
        assert_eq!(
            (type_of(&world, EPOCH).await.as_str(), type_of(&world, EPOCHS).await.as_str()),
            ("string", "hash")
        );
        let next = world.store.acquire_epoch().await.unwrap();
        assert_eq!(next, Epoch(epoch.0 + 1), "{harm}");
        assert!(world.store.health().await.is_ok(), "{harm}");
    }
}

#[tokio::test]
async fn the_epoch_of_another_type_fails_no_tracking_and_no_health_check() {
    let world = World::new().await;
    let mut tracking = world.store.track(&world.cluster);
    tracking.next().await.unwrap();
    spoil(&world, EPOCH).await;
    world.store.health().await.unwrap();
    // The probe notices that the epoch is gone.
    tracking.next().await.unwrap();
    assert_eq!(*tracking.health().borrow(), None);
}

#[tokio::test]
async fn a_record_with_a_value_that_no_script_writes_counts_as_lost() {
    let long = "x".repeat(100_000);
    for (field, value) in [
        ("generation", "1e300"),
        ("generation", "nan"),
        ("generation", "99999999999999999999"),
        ("generation", "-1"),
        ("cluster", ""),
        ("uid", ""),
        ("dids", &*long),
        ("hash", &*long),
    ] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A])).await;
        let () = redis::cmd("HSET")
            .arg(RECORD)
            .arg(field)
            .arg(value)
            .query_async(&mut world.raw.clone())
            .await
            .unwrap();
        let found = world.store.inspect(&[tenant_id("acme")]).await.unwrap().remove(0);
        assert_eq!((found.record, found.intact), (None, false), "{field}");
        world
            .store
            .put_config(&tenant_id("acme"), &tenant("acme", &[A]).json().into_bytes().into())
            .await
            .unwrap();
        let applied = world.apply_one(tenant("acme", &[A]).previously_listed(&[A])).await;
        assert_eq!(applied, Applied::Recorded, "{field}");
        assert!(world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact, "{field}");
    }
}

#[tokio::test]
async fn the_admin_writes_take_an_own_key_of_another_type_for_empty() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &[A])).await;
    spoil(&world, DIDS).await;
    spoil(&world, "runtime-operator:tenant:globex").await;
    world.store.put_config(&tenant_id("globex"), &b"{}".to_vec().into()).await.unwrap();
    assert!(world.store.map(&parse_did(B), &tenant_id("globex")).await.unwrap());
    let refused = world.store.map(&parse_did(A), &tenant_id("globex")).await.unwrap_err();
    assert!(matches!(refused, WriteError::DidManaged { .. }), "the mapping names its tenant: {refused:?}");
    assert_eq!(world.store.unmap(&parse_did(B)).await.unwrap().as_deref(), Some("globex"));
}

#[tokio::test]
async fn a_key_of_another_type_is_named_where_it_cant_be_read() {
    let world = World::new().await;
    spoil(&world, "tenantcfg:acme").await;
    spoil(&world, &format!("tenantmap:did:{A}")).await;
    let error = world.store.config(&tenant_id("acme"), 1 << 20).await.unwrap_err().to_string();
    assert!(error.contains("tenantcfg:acme"), "{error}");
    let error = world.store.lookup(&parse_did(A)).await.unwrap_err().to_string();
    assert!(error.contains(&format!("tenantmap:did:{A}")), "{error}");
}

/// What the record of `acme` says, and its owner.
async fn known(world: &World) -> Vec<(Uid, Recorded)> {
    let found = world.store.records(&world.cluster).await.unwrap();
    found.into_iter().map(|(record, _)| (record.owner.uid.clone(), Recorded::from(record))).collect()
}

#[tokio::test]
async fn a_repair_by_the_records_trusts_no_own_key() {
    for (harm, repaired) in [
        ("DEL tenantmap:did:+15550000001", Some(1)),
        ("EXPIRE tenantcfg:acme 3600", Some(1)),
        ("EXPIRE tenantmap:did:+15550000001 3600", Some(1)),
        ("RPUSH tenantmap:did:+15550000001 x", Some(1)),
        ("HSET runtime-operator:tenant:acme generation 1e300", Some(0)),
        ("RPUSH runtime-operator:tenant:acme x", Some(0)),
        ("RPUSH tenantcfg:acme x", Some(0)),
        ("RPUSH runtime-operator:dids x", Some(0)),
        ("RPUSH runtime-operator:epoch x", None),
        ("SET runtime-operator:epoch abc", None),
        ("RPUSH runtime-operator:epochs x", None),
        ("HSET runtime-operator:epochs zz 999999999999999/x", None),
    ] {
        let world = World::new().await;
        world.apply_one(tenant("acme", &[A])).await;
        let known = known(&world).await;
        let words: Vec<&str> = harm.split(' ').collect();
        if words[0] == "RPUSH" {
            let _: i64 = world.run(&format!("DEL {}", words[1])).await;
        }
        let _: redis::Value = world.run(harm).await;
        let done = world.store.repair_by_record(world.epoch, &world.cluster, &known).await;
        match repaired {
            Some(keys) => assert_eq!(done, Ok(keys), "{harm}"),
            None => assert!(matches!(done, Err(StoreError::Fenced { .. })), "{harm}: {done:?}"),
        }
        if repaired == Some(1) {
            assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"), "{harm}");
            assert_eq!(world.run::<i64>("PTTL tenantcfg:acme").await, -1, "{harm}");
        }
    }
}

#[tokio::test]
async fn the_writers_notes_of_another_type_are_made_good() {
    let world = World::new().await;
    let note = WriterNote {
        scope: "here/voice".to_owned(),
        cluster: ClusterId::new("here"),
        lease: "voice/runtime-operator".to_owned(),
        namespaces: Vec::new(),
        heartbeat: 1,
    };
    spoil(&world, "runtime-operator:writers").await;
    assert_eq!(world.store.noted_writers().await, Ok(Vec::new()));
    world.store.note_writer(&note).await.unwrap();
    assert_eq!(world.store.noted_writers().await, Ok(vec![note]));
}

#[tokio::test]
async fn a_cluster_is_present_while_its_operator_has_an_epoch_or_records() {
    let world = World::new().await;
    let clusters = ["there", "elsewhere"].map(ClusterId::new).into();
    let present = async || world.store.present_clusters(&clusters).await.unwrap();
    assert_eq!(present().await, []);
    let there = Store::new(settings(&world.redis.url())).unwrap().with_writer("there/voice", "p");
    let note = WriterNote {
        scope: "there/voice".to_owned(),
        cluster: ClusterId::new("there"),
        lease: "voice/runtime-operator".to_owned(),
        namespaces: Vec::new(),
        heartbeat: 1,
    };
    there.note_writer(&note).await.unwrap();
    assert_eq!(present().await, [], "it has no epoch");
    there.acquire_epoch().await.unwrap();
    assert_eq!(present().await, [ClusterId::new("there")]);
    world.apply_one_as("elsewhere", tenant("acme", &[A])).await;
    assert_eq!(present().await, [ClusterId::new("elsewhere"), ClusterId::new("there")]);
    for key in ["runtime-operator:writers", EPOCHS, "runtime-operator:tenants:elsewhere"] {
        spoil(&world, key).await;
    }
    assert_eq!(present().await, []);
}
