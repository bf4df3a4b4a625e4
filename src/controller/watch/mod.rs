//! The watches: everything that Kubernetes reports enters here, in order, into the index.

mod decode;
mod handler;
mod list;
pub mod state;
mod streams;
mod watcher;

pub use decode::{MAX_STATUS, SecretMeta, StoredTenant, WatchedTenant, WrittenTenant};
pub use handler::{EventHandler, apply};
pub use list::{PAGE_BYTES, Pages};
#[cfg(test)]
pub use state::Verb;
pub use state::WatchFailure;
pub use streams::READ_AHEAD;
pub use streams::streams;
pub use watcher::WATCH_SILENCE;
