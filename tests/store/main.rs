//! What the store promises: nobody's number is taken unasked, a operation is done whole or not at all, nothing is written
//! without need, and whatever Redis refuses has a name.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod connection;
mod direct;
mod failures;
mod fixture;
mod inspecting;
mod ownership;
mod property;
mod publishing;
mod removing;
mod tracking;
