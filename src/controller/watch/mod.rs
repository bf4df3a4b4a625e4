//! The watches: everything that Kubernetes reports enters here, in order, into the index.

mod decode;
mod handler;
mod list;
mod resilient;
mod state;
mod streams;

pub use decode::WatchedTenant;
pub use handler::EventHandler;
pub use resilient::WATCH_SILENCE;
pub use state::WatchStates;
#[cfg(test)]
pub use state::{Verb, WatchFailure};
pub use streams::streams;
