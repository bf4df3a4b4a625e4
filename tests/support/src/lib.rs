//! Shared code of the integration tests: a real cluster that the tests of one binary share, and for each test a namespace,
//! a Redis, operator processes of its own and a reader that polls Redis as the voice runtime does.
//!
//! ```ignore
//! let world = World::new().await;
//! let operator = world.operator().start().await;
//! world.apply(&tenant("acme").dids(["+15551234567"])).await;
//! world.wait_ready("acme").await;
//! assert_eq!(world.live("+15551234567").await.as_deref(), Some("acme"));
//! world.finish().await;
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use
)]

mod console;
pub mod generator;
pub mod hostile;
mod journal;
mod keys;
mod observe;
mod operator;
mod permissions;
pub mod proxy;
mod reader;
mod resources;
pub mod specs;
pub mod store_fixture;
mod tenant;
mod wait;
mod world;

pub use console::{DocumentedCommand, Shell, documented_commands};
pub use journal::Journal;
pub use observe::MappingRecorder;
pub use operator::{Operator, OperatorBuilder};
pub use permissions::{Permissions, service_account, user};
pub use tenant::{Tenant, tenant};
pub use wait::{TIMEOUT, eventually};
pub use world::World;

/// The repository's root.
pub const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The operator's binary. Cargo builds it before the integration tests and the benches of its package, and puts it into
/// the folder above theirs.
pub fn operator_binary() -> std::path::PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.parent().and_then(std::path::Path::parent).unwrap().join("runtime-operator");
    assert!(binary.is_file(), "{} is missing: build the package runtime-operator", binary.display());
    binary
}
