//! The pages of `docs/` are correct: their commands run, in their order, and print the shown output; generated pages are fresh.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod api;
mod commands;
mod limits;
mod manifests;
mod release;
