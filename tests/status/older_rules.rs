//! Objects that are older than a rule: they are reported where possible, and block no others.

use kube::ResourceExt;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_support::{World, tenant};

use crate::reading::{Kstatus, assert_well_formed, kstatus};
use crate::{DID, THIRD};

const CRD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");

/// The CRD without any rule, as an older one might have been.
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
        .wait("the real CRD is in effect", || async {
            let params = PostParams { dry_run: true, ..PostParams::default() };
            let made = world.tenants().create(&params, &serde_json::from_value(probe.clone()).unwrap()).await;
            made.map_or(Ok(()), |_| Err("it is accepted".to_owned()))
        })
        .await;
}

/// Creates a resource once the looser CRD is in effect, and returns it.
async fn create(world: &World, name: &str, mut resource: Value) -> Value {
    resource["apiVersion"] = json!("runtime.veralux.io/v1");
    resource["kind"] = json!("RuntimeTenant");
    resource["metadata"] = json!({ "name": name });
    let object: DynamicObject = serde_json::from_value(resource.clone()).unwrap();
    world
        .wait("the looser CRD is in effect", || async {
            let made = world.tenants().create(&PostParams::default(), &object).await;
            made.map(drop).map_err(|error| error.to_string())
        })
        .await;
    resource
}

#[tokio::test]
async fn a_spec_older_than_a_rule_is_reported_and_blocks_nothing_else() {
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
    for (name, tenant, _) in &invalid {
        create(&world, name, tenant.resource()).await;
    }
    let mut last = Value::Null;
    for (name, resource) in &unreadable {
        last = create(&world, name, resource.clone()).await;
    }
    // An unreadable status of a readable resource.
    world.apply_secret("odd-status-webhook", "whsec").await;
    create(&world, "odd-status", tenant("odd-status").dids(["+15550009999"]).resource()).await;
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
        assert!(message.contains("can't be decoded"), "{name}: {message}");
        let resource = world.get(name).await.unwrap();
        assert!(resource.finalizers().is_empty() && resource.data["status"].is_null(), "{name}");
    }
    let unreadables = "runtime_operator_unreadable_resources_total";
    #[expect(clippy::cast_precision_loss, reason = "five")]
    let count = unreadable.len() as f64;
    world.wait_metric(&operator, unreadables, count).await;
    let seen = operator.metric(unreadables).await;
    // After the restart everything is reconciled again.
    world.redis().restart().await.unwrap();
    world.wait_metric(&operator, unreadables, seen + count).await;
    world.wait_ready("odd-status").await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.patch("acme", json!({ "spec": { "dids": [DID, THIRD] } })).await;
    world.wait_ready("acme").await;
    for (name, _) in &unreadable {
        assert_eq!(world.event_count(name, "Unreadable").await, 1, "{name}");
        world.delete(name).await;
        world.wait_deleted(name).await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_published_tenant_with_an_unreadable_spec_stays_published() {
    let world = World::with_own_cluster().await;
    world.cluster().apply_yaml(&looser_definition()).await.unwrap();
    let _operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    let before = world.config_text("acme").await;
    let broken = json!({ "spec": { "caps": "none" } });
    world
        .wait("the looser CRD is in effect", || async {
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
    world.wait_deleted("acme").await;
    world.wait_live(DID, Some("beta")).await;
    world.finish().await;
}

/// The API server tolerates a spec that was wrong before, except where members that its schema does not know keep it from comparing the spec.
#[tokio::test]
async fn a_status_that_the_api_server_rejects_is_reported_by_an_event() {
    let world = World::with_own_cluster().await;
    world.cluster().apply_yaml(&looser_definition()).await.unwrap();
    world.apply_secret("acme-webhook", "whsec").await;
    let resource =
        tenant("acme").dids([DID]).set("/extensions", json!({ "usageLimits": { "newer": 1 } })).resource();
    let mut resource = create(&world, "acme", resource).await;
    world.cluster().apply_file(CRD_FILE).await.unwrap();
    resource["metadata"]["name"] = json!("one-more");
    wait_refused(&world, &resource).await;

    let operator = world.operator().start().await;

    let message = world.wait_event("acme", "InvalidSpec").await;
    assert!(message.contains("usageLimits is a field of spec"), "{message}");
    assert!(world.get("acme").await.unwrap().data["status"].is_null(), "the status was accepted");
    let logs = operator.logs();
    assert!(logs.contains("API server rejects the write until the resource is changed"), "{logs}");
    world.finish().await;
}
