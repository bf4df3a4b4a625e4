//! The store's promises: no DID is taken from its owner unless the owner yields or a take-over is requested, a call is
//! applied completely or not at all, nothing is written without need, and each failure of Redis has a name.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adopting;
mod connection;
mod direct;
mod expiry;
mod failures;
mod idle;
mod inspecting;
mod large;
mod own_keys;
mod ownership;
mod property;
mod publishing;
mod removing;
mod sentinels;
mod stamps;
mod tracking;
