//! Claims: a published DID stays with its holder, a free one goes to the oldest claimant; no edit of another tenant reroutes a
//! published DID, and a waiting tenant gets it, without a gap, when its holder releases it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod conflict;
mod handover;
mod namespaces;
mod restart;
mod swap;
mod tenant_id;
mod waiting;

use serde_json::{Value, json};
use test_support::World;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";
const FOUR: &str = "+15550000004";

/// Waits until a resource is not Ready because of a conflict whose message names the DID and its holder.
async fn wait_conflict(world: &World, loser: &str, did: &str, holder: &str) {
    let named = format!("{did} is held by {}/{holder}", world.namespace());
    let check = || async {
        let message = world.wait_condition(loser, "Ready", "False", "DidConflict").await;
        if message.contains(&named) { Ok(()) } else { Err(message) }
    };
    world.wait(&format!("{loser} reports that {named}"), check).await;
    world.wait_condition(loser, "DidsClaimed", "False", "DidConflict").await;
}

/// Returns the DIDs that a tenant's config lists.
async fn listed(world: &World, tenant: &str) -> Value {
    world.config(tenant).await.unwrap()["dids"].clone()
}

/// Returns the DIDs that a status lists as published.
async fn status_dids(world: &World, name: &str) -> Value {
    let status = world.status(name).await;
    // An empty list is left out.
    let dids = status.get("publishedDids").cloned().unwrap_or_else(|| json!([]));
    assert_eq!(status["publishedDidCount"], dids.as_array().unwrap().len());
    dids
}

/// Checks that a DID was mapped `sets` times and never unmapped in between.
fn moved(writes: &[(String, String)], did: &str, sets: usize) {
    let key = format!("tenantmap:did:{did}");
    let of: Vec<&str> = writes.iter().filter(|(of, _)| *of == key).map(|(_, done)| &**done).collect();
    assert_eq!(of, vec!["set"; sets], "writes of {key}");
}
