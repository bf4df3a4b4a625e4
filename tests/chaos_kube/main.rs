//! Faults between the operator and Kubernetes, and crashes at any point: in the end Redis equals the resources, the statuses
//! are true, no caller has noticed, and nothing was written more often than necessary.
//!
//! A part of each loop runs by default; `CHAOS=full` runs all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod api_server;
mod deaths;
mod lost_events;
mod proxied;
mod refusals;
mod restored;
mod stale;
mod story;
mod tally;
mod truth;

/// Returns true if the loops run in full.
fn full() -> bool {
    std::env::var("CHAOS").is_ok_and(|chaos| chaos == "full")
}

/// Returns the step through a loop's faults: all of them, or every `part`-th.
fn stride(part: usize) -> usize {
    if full() { 1 } else { part }
}
