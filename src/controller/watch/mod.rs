//! The watches: everything that Kubernetes reports enters here, in order, into the index.

mod decode;
mod handler;
mod list;
mod resilient;
pub mod state;
mod streams;

pub use decode::WatchedTenant;
pub use handler::EventHandler;
pub use resilient::WATCH_SILENCE;
#[cfg(test)]
pub use state::Verb;
pub use state::WatchFailure;
pub use streams::streams;
