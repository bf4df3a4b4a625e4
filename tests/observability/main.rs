//! What the operator says of itself: metrics, alerts and the dashboard made of them, traces. All of it is held against a
//! real operator and a real Prometheus.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod alerts;
mod dashboard;
mod page;
mod scrape;
#[path = "../support/mod.rs"]
mod support;
mod traces;
