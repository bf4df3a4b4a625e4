//! The admin routes: a client of the old publisher only changes the host name, and keys that a resource owns are
//! read-only.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod auth;
mod browsers;
mod client;
mod documents;
mod errors;
mod keys;
mod limits;
mod logs;
mod managed;
mod quick_replies;
mod routes;
mod schemathesis;
mod stop;
mod tls;
