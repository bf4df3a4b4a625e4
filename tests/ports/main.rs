//! Both HTTP ports withstand hostile clients: others are still answered, memory stays bounded, and the process ends.
// In tests a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod addresses;
mod memory;
mod stop;
mod telemetry;
