//! Faults of Redis, of the network and of the leader: in the end Redis equals the resources, their statuses agree, and no caller
//! has met a DID without a valid config.
//!
//! | file | fault |
//! | --- | --- |
//! | `losses` | T7: Redis loses its data, or gets data from long ago |
//! | `ways` | T7: connections to Redis are cut, half-open, slow, torn |
//! | `refusals` | T7: Redis rejects writes |
//! | `failover` | T7: Sentinels promote a replica that lacks acknowledged writes |
//! | `leaders` | T8: a leader is frozen and superseded while a write or its epoch is in flight |
//! | `chains` | T9: a resource is edited repeatedly, and ends as if it only ever had its last spec |
//! | `soak` | T10: random faults of all of these kinds, drawn by a seed |
//!
//! `CHAOS=full` (`make chaos`) runs the long forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod chains;
mod failover;
mod holding_proxy;
mod leaders;
mod losses;
mod refusals;
mod scene;
mod soak;
mod truth;
mod ways;

/// Returns true if the long forms are requested.
fn full() -> bool {
    std::env::var("CHAOS").is_ok_and(|chaos| chaos == "full")
}
