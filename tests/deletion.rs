//! Deletion removes the resource's own keys from Redis, then the finalizer, and nothing else; it needs nothing but Redis.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use test_support::{World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const FINALIZER: &str = "runtime.veralux.io/redis-keys";
const OTHER_FINALIZER: &str = "example.com/billing";

/// Returns all keys in Redis except the epochs.
async fn keys(world: &World) -> Vec<String> {
    let mut keys = world.keys("*").await;
    // The epoch and its writer stay.
    keys.retain(|key| !key.starts_with("runtime-operator:epoch") && key != "runtime-operator:writers");
    keys
}

async fn wait_no_keys(world: &World) {
    world
        .wait("Redis is empty", || async {
            let keys = keys(world).await;
            if keys.is_empty() { Ok(()) } else { Err(format!("it holds {keys:?}")) }
        })
        .await;
}

fn finalizers(value: &[&str]) -> Value {
    json!({ "metadata": { "finalizers": value } })
}

async fn record(world: &World, tenant: &str) -> bool {
    !world.keys(&format!("runtime-operator:tenant:{tenant}")).await.is_empty()
}

/// Makes Redis serve reads and reject writes from now on.
async fn refuse_writes(world: &World) {
    world.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
}

async fn take_writes(world: &World) {
    world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
}

#[tokio::test]
async fn deletion_removes_the_keys_and_the_record_before_the_finalizer() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;
    world.wait_ready("acme").await;
    assert_eq!(world.get("acme").await.unwrap().finalizers(), [FINALIZER]);
    world.patch("acme", finalizers(&[OTHER_FINALIZER, FINALIZER])).await;

    world.delete("acme").await;

    world
        .wait("only the other finalizer is left", || async {
            let left = world.get("acme").await.ok_or("it is gone")?.finalizers().to_vec();
            if left == [OTHER_FINALIZER] { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    assert_eq!(keys(&world).await, Vec::<String>::new());
    assert!(world.wait_event("acme", "Unpublished").await.contains("removed"));
    world.patch("acme", finalizers(&[])).await;
    world.wait_deleted("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn deletion_removes_only_keys_of_the_resource() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    let beta = world.config_text("beta").await;
    let others = ["cap:acme", "tenantmap:tenant:acme:cap:rpm", "tenantmap:tenant:acme:cap:concurrency"];
    for key in others {
        world.set_key(key, "7").await;
    }

    world.delete("acme").await;
    world.wait_deleted("acme").await;

    assert_eq!(world.live(DID).await, None);
    assert_eq!(world.config("acme").await, None);
    assert!(!record(&world, "acme").await);
    assert_eq!(world.live(OTHER).await.as_deref(), Some("beta"));
    assert_eq!(world.config_text("beta").await, beta);
    assert!(record(&world, "beta").await);
    for key in others {
        assert_eq!(world.key(key).await.as_deref(), Some("7"), "{key}");
    }
    world.finish().await;
}

#[tokio::test]
async fn retain_keeps_the_keys_byte_for_byte_and_removes_the_record() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).retained()).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    let number = world.record_mapping(DID).await;

    world.delete("acme").await;
    world.wait_deleted("acme").await;

    assert_eq!(keys(&world).await, ["tenantcfg:acme", &format!("tenantmap:did:{DID}")]);
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(number.finish().await, [Some("acme".into())]);
    world.wait_event("acme", "Retained").await;
    world.finish().await;
}

#[tokio::test]
async fn a_retained_did_is_transferred_to_a_waiting_tenant_without_a_gap() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).retained()).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID, OTHER])).await;
    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    let number = world.record_mapping(DID).await;

    world.delete("acme").await;
    world.wait_deleted("acme").await;
    world.wait_ready("beta").await;

    assert_eq!(number.finish().await, [Some("acme".into()), Some("beta".into())]);
    assert!(!record(&world, "acme").await);
    world.finish().await;
}

#[tokio::test]
async fn a_did_of_a_deleted_tenant_is_transferred_without_a_gap() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID])).await;
    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    let number = world.record_mapping(DID).await;

    world.delete("acme").await;
    world.wait_deleted("acme").await;
    world.wait_ready("beta").await;

    assert_eq!(number.finish().await, [Some("acme".into()), Some("beta".into())]);
    assert_eq!(world.config("acme").await, None);
    assert!(world.wait_event("beta", "Promoted").await.contains(DID));
    world.finish().await;
}

#[tokio::test]
async fn a_did_is_unmapped_when_only_an_unpublishable_tenant_waits() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID]).without_secret()).await;
    world.wait_condition("beta", "DidsClaimed", "False", "DidConflict").await;

    world.delete("acme").await;
    world.wait_deleted("acme").await;

    assert_eq!(world.live(DID).await, None);
    world.wait_condition("beta", "Ready", "False", "SecretNotFound").await;
    world.finish().await;
}

#[tokio::test]
async fn deletion_needs_no_secret() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.delete_secret("acme-webhook").await;
    world.wait_condition("acme", "SecretResolved", "False", "SecretNotFound").await;
    world.delete("acme").await;

    world.wait_deleted("acme").await;
    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_deleted_namespace_leaves_nothing_and_is_not_blocked() {
    let mut world = World::new().await;
    let doomed = world.add_namespace().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.apply(&tenant("beta").dids([OTHER]).in_namespace(&doomed)).await;
    world.wait_live(DID, Some("acme")).await;
    world.wait_live(OTHER, Some("beta")).await;

    let namespaces: Api<Namespace> = Api::all(world.client());
    namespaces.delete(&doomed, &DeleteParams::default()).await.unwrap();

    world
        .wait("the namespace is deleted", || async {
            let namespace = namespaces.get_opt(&doomed).await.unwrap();
            namespace.map_or(Ok(()), |left| Err(format!("{:?}", left.status)))
        })
        .await;
    assert_eq!(world.live(OTHER).await, None);
    assert!(!record(&world, "beta").await);
    world.patch("acme", json!({ "spec": { "dids": [DID, OTHER] } })).await;
    world.wait_live(OTHER, Some("acme")).await;
    world.finish().await;
}

#[tokio::test]
async fn an_immediately_recreated_resource_is_published_again() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    for round in 1..=5 {
        let made = tenant("acme").dids([DID]).set("/caps/maxConcurrentCallsTenant", round);
        world
            .wait("it can be created again", || async {
                let resource = serde_json::from_value(made.resource()).unwrap();
                let new = world.tenants().create(&kube::api::PostParams::default(), &resource).await;
                new.map(drop).map_err(|error| error.to_string())
            })
            .await;
        world.apply_secret("acme-webhook", "whsec").await;
        world.wait_ready("acme").await;
        let config = world.config("acme").await.unwrap();
        assert_eq!(config["caps"]["maxConcurrentCallsTenant"], round);
        assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
        world.delete("acme").await;
    }
    world.wait_deleted("acme").await;
    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn deletion_waits_for_redis_and_reports_why() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis().kill().await.unwrap();

    world.delete("acme").await;

    let why = world.wait_event("acme", "DeletionDelayed").await;
    assert!(why.contains(&world.redis().address()) && why.contains("retrying"), "{why}");
    assert_eq!(world.get("acme").await.unwrap().finalizers(), [FINALIZER]);
    world.redis().restart().await.unwrap();
    world.wait_deleted("acme").await;
    wait_no_keys(&world).await;
    assert_eq!(world.event_count("acme", "DeletionDelayed").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn force_delete_removes_the_finalizer_and_leaves_keys_and_record() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    refuse_writes(&world).await;
    world.delete("acme").await;
    world.wait_event("acme", "DeletionDelayed").await;

    world
        .patch(
            "acme",
            json!({ "metadata": { "annotations": { "runtime.veralux.io/force-delete": "true" } } }),
        )
        .await;

    world.wait_deleted("acme").await;
    let why = world.wait_event("acme", "ForceDeleted").await;
    assert!(why.contains("read-only replica"), "{why}");
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    assert!(record(&world, "acme").await);
    world.finish().await;
}

#[tokio::test]
async fn force_delete_of_a_removable_tenant_is_a_normal_deletion() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).annotation("force-delete", "true")).await;
    world.wait_ready("acme").await;

    world.delete("acme").await;

    world.wait_deleted("acme").await;
    assert_eq!(keys(&world).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn keys_of_a_resource_deleted_without_finalizer_are_removed_immediately() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    operator.freeze().await.unwrap();
    world.delete("acme").await;
    world.patch("acme", finalizers(&[])).await;
    world.wait_deleted("acme").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));

    operator.thaw().unwrap();

    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn keys_of_a_vanished_resource_are_removed_once_redis_accepts_writes() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    refuse_writes(&world).await;
    world.delete("acme").await;
    world.wait_event("acme", "DeletionDelayed").await;
    world.patch("acme", finalizers(&[])).await;
    world.wait_deleted("acme").await;

    take_writes(&world).await;

    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_removed_finalizer_is_restored() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.patch("acme", finalizers(&[])).await;

    world
        .wait("the finalizer is restored", || async {
            let there = world.get("acme").await.unwrap().finalizers().to_vec();
            if there == [FINALIZER] { Ok(()) } else { Err(format!("{there:?}")) }
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn deletion_of_a_suspended_tenant_unmaps_only_its_own_dids() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true } })).await;
    world.wait_condition("acme", "Ready", "True", "Suspended").await;
    let theirs = json!({ "contractVersion": "v1", "tenantId": "theirs", "dids": [DID] }).to_string();
    world.set_key("tenantcfg:theirs", &theirs).await;
    world.set_key(&format!("tenantmap:did:{DID}"), "theirs").await;

    world.delete("acme").await;
    world.wait_deleted("acme").await;

    assert_eq!(keys(&world).await, ["tenantcfg:theirs", &format!("tenantmap:did:{DID}")]);
    assert_eq!(world.live(DID).await.as_deref(), Some("theirs"));
    assert_eq!(world.key("tenantcfg:theirs").await, Some(theirs));
    world.finish().await;
}

#[tokio::test]
async fn deletion_of_an_unpublished_tenant_writes_nothing() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("acme").named("twin").dids([DID])).await;
    world.wait_condition("twin", "Ready", "False", "TenantIdConflict").await;
    let before = keys(&world).await;

    world.delete("twin").await;
    world.wait_deleted("twin").await;

    assert_eq!(keys(&world).await, before);
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.finish().await;
}
