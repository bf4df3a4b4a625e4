//! What integration tests stand on: a real cluster that the tests of one binary share, and for each test a namespace, a
//! Redis, operator processes of its own and a reader that polls Redis as the voice runtime does.
//!
//! ```ignore
//! let world = World::new().await;
//! let operator = world.operator().start().await;
//! world.apply(&tenant("acme").dids(["+15551234567"])).await;
//! world.wait_ready("acme").await;
//! assert_eq!(world.live("+15551234567").await.as_deref(), Some("acme"));
//! world.finish().await;
//! ```
#![allow(dead_code, unused_imports, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod console;
mod journal;
mod keys;
mod look;
mod operator;
mod oracle;
mod resources;
mod rights;
mod tenant;
mod wait;
mod world;

pub use console::{Shell, Shown, commands_of};
pub use journal::Journal;
pub use look::Followed;
pub use operator::{Operator, OperatorBuilder};
pub use oracle::{Oracle, fault};
pub use rights::{Rights, service_account, user};
pub use tenant::{Tenant, tenant};
pub use wait::{PATIENCE, eventually};
pub use world::World;
