//! The chart: what is generated is fresh, what its values may be, what it renders, and that every Kubernetes that is
//! supported takes that.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod generated;
mod helm;
mod kubernetes;
mod rendered;
mod schema;
mod swagger;
