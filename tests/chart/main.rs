//! The chart: its generated files are fresh, its schema rejects wrong values, its objects are as documented, and every supported
//! Kubernetes accepts them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod claims_policy;
mod dry_run;
mod generated;
mod generator;
mod helm;
mod kubernetes;
mod labels;
mod network;
mod odd;
mod pods;
mod rendered;
mod schema;
mod swagger;
mod umbrella;
