//! The command line for people: what it prints, and with which code it ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bug_report;
mod check;
mod command;
mod diff;
mod export;
mod page;
mod pods;
mod schemas;
mod secrets;
mod status;
mod trace;
mod validate;
