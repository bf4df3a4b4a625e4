//! Whatever fails between the operator and Kubernetes, and wherever the process dies: in the end Redis is exactly what
//! the resources say, the status tells the truth, no caller noticed, and nothing was written more often than it had to
//! be.
//!
//! A part of each loop runs by default; `CHAOS=full` runs all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

#[path = "../support/gate/mod.rs"]
mod gate;
#[path = "../support/mod.rs"]
mod support;

mod api_server;
mod deaths;
mod gated;
mod lost_events;
mod refusals;
mod restored;
mod stale;
mod story;
mod tally;
mod truth;

/// Whether all of it runs.
fn full() -> bool {
    std::env::var("CHAOS").is_ok_and(|chaos| chaos == "full")
}

/// Every which one of a loop's faults is injected: all of them, or a part that is quick.
fn stride(part: usize) -> usize {
    if full() { 1 } else { part }
}
