//! The resource: a real API server refuses an invalid spec with a message that says what must hold, accepts a valid one,
//! and explains every field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod accepted;
mod cluster;
mod examples;
mod explain;
mod limits;
mod managers;
mod modes;
mod property;
mod refused;
