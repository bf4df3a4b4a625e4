//! Metrics, the alerts and the dashboard that use them, and traces: tested with a running operator and Prometheus.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod alerts;
mod dashboard;
mod page;
mod scrape;
mod traces;
