//! The resource: a real API server refuses what is wrong in words that say what must hold, takes what is right, and
//! explains every field.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod accepted;
mod cluster;
mod examples;
mod explain;
mod generator;
mod limits;
mod managers;
mod property;
mod refused;
mod specs;
