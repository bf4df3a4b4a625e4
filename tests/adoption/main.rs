//! What is in Redis already: an older publisher's keys are adopted and never silently rerouted or unmapped, another
//! cluster's stay with it, and take-over says "do it" in each of these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

#[path = "../support/mod.rs"]
mod support;

mod drift;
mod elsewhere;
mod in_use;
mod older_publisher;
mod runtime_keys;

use serde_json::json;
use support::World;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";

/// What an older publisher left: a config of its own kind, and the mappings.
async fn published_before(world: &World, tenant: &str, dids: &[&str]) -> String {
    let config = json!({
        "contractVersion": "v1", "tenantId": tenant, "dids": dids, "webhookSecret": "old", "audio": {},
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

/// Says "do it", as a person with kubectl would.
async fn take_over(world: &World, namespace: &str, name: &str) {
    let annotated = json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": "true" } } });
    let patch = kube::api::Patch::Merge(annotated);
    world.tenants_in(namespace).patch(name, &kube::api::PatchParams::default(), &patch).await.unwrap();
}
