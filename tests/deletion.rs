//! Deletion: what is this resource's own goes from Redis, then the resource itself; nothing else does, and nothing else
//! is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod support;

use k8s_openapi::api::core::v1::Namespace;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams};
use serde_json::{Value, json};
use support::{World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const FINALIZER: &str = "runtime.veralux.io/redis-keys";
const FOREIGN: &str = "example.com/billing";

/// Everything in Redis but the numbers that fence writers.
async fn keys(world: &World) -> Vec<String> {
    let mut keys = world.keys("*").await;
    keys.retain(|key| !key.starts_with("runtime-operator:epoch"));
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

/// From now on Redis answers every read and refuses every write.
async fn refuse_writes(world: &World) {
    world.redis_cli(&["REPLICAOF", "127.0.0.1", "1"]).await;
}

async fn take_writes(world: &World) {
    world.redis_cli(&["REPLICAOF", "NO", "ONE"]).await;
}

#[tokio::test]
async fn mapping_config_and_record_go_then_our_finalizer_and_a_foreign_one_stays() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;
    world.wait_ready("acme").await;
    assert_eq!(world.get("acme").await.unwrap().finalizers(), [FINALIZER]);
    world.patch("acme", finalizers(&[FOREIGN, FINALIZER])).await;

    world.delete("acme").await;

    world
        .wait("only the foreign finalizer is left", || async {
            let left = world.get("acme").await.ok_or("it is gone")?.finalizers().to_vec();
            if left == [FOREIGN] { Ok(()) } else { Err(format!("{left:?}")) }
        })
        .await;
    assert_eq!(keys(&world).await, Vec::<String>::new());
    assert!(world.wait_event("acme", "Unpublished").await.contains("gone"));
    world.patch("acme", finalizers(&[])).await;
    world.wait_gone("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn nothing_goes_but_what_is_this_resources_own() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    let beta = world.config_text("beta").await;
    let foreign = ["cap:acme", "tenantmap:tenant:acme:cap:rpm", "tenantmap:tenant:acme:cap:concurrency"];
    for key in foreign {
        world.set_key(key, "7").await;
    }

    world.delete("acme").await;
    world.wait_gone("acme").await;

    assert_eq!(world.live(DID).await, None);
    assert_eq!(world.config("acme").await, None);
    assert!(!record(&world, "acme").await);
    assert_eq!(world.live(OTHER).await.as_deref(), Some("beta"));
    assert_eq!(world.config_text("beta").await, beta);
    assert!(record(&world, "beta").await);
    for key in foreign {
        assert_eq!(world.key(key).await.as_deref(), Some("7"), "{key}");
    }
    world.finish().await;
}

#[tokio::test]
async fn retain_keeps_the_keys_byte_for_byte_and_drops_the_record() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).retained()).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    let number = world.follow(DID).await;

    world.delete("acme").await;
    world.wait_gone("acme").await;

    assert_eq!(keys(&world).await, ["tenantcfg:acme", &format!("tenantmap:did:{DID}")]);
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(number.seen().await, [Some("acme".into())]);
    world.wait_event("acme", "Retained").await;
    world.finish().await;
}

#[tokio::test]
async fn a_retained_number_for_which_another_waits_goes_over_to_it_without_a_gap() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).retained()).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID, OTHER])).await;
    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    let number = world.follow(DID).await;

    world.delete("acme").await;
    world.wait_gone("acme").await;
    world.wait_ready("beta").await;

    assert_eq!(number.seen().await, [Some("acme".into()), Some("beta".into())]);
    assert!(!record(&world, "acme").await);
    world.finish().await;
}

#[tokio::test]
async fn a_number_for_which_another_waits_goes_over_to_it_without_a_gap() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID])).await;
    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    let number = world.follow(DID).await;

    world.delete("acme").await;
    world.wait_gone("acme").await;
    world.wait_ready("beta").await;

    assert_eq!(number.seen().await, [Some("acme".into()), Some("beta".into())]);
    assert_eq!(world.config("acme").await, None);
    assert!(world.wait_event("beta", "Promoted").await.contains(DID));
    world.finish().await;
}

#[tokio::test]
async fn a_number_for_which_only_a_resource_waits_that_cannot_be_published_goes() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("beta").dids([DID]).without_secret()).await;
    world.wait_condition("beta", "DidsClaimed", "False", "DidConflict").await;

    world.delete("acme").await;
    world.wait_gone("acme").await;

    assert_eq!(world.live(DID).await, None);
    world.wait_condition("beta", "Ready", "False", "SecretNotFound").await;
    world.finish().await;
}

#[tokio::test]
async fn the_secret_is_not_needed() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.delete_secret("acme-webhook").await;
    world.wait_condition("acme", "SecretResolved", "False", "SecretNotFound").await;
    world.delete("acme").await;

    world.wait_gone("acme").await;
    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_namespace_that_is_deleted_as_a_whole_leaves_nothing_and_holds_nobody_up() {
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
        .wait("the namespace is gone", || async {
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
async fn one_made_again_under_the_same_name_at_once_is_published_anew() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    for round in 1..=5 {
        let made = tenant("acme").dids([DID]).set("/caps/maxConcurrentCallsTenant", round);
        world
            .wait("it can be made again", || async {
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
    world.wait_gone("acme").await;
    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn while_redis_is_down_it_waits_and_says_why() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.redis().kill().await.unwrap();

    world.delete("acme").await;

    let why = world.wait_event("acme", "DeletionWaits").await;
    assert!(why.contains(&world.redis().address()) && why.contains("tried again"), "{why}");
    assert_eq!(world.get("acme").await.unwrap().finalizers(), [FINALIZER]);
    world.redis().restart().await.unwrap();
    world.wait_gone("acme").await;
    wait_no_keys(&world).await;
    assert_eq!(world.told("acme", "DeletionWaits").await, 1);
    world.finish().await;
}

#[tokio::test]
async fn force_delete_lets_it_go_and_leaves_keys_and_record() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    refuse_writes(&world).await;
    world.delete("acme").await;
    world.wait_event("acme", "DeletionWaits").await;

    world
        .patch(
            "acme",
            json!({ "metadata": { "annotations": { "runtime.veralux.io/force-delete": "true" } } }),
        )
        .await;

    world.wait_gone("acme").await;
    let why = world.wait_event("acme", "ForceDeleted").await;
    assert!(why.contains("read-only replica"), "{why}");
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    assert!(record(&world, "acme").await);
    world.finish().await;
}

#[tokio::test]
async fn force_delete_without_need_is_a_deletion_like_any_other() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID]).annotation("force-delete", "true")).await;
    world.wait_ready("acme").await;

    world.delete("acme").await;

    world.wait_gone("acme").await;
    assert_eq!(keys(&world).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn keys_go_at_once_when_a_resource_vanishes_without_its_finalizer() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    operator.freeze().await.unwrap();
    world.delete("acme").await;
    world.patch("acme", finalizers(&[])).await;
    world.wait_gone("acme").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));

    operator.thaw().unwrap();

    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn keys_go_once_redis_takes_writes_when_a_resource_vanished_meanwhile() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    refuse_writes(&world).await;
    world.delete("acme").await;
    world.wait_event("acme", "DeletionWaits").await;
    world.patch("acme", finalizers(&[])).await;
    world.wait_gone("acme").await;

    take_writes(&world).await;

    wait_no_keys(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn a_finalizer_that_is_taken_off_a_resource_that_stays_comes_back() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.patch("acme", finalizers(&[])).await;

    world
        .wait("the finalizer is back", || async {
            let there = world.get("acme").await.unwrap().finalizers().to_vec();
            if there == [FINALIZER] { Ok(()) } else { Err(format!("{there:?}")) }
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn a_suspended_one_goes_with_only_those_numbers_that_still_point_at_it() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true } })).await;
    world.wait_condition("acme", "Ready", "Unknown", "Suspended").await;
    let theirs = json!({ "contractVersion": "v1", "tenantId": "theirs", "dids": [DID] }).to_string();
    world.set_key("tenantcfg:theirs", &theirs).await;
    world.set_key(&format!("tenantmap:did:{DID}"), "theirs").await;

    world.delete("acme").await;
    world.wait_gone("acme").await;

    assert_eq!(keys(&world).await, ["tenantcfg:theirs", &format!("tenantmap:did:{DID}")]);
    assert_eq!(world.live(DID).await.as_deref(), Some("theirs"));
    assert_eq!(world.key("tenantcfg:theirs").await, Some(theirs));
    world.finish().await;
}

#[tokio::test]
async fn one_that_never_was_published_goes_and_touches_nothing() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("acme").named("twin").dids([DID])).await;
    world.wait_condition("twin", "Ready", "False", "TenantIdConflict").await;
    let before = keys(&world).await;

    world.delete("twin").await;
    world.wait_gone("twin").await;

    assert_eq!(keys(&world).await, before);
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.finish().await;
}
