//! A short story with every kind of edit: a publish, a DID that moves to another tenant, a rotation, a deletion, a tenant that
//! is created again under its name.

use serde_json::json;
use test_support::{World, tenant};

use crate::truth;

const STAYS: &str = "+15550000001";
const MOVED: &str = "+15550000002";
const OWN: &str = "+15550000003";
const DOOMED: &str = "+15550000004";
const AGAIN: &str = "+15550000005";

/// Runs it stage by stage, each as soon as the previous one is visible; at the end Redis equals the resources, and nothing of
/// the story is left.
pub async fn run(world: &World) {
    world.apply(&tenant("giver").dids([STAYS, MOVED])).await;
    world.apply(&tenant("taker").dids([OWN])).await;
    world.apply(&tenant("doomed").dids([DOOMED])).await;
    for name in ["giver", "taker", "doomed"] {
        world.wait_ready(name).await;
    }
    // A tenant waits for a DID, and gets it.
    world.set_dids("taker", [OWN, MOVED]).await;
    world.wait_condition("taker", "Ready", "False", "DidConflict").await;
    world.set_dids("giver", [STAYS]).await;
    world.wait_ready("taker").await;
    world.wait_live(MOVED, Some("taker")).await;

    world.apply_secret("giver-webhook", "rotated").await;
    world
        .wait("the new secret is published", || async {
            let live = world.config("giver").await.unwrap_or_default()["webhookSecret"].clone();
            if live == "rotated" { Ok(()) } else { Err(live.to_string()) }
        })
        .await;

    world.delete("doomed").await;
    world.wait_deleted("doomed").await;
    world.apply(&tenant("doomed").dids([AGAIN])).await;
    world.wait_ready("doomed").await;
    truth::wait(world).await;
    assert_eq!(world.live(DOOMED).await, None);

    for name in ["giver", "taker", "doomed"] {
        world.patch(name, json!({ "metadata": { "annotations": { "note": "the end" } } })).await;
        world.delete(name).await;
    }
    for name in ["giver", "taker", "doomed"] {
        world.wait_deleted(name).await;
        world.delete_secret(&format!("{name}-webhook")).await;
    }
    truth::wait(world).await;
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
}
