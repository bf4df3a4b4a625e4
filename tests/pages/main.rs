//! The pages of `docs/` do what they say: their commands are run, in their order, and print what they show; what is made
//! from the code is as the code has it.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod api;
mod commands;
mod release;
#[path = "../support/mod.rs"]
mod support;
