//! Adoption of existing keys: those of an older publisher are adopted and never silently rerouted or unmapped, those of
//! another cluster stay with it, and the take-over annotation overrides both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod drift;
mod elsewhere;
mod flushes;
mod in_use;
mod older_publisher;
mod runtime_keys;
mod secret;

use serde_json::json;
use test_support::World;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";

/// Writes an older publisher's keys: a config in its own format, with the webhook secret that `tenant` has by default, and
/// the mappings.
async fn published_before(world: &World, tenant: &str, dids: &[&str]) -> String {
    let secret = format!("whsec-of-{tenant}");
    let config = json!({
        "contractVersion": "v1", "tenantId": tenant, "dids": dids, "webhookSecret": secret, "audio": {},
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 1 }, "tts": { "mode": "kokoro_http", "kokoroUrl": "http://old/" },
    });
    let config = config.to_string();
    world.set_key(&format!("tenantcfg:{tenant}"), &config).await;
    for did in dids {
        world.set_key(&format!("tenantmap:did:{did}"), tenant).await;
    }
    config
}

/// Sets the take-over annotation, as kubectl would.
async fn take_over(world: &World, namespace: &str, name: &str) {
    let annotated = json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": "true" } } });
    let patch = kube::api::Patch::Merge(annotated);
    world.tenants_in(namespace).patch(name, &kube::api::PatchParams::default(), &patch).await.unwrap();
}
