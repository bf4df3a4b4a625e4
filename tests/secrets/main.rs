//! Webhook secrets: published with each tenant and rotated immediately, read only when a publish needs them, and shown
//! nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod canary;
mod faults;
mod restart;
mod rotation;
mod value;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use test_support::World;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";

/// Returns the webhook secret in a tenant's config: the value and the reference.
async fn published(world: &World, tenant: &str) -> (Value, Value) {
    let config = world.config(tenant).await.unwrap();
    (config["webhookSecret"].clone(), config["webhookSecretRef"].clone())
}

/// Waits until a secret's value is in a tenant's config.
async fn wait_published(world: &World, tenant: &str, value: &str) {
    let check = || async {
        let now = published(world, tenant).await.0;
        if now == value { Ok(()) } else { Err(format!("it is {now}")) }
    };
    world.wait(&format!("{tenant} has the secret {value:?}"), check).await;
}

/// Applies a merge patch to a Secret, such as `{"data": {"webhookSecret": null}}`.
async fn patch_secret(world: &World, name: &str, patch: Value) {
    let secrets: Api<Secret> = Api::namespaced(world.client(), world.namespace());
    secrets.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Returns data with the default key's value, as base64, or without it.
fn data(base64: Option<&str>) -> Value {
    json!({ "data": { "webhookSecret": base64 } })
}
