//! The status: every condition has a reason of a closed set, as kubectl, kstatus and people read it; it is written only when
//! it changes; events report each change once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod older_rules;
mod reading;
mod situations;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, PostParams};
use reading::{Kstatus, assert_well_formed, condition, conditions, kstatus};
use serde_json::json;
use sha2::{Digest, Sha256};
use test_support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const THIRD: &str = "+15550001111";

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits for the next second, the resolution of times in a status.
async fn next_second(world: &World) {
    let now = seconds();
    world
        .wait("the clock's next second", || async {
            if seconds() > now { Ok(()) } else { Err(String::new()) }
        })
        .await;
}

/// Triggers a reconcile that has nothing to do, and waits until it is done.
async fn reconcile_again(world: &World, operator: &Operator, name: &str, value: &str) -> DynamicObject {
    let before = operator.metric("runtime_operator_reconciles_total").await;
    let edit = json!({ "metadata": { "labels": { "example.com/edit": value } } });
    let edited = world.patch(name, edit).await;
    world.wait_metric(operator, "runtime_operator_reconciles_total", before + 1.0).await;
    edited
}

#[tokio::test]
async fn a_published_tenant_reports_what_is_published_and_since_when() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    let began = seconds();
    world.apply(&tenant("acme").dids(["+1 555 123 4567", OTHER])).await;
    world.wait_ready("acme").await;

    let acme = world.get("acme").await.unwrap();
    assert_well_formed(&acme);
    assert_eq!(kstatus(&acme), Kstatus::Current);
    let status = &acme.data["status"];
    assert_eq!(status["publishedDids"], json!([DID, OTHER]));
    assert_eq!(status["publishedDidCount"], 2);
    let reasons: Vec<_> =
        conditions(&acme).iter().map(|c| c["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(reasons, ["Published", "Resolved", "Claimed", "Published"]);
    let published: k8s_openapi::jiff::Timestamp =
        status["lastPublishedTime"].as_str().unwrap().parse().unwrap();
    assert!(published.as_second() >= i64::try_from(began).unwrap());
    assert!(published.as_second() <= i64::try_from(seconds()).unwrap());
    let mut config = world.config("acme").await.unwrap();
    config.as_object_mut().unwrap().shift_remove("webhookSecret").expect("the value is published");
    assert_eq!(status["publishedHash"], sha256(&config.to_string()));
    assert!(!acme.data.to_string().contains("whsec-of-acme"));
    world.finish().await;
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// Writes a DID's mapping and config as an older publisher would.
async fn publish_by_hand(world: &World, tenant: &str, dids: &[&str]) {
    let config = json!({ "contractVersion": "v1", "tenantId": tenant, "dids": dids });
    world.set_key(&format!("tenantcfg:{tenant}"), config.to_string()).await;
    for did in dids {
        world.set_key(&format!("tenantmap:did:{did}"), tenant).await;
    }
}

/// One resource for each fault.
async fn apply_all_that_is_wrong(world: &World) {
    world.apply(&tenant("ready").dids([DID])).await;
    world.wait_ready("ready").await;
    world.apply(&tenant("no-secret").dids([OTHER]).without_secret()).await;
    world.apply(&tenant("no-key").dids(["+15550001112"]).without_secret()).await;
    world.apply_secret_in(world.namespace(), "no-key-webhook", &json!({ "other": "value" })).await;
    world.apply(&tenant("empty").dids([THIRD]).secret("\n")).await;
    let secrets: Api<Secret> = Api::namespaced(world.client(), world.namespace());
    let data = [("webhookSecret".to_owned(), ByteString(vec![0xff, 0xfe]))].into();
    let mut binary = Secret { data: Some(data), ..Secret::default() };
    binary.metadata.name = Some("binary-webhook".to_owned());
    secrets.create(&PostParams::default(), &binary).await.unwrap();
    world.apply(&tenant("binary").dids(["+15550002222"]).without_secret()).await;
    world.apply(&tenant("no-number").dids([DID])).await;
    world.apply(&tenant("one-number").dids([DID, "+15550003333"])).await;
    world.apply(&tenant("ready").named("twin").dids(["+15550004444"])).await;
    publish_by_hand(world, "legacy", &["+15550005555"]).await;
    world.apply(&tenant("in-use").dids(["+15550005555"])).await;
    publish_by_hand(world, "adopt", &["+15550006666", "+15550006667"]).await;
    world.apply(&tenant("adopt").dids(["+15550006666"])).await;
    let record =
        "cluster other owner ns/theirs uid u-1 generation 1 secret a/1 dids +15550007777 hash h sha1 s";
    let key = ["HSET", "runtime-operator:tenant:theirs"];
    let words: Vec<_> = key.into_iter().chain(record.split(' ')).collect();
    world.redis_cli(&words).await;
    world.apply(&tenant("theirs").dids(["+15550007777"])).await;
    world.apply(&tenant("suspended").dids(["+15550008888"]).suspended()).await;
}

#[tokio::test]
async fn every_state_has_a_reason_that_kstatus_understands() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    apply_all_that_is_wrong(&world).await;

    for (name, ready, reason, computed) in [
        ("ready", "True", "Published", Kstatus::Current),
        ("no-secret", "False", "SecretNotFound", Kstatus::InProgress),
        ("no-key", "False", "SecretKeyNotFound", Kstatus::InProgress),
        ("empty", "False", "SecretEmpty", Kstatus::InProgress),
        ("binary", "False", "SecretNotUtf8", Kstatus::InProgress),
        ("no-number", "False", "DidConflict", Kstatus::Failed),
        ("one-number", "False", "DidConflict", Kstatus::Failed),
        ("twin", "False", "TenantIdConflict", Kstatus::Failed),
        ("in-use", "False", "NumberInUse", Kstatus::Failed),
        ("adopt", "False", "AdoptionWouldUnmap", Kstatus::Failed),
        ("theirs", "False", "OwnedElsewhere", Kstatus::Failed),
        ("suspended", "True", "Suspended", Kstatus::Current),
    ] {
        let message = world.wait_condition(name, "Ready", ready, reason).await;
        let resource = world.get(name).await.unwrap();
        assert_well_formed(&resource);
        assert_eq!(kstatus(&resource), computed, "{name}: {message}");
    }
    let published = world.condition("one-number", "Published").await.unwrap();
    assert_eq!(published["status"], "True", "it is published with the DIDs that it has");
    assert!(published["message"].as_str().unwrap().contains("1 of 2"), "{published}");
    assert_eq!(world.status("one-number").await["dids"], "1/2");
    assert_eq!(world.status("no-number").await["dids"], "0/1");
    world.finish().await;
}

#[tokio::test]
async fn a_new_tenant_without_redis_is_unknown_and_not_failed() {
    let world = World::new().await;
    world.redis().kill().await.unwrap();
    let _operator = world.operator().spawn().await;

    world.apply(&tenant("acme").dids([DID])).await;

    world.wait_condition("acme", "Ready", "Unknown", "RedisUnreachable").await;
    let acme = world.get("acme").await.unwrap();
    assert_well_formed(&acme);
    assert_eq!(kstatus(&acme), Kstatus::InProgress);
    world.redis().restart().await.unwrap();
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_transition_time_moves_only_when_the_condition_flips() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    let first = world.get("acme").await.unwrap();
    next_second(&world).await;

    world.patch("acme", json!({ "spec": { "dids": [DID, OTHER] } })).await;
    world.wait_ready("acme").await;
    let edited = world.get("acme").await.unwrap();
    let time = |tenant: &DynamicObject, kind: &str| condition(tenant, kind)["lastTransitionTime"].clone();
    for kind in ["Ready", "SecretResolved", "DidsClaimed", "Published"] {
        assert_eq!(time(&first, kind), time(&edited, kind), "{kind} is True as before");
    }
    assert_ne!(first.data["status"]["lastPublishedTime"], edited.data["status"]["lastPublishedTime"]);
    assert_well_formed(&edited);

    world.delete_secret("acme-webhook").await;
    world.wait_condition("acme", "Ready", "False", "SecretNotFound").await;
    let without = world.get("acme").await.unwrap();
    for kind in ["Ready", "SecretResolved"] {
        assert_ne!(time(&edited, kind), time(&without, kind), "{kind} flipped");
    }
    for kind in ["DidsClaimed", "Published"] {
        assert_eq!(time(&edited, kind), time(&without, kind), "{kind} did not flip");
    }
    assert_eq!(edited.data["status"]["lastPublishedTime"], without.data["status"]["lastPublishedTime"]);
    assert_eq!(without.data["status"]["publishedDids"], json!([DID, OTHER]), "it stays published");
    world.finish().await;
}

#[tokio::test]
async fn kubectl_wait_and_the_printed_columns_work() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;

    world.kubectl_text(&["wait", "--for=condition=Ready", "rtenant/acme", "--timeout=30s"]);

    let table = world.kubectl_text(&["get", "rtenant"]);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "TENANT", "DIDS", "READY", "REASON", "AGE"]);
    assert_eq!(rows[1][..5], ["acme", "acme", "2/2", "True", "Published"]);
    let wide = world.kubectl_text(&["get", "veralux", "-o", "wide"]);
    let lines: Vec<_> = wide.lines().map(str::trim_end).collect();
    assert!(lines[0].ends_with("LAST PUBLISHED   MESSAGE"), "{wide}");
    assert!(lines[1].ends_with("2 numbers live"), "the message is last: {wide}");
    let row = lines[0].find("MESSAGE").unwrap();
    assert!(row <= 160, "a row without its message has {row} characters: {wide}");
    world.finish().await;
}

#[tokio::test]
async fn a_noop_reconcile_writes_nothing() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    // The DID is published before another tenant claims it: between two of the same age, the uid would decide.
    world.wait_ready("acme").await;
    world.apply(&tenant("waits").dids([DID])).await;
    world.wait_condition("waits", "Ready", "False", "DidConflict").await;

    for name in ["acme", "waits"] {
        let edited = reconcile_again(&world, &operator, name, "1").await.resource_version();
        // When a later resource is reconciled, everything before it has been.
        let after = format!("after-{name}");
        world.apply(&tenant(&after).dids([if name == "acme" { OTHER } else { THIRD }])).await;
        world.wait_ready(&after).await;
        assert_eq!(world.version(name).await, edited, "{name}: only the edit was written");
    }
    world.finish().await;
}

#[tokio::test]
async fn events_report_each_change_once() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    assert!(world.wait_event("acme", "Published").await.contains("1 number live"));
    world.apply_secret("acme-webhook", "rotated").await;
    world.wait_event("acme", "SecretRotated").await;
    world.apply(&tenant("waits").dids([DID])).await;
    let conflict = world.wait_event("waits", "DidConflict").await;
    assert!(conflict.contains(DID) && conflict.contains("/acme"), "{conflict}");
    world.delete_secret("acme-webhook").await;
    let missing = world.wait_event("acme", "SecretNotFound").await;
    assert!(missing.contains("acme-webhook") && missing.contains("must exist"), "{missing}");

    for edit in ["1", "2", "3"] {
        reconcile_again(&world, &operator, "acme", edit).await;
        reconcile_again(&world, &operator, "waits", edit).await;
    }
    operator.stop().await.unwrap();
    operator.restart().await.unwrap();
    reconcile_again(&world, &operator, "waits", "4").await;
    reconcile_again(&world, &operator, "acme", "4").await;
    world.apply(&tenant("after").dids([OTHER])).await;
    world.wait_ready("after").await;

    let reasons: Vec<_> = world.events("acme").await.into_iter().map(|(reason, _)| reason).collect();
    let known: BTreeSet<_> = reasons.iter().map(String::as_str).collect();
    assert_eq!(known, ["Published", "SecretNotFound", "SecretRotated"].into());
    for (name, reason) in [
        ("acme", "Published"),
        ("acme", "SecretRotated"),
        ("acme", "SecretNotFound"),
        ("waits", "DidConflict"),
    ] {
        assert_eq!(world.event_count(name, reason).await, 1, "{name}: {reason}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_suspended_tenant_is_not_written_and_resuming_catches_up() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true } })).await;
    let message = world.wait_condition("acme", "Ready", "True", "Suspended").await;
    assert_eq!(message, "suspended (spec.suspend); 1 number stays live");
    world.wait_condition("acme", "Suspended", "True", "Suspended").await;
    world.wait_condition("acme", "Published", "True", "Published").await;
    world.wait_event("acme", "Suspended").await;
    let reconciles = async || operator.metric("runtime_operator_reconciles_total").await;
    let before = world.config_text("acme").await;

    let seen = reconciles().await;
    world.delete_key(&format!("tenantmap:did:{DID}")).await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", seen + 1.0).await;
    world.reset_commands().await;
    let seen = reconciles().await;
    world.apply_secret("acme-webhook", "rotated").await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", seen + 1.0).await;
    world.patch("acme", json!({ "spec": { "dids": [DID, OTHER] } })).await;
    world.wait_condition("acme", "Ready", "True", "Suspended").await;
    world.wait_condition("acme", "Published", "False", "Suspended").await;
    operator.restart().await.unwrap();
    reconcile_again(&world, &operator, "acme", "1").await;
    assert_eq!(world.writes().await, 0, "{:?}", world.commands().await);
    assert_eq!(world.config_text("acme").await, before);
    assert_eq!(world.live(DID).await, None);

    world.patch("acme", json!({ "spec": { "suspend": false } })).await;
    world.wait_ready("acme").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "rotated");
    world.wait_event("acme", "Resumed").await;
    world.finish().await;
}

#[tokio::test]
async fn a_suspended_tenant_keeps_its_dids() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true, "dids": [OTHER] } })).await;
    world.wait_condition("acme", "Ready", "True", "Suspended").await;

    world.apply(&tenant("beta").dids([DID])).await;

    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.finish().await;
}
