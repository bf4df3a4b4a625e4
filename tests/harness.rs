//! Tests of the shared test code: its reader reports exactly the violations that callers would notice, its worlds are
//! independent, its failures name their cause.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use futures::FutureExt;
use serde_json::json;
use test_support::{World, eventually, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";

fn config(tenant: &str, dids: &[&str]) -> String {
    json!({ "contractVersion": "v1", "tenantId": tenant, "dids": dids }).to_string()
}

async fn wait_rounds(world: &World, more: u64) {
    let enough = world.rounds() + more;
    world
        .wait("the reader continues", || async {
            if world.rounds() >= enough { Ok(()) } else { Err(String::new()) }
        })
        .await;
}

async fn wait_violation(world: &World, words: &str) {
    world
        .wait(&format!("the reader reports that a config {words}"), || async {
            let seen = world.violations();
            let found = seen.iter().any(|violation| violation.contains(DID) && violation.contains(words));
            if found { Ok(()) } else { Err(format!("it reported {seen:?}")) }
        })
        .await;
}

#[tokio::test]
async fn the_reader_reports_an_unknown_did_without_a_config() {
    let world = World::new().await;

    world.set_key(&format!("tenantmap:did:{DID}"), "acme").await;

    wait_violation(&world, "is not there").await;
    assert!(world.close().await.iter().all(|violation| violation.contains(r#"maps to "acme""#)));
}

#[tokio::test]
async fn the_reader_reports_every_kind_of_invalid_config() {
    let wrong = [
        ("{\"contractVersion\":", "is not JSON"),
        (&config("acme", &[DID]).replace("v1", "v2"), "is not of contract version v1"),
        (&config("other", &[DID]), "is that of \"other\""),
        (&config("acme", &[OTHER]), "does not list it"),
    ];
    let world = World::new().await;
    for (config, words) in wrong {
        world.set_key("tenantcfg:acme", config).await;
        world.set_key(&format!("tenantmap:did:{DID}"), "acme").await;

        wait_violation(&world, words).await;
        world.delete_key(&format!("tenantmap:did:{DID}")).await;
    }
    world.close().await;
}

#[tokio::test]
async fn a_past_violation_fails_the_test_when_it_finishes() {
    let world = World::new().await;
    world.set_key(&format!("tenantmap:did:{DID}"), "acme").await;
    wait_violation(&world, "is not there").await;
    world.delete_key(&format!("tenantmap:did:{DID}")).await;

    let failure = std::panic::AssertUnwindSafe(world.finish()).catch_unwind().await.unwrap_err();

    let text = failure.downcast::<String>().unwrap();
    assert!(text.contains("the voice runtime read") && text.contains(DID), "{text}");
}

#[tokio::test]
async fn the_reader_ignores_exempt_dids() {
    let world = World::new().await;
    world.exempt([DID]);
    world.set_key(&format!("tenantmap:did:{DID}"), "no-tenant").await;
    wait_rounds(&world, 30).await;
    assert_eq!(world.violations(), Vec::<String>::new());

    world.resume_checks();

    wait_violation(&world, "is not there").await;
    world.close().await;
}

#[tokio::test]
async fn a_did_that_moves_between_two_reads_is_no_violation() {
    let world = World::new().await;
    let mut connection = world.connection().await;
    let mut owners = ["acme", "beta"];
    let before = world.rounds();
    // Each move is atomic, and the previous owner no longer lists the DID.
    while world.rounds() < before + 200 {
        owners.reverse();
        let [new, old] = owners;
        redis::pipe()
            .atomic()
            .set(format!("tenantmap:did:{DID}"), new)
            .set(format!("tenantcfg:{new}"), config(new, &[DID]))
            .set(format!("tenantcfg:{old}"), config(old, &[OTHER]))
            .exec_async(&mut connection)
            .await
            .unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_reader_reconnects_after_an_outage_of_redis() {
    let world = World::new().await;
    world.redis().kill().await.unwrap();
    world.redis().restart().await.unwrap();
    wait_rounds(&world, 10).await;

    world.set_key(&format!("tenantmap:did:{DID}"), "acme").await;

    wait_violation(&world, "is not there").await;
    world.close().await;
}

#[tokio::test]
async fn a_built_tenant_is_accepted_with_its_secret() {
    let world = World::new().await;

    world.apply(&tenant("acme").dids([DID]).secret("whsec").annotation("take-over", "true")).await;
    let patched = world.patch("acme", json!({ "spec": { "dids": [OTHER], "suspend": true } })).await;

    assert_eq!(patched.data["spec"]["dids"], json!([OTHER]));
    assert_eq!(patched.metadata.annotations.unwrap()["runtime.veralux.io/take-over"], "true");
    let secrets: kube::Api<k8s_openapi::api::core::v1::Secret> =
        kube::Api::namespaced(world.client(), world.namespace());
    let secret = secrets.get("acme-webhook").await.unwrap();
    assert_eq!(secret.data.unwrap()["webhookSecret"].0, b"whsec");

    let refused = world.try_apply(&tenant("beta").set("/stt/chunkMs", -1)).await.unwrap_err();
    assert!(refused.to_string().contains("chunkMs"), "{refused}");

    world.delete("acme").await;
    world.wait_deleted("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn two_worlds_share_only_the_cluster() {
    let (one, other) = tokio::join!(World::new(), World::new());
    one.set_key("here", "1").await;
    one.apply(&tenant("acme").dids([DID])).await;

    assert_eq!(one.cluster().kubeconfig(), other.cluster().kubeconfig());
    assert_ne!(one.namespace(), other.namespace());
    assert_eq!(other.keys("*").await, Vec::<String>::new());
    assert!(other.get("acme").await.is_none());
    one.finish().await;
    other.finish().await;
}

#[tokio::test]
async fn an_operator_that_exits_at_start_fails_with_its_log() {
    let world = World::new().await;

    let error = world.operator().env("REDIS_URL", "no url").try_start().await.err().unwrap();

    assert!(matches!(error, local_cluster::Error::EndedEarly { .. }), "{error}");
    assert!(error.to_string().starts_with("operator-0 ended with exit status:"), "{error}");
    world.finish().await;
}

#[tokio::test]
async fn a_timeout_names_the_expected_condition() {
    let wait = eventually("pigs fly", Duration::from_millis(30), || async { false });

    let failure = std::panic::AssertUnwindSafe(wait).catch_unwind().await.unwrap_err();

    assert_eq!(*failure.downcast::<String>().unwrap(), "timeout after 30ms: pigs fly");
}
