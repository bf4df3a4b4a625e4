//! What people do with a few tenants, as short as it can be and with everything in it: a publish, a number that changes
//! hands, a rotation, a deletion, a tenant that is made again under its name.

use serde_json::json;

use crate::support::{World, tenant};
use crate::truth;

const KEPT: &str = "+15550000001";
const MOVED: &str = "+15550000002";
const OWN: &str = "+15550000003";
const DOOMED: &str = "+15550000004";
const AGAIN: &str = "+15550000005";

/// Tells it from the beginning to the end, stage by stage, each as soon as the one before is seen; at the end all is
/// true, and nothing of it is left.
pub async fn tell(world: &World) {
    world.apply(&tenant("giver").dids([KEPT, MOVED])).await;
    world.apply(&tenant("taker").dids([OWN])).await;
    world.apply(&tenant("doomed").dids([DOOMED])).await;
    for name in ["giver", "taker", "doomed"] {
        world.wait_ready(name).await;
    }
    // Somebody waits for a number, and gets it.
    world.set_dids("taker", [OWN, MOVED]).await;
    world.wait_condition("taker", "Ready", "False", "DidConflict").await;
    world.set_dids("giver", [KEPT]).await;
    world.wait_ready("taker").await;
    world.wait_live(MOVED, Some("taker")).await;

    world.apply_secret("giver-webhook", "rotated").await;
    world
        .wait("the new secret is live", || async {
            let live = world.config("giver").await.unwrap_or_default()["webhookSecret"].clone();
            if live == "rotated" { Ok(()) } else { Err(live.to_string()) }
        })
        .await;

    world.delete("doomed").await;
    world.wait_gone("doomed").await;
    world.apply(&tenant("doomed").dids([AGAIN])).await;
    world.wait_ready("doomed").await;
    truth::wait(world).await;
    assert_eq!(world.live(DOOMED).await, None);

    for name in ["giver", "taker", "doomed"] {
        world.patch(name, json!({ "metadata": { "annotations": { "note": "the end" } } })).await;
        world.delete(name).await;
    }
    for name in ["giver", "taker", "doomed"] {
        world.wait_gone(name).await;
        world.delete_secret(&format!("{name}-webhook")).await;
    }
    truth::wait(world).await;
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
}
