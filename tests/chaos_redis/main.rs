//! Whatever befalls Redis, the ways to it and the leader: in the end Redis equals the resources, their statuses say so,
//! and no caller met a number without a valid config.
//!
//! | file | what happens |
//! | --- | --- |
//! | `losses` | T7: what Redis held is gone, or is what it was long ago |
//! | `ways` | T7: the way to Redis is cut, half-open, slow, torn |
//! | `refusals` | T7: Redis answers, and refuses to write |
//! | `failover` | T7: Sentinels make a replica the primary that lacks what was acknowledged |
//! | `leaders` | T8: a leader is frozen and superseded, with a write or its number still on the way |
//! | `chains` | T9: a resource is edited again and again, and ends as if it only ever had its last spec |
//! | `soak` | T10: random faults out of all of these, drawn by a seed |
//!
//! `CHAOS=full` (`make chaos`) runs the long forms.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

#[path = "../support/mod.rs"]
mod support;

mod chains;
mod failover;
mod gate;
#[path = "../validation/generator.rs"]
mod generator;
mod leaders;
mod losses;
mod nat;
mod refusals;
mod scene;
mod soak;
#[path = "../validation/specs.rs"]
mod specs;
mod truth;
mod ways;

/// Whether the long forms are asked for.
fn full() -> bool {
    std::env::var("CHAOS").is_ok_and(|chaos| chaos == "full")
}
