//! The admin routes: whoever called the old publisher changes the host name and nothing else, and what a resource holds
//! nobody changes by hand.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod auth;
mod client;
mod documents;
mod errors;
mod limits;
mod managed;
mod routes;
mod schemathesis;
mod stop;
#[path = "../support/mod.rs"]
mod support;
mod telling;
mod tls;
