//! The status: every condition with a reason of a closed set, as kubectl, kstatus and people read it; written only when
//! it changes; events that say once what happened.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const THIRD: &str = "+15550001111";
const CRD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");

/// Every reason that a condition may have.
const REASONS: [&str; 18] = [
    "Published",
    "Resolved",
    "Claimed",
    "Suspended",
    "InvalidSpec",
    "Unreadable",
    "TenantIdConflict",
    "DidConflict",
    "NumberInUse",
    "OwnedElsewhere",
    "AdoptionWouldUnmap",
    "SecretNotFound",
    "SecretKeyNotFound",
    "SecretEmpty",
    "SecretNotUtf8",
    "SecretUnreadable",
    "RedisUnavailable",
];

/// What kstatus makes of a resource, as Flux, Argo CD and Helm do.
#[derive(Debug, PartialEq, Eq)]
enum Kstatus {
    InProgress,
    Failed,
    Current,
}

fn conditions(tenant: &DynamicObject) -> Vec<Value> {
    tenant.data["status"]["conditions"].as_array().cloned().unwrap_or_default()
}

fn condition(tenant: &DynamicObject, kind: &str) -> Value {
    conditions(tenant).into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

fn kstatus(tenant: &DynamicObject) -> Kstatus {
    let is = |kind| condition(tenant, kind)["status"] == "True";
    let behind = tenant.data["status"]["observedGeneration"].as_i64() < tenant.metadata.generation;
    match (behind || is("Reconciling"), is("Stalled")) {
        (true, _) => Kstatus::InProgress,
        (_, true) => Kstatus::Failed,
        _ => Kstatus::Current,
    }
}

/// What holds of every status, whatever it says.
fn assert_well_formed(tenant: &DynamicObject) {
    let name = tenant.name_any();
    let conditions = conditions(tenant);
    let kinds: Vec<_> = conditions.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
    let always = ["Ready", "SecretResolved", "DidsClaimed", "Published"];
    assert_eq!(&kinds[..4], always, "{name}");
    let passing: Vec<_> =
        conditions[4..].iter().map(|c| (c["type"].as_str(), c["status"].as_str())).collect();
    let allowed = [(Some("Reconciling"), Some("True")), (Some("Stalled"), Some("True"))];
    assert!(
        passing.len() < 2 && passing.iter().all(|passing| allowed.contains(passing)),
        "{name}: {passing:?}"
    );
    if condition(tenant, "Ready")["status"] == "True" {
        assert!(passing.is_empty(), "{name}: {passing:?}");
    }
    for condition in &conditions {
        assert_eq!(
            condition["observedGeneration"].as_i64(),
            tenant.metadata.generation,
            "{name}: {condition}"
        );
        assert!(REASONS.contains(&condition["reason"].as_str().unwrap()), "{name}: {condition}");
        assert!(!condition["message"].as_str().unwrap().is_empty(), "{name}: {condition}");
        assert!(condition["lastTransitionTime"].as_str().unwrap().ends_with('Z'), "{name}: {condition}");
    }
    assert_eq!(tenant.data["status"]["observedGeneration"].as_i64(), tenant.metadata.generation, "{name}");
}

fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Times in a status have a resolution of a second.
async fn next_second(world: &World) {
    let now = seconds();
    world
        .wait("the clock's next second", || async {
            if seconds() > now { Ok(()) } else { Err(String::new()) }
        })
        .await;
}

/// Has the operator look at a resource, in vain, and waits until it has.
async fn look_again(world: &World, operator: &Operator, name: &str, value: &str) -> DynamicObject {
    let before = operator.metric("runtime_operator_reconciles_total").await;
    let edit = json!({ "metadata": { "labels": { "example.com/edit": value } } });
    let edited = world.patch(name, edit).await;
    world.wait_metric(operator, "runtime_operator_reconciles_total", before + 1.0).await;
    edited
}

#[tokio::test]
async fn a_tenant_that_is_live_says_what_is_live_and_since_when() {
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

/// A number that an older publisher mapped, with its config.
async fn publish_by_hand(world: &World, tenant: &str, dids: &[&str]) {
    let config = json!({ "contractVersion": "v1", "tenantId": tenant, "dids": dids });
    world.set_key(&format!("tenantcfg:{tenant}"), config.to_string()).await;
    for did in dids {
        world.set_key(&format!("tenantmap:did:{did}"), tenant).await;
    }
}

/// One resource for each thing that can be wrong with one.
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
async fn every_state_has_its_reason_and_is_what_kstatus_makes_of_it() {
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
        ("suspended", "Unknown", "Suspended", Kstatus::Current),
    ] {
        let message = world.wait_condition(name, "Ready", ready, reason).await;
        let resource = world.get(name).await.unwrap();
        assert_well_formed(&resource);
        assert_eq!(kstatus(&resource), computed, "{name}: {message}");
    }
    let published = world.condition("one-number", "Published").await.unwrap();
    assert_eq!(published["status"], "True", "it is published with the number that it has");
    world.finish().await;
}

#[tokio::test]
async fn at_first_sight_without_redis_it_is_unknown_and_not_failed() {
    let world = World::new().await;
    world.redis().kill().await.unwrap();
    let _operator = world.operator().spawn().await;

    world.apply(&tenant("acme").dids([DID])).await;

    world.wait_condition("acme", "Ready", "Unknown", "RedisUnavailable").await;
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
        assert_eq!(time(&first, kind), time(&edited, kind), "{kind} was True and is");
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
        assert_eq!(time(&edited, kind), time(&without, kind), "{kind} did not");
    }
    assert_eq!(edited.data["status"]["lastPublishedTime"], without.data["status"]["lastPublishedTime"]);
    assert_eq!(without.data["status"]["publishedDids"], json!([DID, OTHER]), "calls go on");
    world.finish().await;
}

#[tokio::test]
async fn kubectl_waits_for_it_and_shows_it_in_columns() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID, OTHER])).await;

    world.kubectl_text(&["wait", "--for=condition=Ready", "rtenant/acme", "--timeout=30s"]);

    let table = world.kubectl_text(&["get", "rtenant"]);
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "TENANT", "DIDS", "READY", "REASON", "AGE"]);
    assert_eq!(rows[1][..5], ["acme", "acme", "2", "True", "Published"]);
    let wide = world.kubectl_text(&["get", "veralux", "-o", "wide"]);
    let hash = world.status("acme").await["publishedHash"].as_str().unwrap().to_owned();
    for shown in ["MESSAGE", "LAST PUBLISHED", "HASH", "2 numbers live", &hash] {
        assert!(wide.contains(shown), "{shown}: {wide}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_look_that_changes_nothing_writes_nothing() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.apply(&tenant("waits").dids([DID])).await;
    world.wait_ready("acme").await;
    world.wait_condition("waits", "Ready", "False", "DidConflict").await;

    for name in ["acme", "waits"] {
        let edited = look_again(&world, &operator, name, "1").await.resource_version();
        // Another resource is dealt with in the meantime: all that came before it has been.
        let after = format!("after-{name}");
        world.apply(&tenant(&after).dids([if name == "acme" { OTHER } else { THIRD }])).await;
        world.wait_ready(&after).await;
        assert_eq!(world.version(name).await, edited, "{name}: nobody wrote but the one who edited");
    }
    world.finish().await;
}

#[tokio::test]
async fn events_say_what_happened_and_say_it_once() {
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
        look_again(&world, &operator, "acme", edit).await;
        look_again(&world, &operator, "waits", edit).await;
    }
    operator.stop().await.unwrap();
    operator.restart().await.unwrap();
    look_again(&world, &operator, "waits", "4").await;
    look_again(&world, &operator, "acme", "4").await;
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
        assert_eq!(world.told(name, reason).await, 1, "{name}: {reason}");
    }
    world.finish().await;
}

#[tokio::test]
async fn while_suspended_nothing_is_written_to_redis_and_resuming_catches_up() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true } })).await;
    let message = world.wait_condition("acme", "Ready", "Unknown", "Suspended").await;
    assert!(message.contains("spec.suspend"), "{message}");
    world.wait_event("acme", "Suspended").await;
    let looks = async || operator.metric("runtime_operator_reconciles_total").await;
    let before = world.config_text("acme").await;

    let seen = looks().await;
    world.delete_key(&format!("tenantmap:did:{DID}")).await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", seen + 1.0).await;
    world.reset_commands().await;
    let seen = looks().await;
    world.apply_secret("acme-webhook", "rotated").await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", seen + 1.0).await;
    world.patch("acme", json!({ "spec": { "dids": [DID, OTHER] } })).await;
    world.wait_condition("acme", "Ready", "Unknown", "Suspended").await;
    operator.restart().await.unwrap();
    look_again(&world, &operator, "acme", "1").await;
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
async fn what_a_suspended_one_holds_stays_its_own() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "suspend": true, "dids": [OTHER] } })).await;
    world.wait_condition("acme", "Ready", "Unknown", "Suspended").await;

    world.apply(&tenant("beta").dids([DID])).await;

    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.finish().await;
}

/// The definition as it might have been once: anything goes.
fn looser_definition() -> String {
    let text = std::fs::read_to_string(CRD_FILE).unwrap();
    let mut definition: Value = serde_saphyr::from_str(&text).unwrap();
    let version = &mut definition["spec"]["versions"][0];
    version.as_object_mut().unwrap().remove("selectableFields");
    let anything = json!({ "x-kubernetes-preserve-unknown-fields": true });
    version["schema"]["openAPIV3Schema"] =
        json!({ "type": "object", "properties": { "spec": anything, "status": anything } });
    definition.to_string()
}

async fn wait_refused(world: &World, probe: &Value) {
    world
        .wait("the real definition is in force", || async {
            let params = PostParams { dry_run: true, ..PostParams::default() };
            let made = world.tenants().create(&params, &serde_json::from_value(probe.clone()).unwrap()).await;
            made.map_or(Ok(()), |_| Err("it is accepted".to_owned()))
        })
        .await;
}

#[tokio::test]
async fn what_was_stored_before_a_rule_is_told_and_stalls_nothing_else() {
    let world = World::with_own_cluster().await;
    let cluster = world.cluster();
    cluster.apply_yaml(&looser_definition()).await.unwrap();
    let invalid = [
        ("bad-number", tenant("bad-number").dids(["0815"]), "spec.dids[0]"),
        ("twice", tenant("twice").dids([THIRD, "+1 555 000 1111"]), "spec.dids[1]"),
        ("same-twice", tenant("same-twice").dids([THIRD, THIRD]), "spec.dids[1]"),
        ("bad-url", tenant("bad-url").dids([THIRD]).set("/tts/kokoroUrl", "tts"), "spec.tts.kokoroUrl"),
        (
            "wrong-mode",
            tenant("wrong-mode").dids([THIRD]).set("/stt/mode", "whisper_http"),
            "spec.stt.whisperUrl",
        ),
        ("no-caps", tenant("no-caps").dids([THIRD]).set("/caps/maxConcurrentCallsTenant", 0), "spec.caps"),
    ];
    let unreadable = [
        (
            "text-for-a-number",
            tenant("t1").dids([THIRD]).set("/caps/maxConcurrentCallsTenant", "many").resource(),
        ),
        ("text-for-a-list", tenant("t2").set("/dids", THIRD).resource()),
        ("unknown-mode", tenant("t3").dids([THIRD]).set("/tts/mode", "gramophone").resource()),
        ("no-spec", json!({})),
        ("spec-is-a-list", json!({ "spec": [1, 2] })),
    ];
    let make = async |name: &str, resource: &Value| {
        let mut resource = resource.clone();
        resource["apiVersion"] = json!("runtime.veralux.io/v1");
        resource["kind"] = json!("RuntimeTenant");
        resource["metadata"] = json!({ "name": name });
        let object: DynamicObject = serde_json::from_value(resource.clone()).unwrap();
        world
            .wait("the looser definition is in force", || async {
                let made = world.tenants().create(&PostParams::default(), &object).await;
                made.map(drop).map_err(|error| error.to_string())
            })
            .await;
        resource
    };
    for (name, tenant, _) in &invalid {
        make(name, &tenant.resource()).await;
    }
    let mut last = Value::Null;
    for (name, resource) in &unreadable {
        last = make(name, resource).await;
    }
    // A status that can't be read, on a resource that can.
    world.apply_secret("odd-status-webhook", "whsec").await;
    make("odd-status", &tenant("odd-status").dids(["+15550009999"]).resource()).await;
    let odd = Patch::Merge(json!({ "status": { "conditions": "fine", "publishedDids": 7 } }));
    world.tenants().patch_status("odd-status", &PatchParams::default(), &odd).await.unwrap();
    cluster.apply_file(CRD_FILE).await.unwrap();
    last["metadata"]["name"] = json!("one-more");
    wait_refused(&world, &last).await;

    let operator = world.operator().start().await;

    for (name, _, place) in &invalid {
        let message = world.wait_condition(name, "Ready", "False", "InvalidSpec").await;
        assert!(message.contains(place), "{name}: {message}");
        let resource = world.get(name).await.unwrap();
        assert_well_formed(&resource);
        assert_eq!(kstatus(&resource), Kstatus::Failed, "{name}");
        world.wait_event(name, "InvalidSpec").await;
    }
    for (name, _) in &unreadable {
        let message = world.wait_event(name, "Unreadable").await;
        assert!(message.contains("can't be read"), "{name}: {message}");
        let resource = world.get(name).await.unwrap();
        assert!(resource.finalizers().is_empty() && resource.data["status"].is_null(), "{name}");
    }
    let unreadables = "runtime_operator_unreadable_resources_total";
    #[expect(clippy::cast_precision_loss, reason = "five")]
    let count = unreadable.len() as f64;
    world.wait_metric(&operator, unreadables, count).await;
    let seen = operator.metric(unreadables).await;
    // After that everything is looked at again.
    world.redis().restart().await.unwrap();
    world.wait_metric(&operator, unreadables, seen + count).await;
    world.wait_ready("odd-status").await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "dids": [DID, THIRD] } })).await;
    world.wait_ready("acme").await;
    for (name, _) in &unreadable {
        assert_eq!(world.told(name, "Unreadable").await, 1, "{name}");
        world.delete(name).await;
        world.wait_gone(name).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_live_one_that_can_no_longer_be_read_stays_live() {
    let world = World::with_own_cluster().await;
    world.cluster().apply_yaml(&looser_definition()).await.unwrap();
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    let before = world.config_text("acme").await;
    let broken = json!({ "spec": { "caps": "none" } });
    world
        .wait("the looser definition is in force", || async {
            let patched =
                world.tenants().patch("acme", &PatchParams::default(), &Patch::Merge(broken.clone())).await;
            patched.map(drop).map_err(|error| error.to_string())
        })
        .await;

    world.wait_event("acme", "Unreadable").await;

    assert_eq!(world.config_text("acme").await, before);
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    world.apply(&tenant("beta").dids([DID])).await;
    world.wait_condition("beta", "Ready", "False", "DidConflict").await;
    world.delete("acme").await;
    world.wait_gone("acme").await;
    world.wait_live(DID, Some("beta")).await;
    world.finish().await;
}
