//! The watches: everything that Kubernetes reports enters here, in order, into the index.

mod decode;
mod handler;
mod resilient;
mod streams;

pub use decode::WatchedTenant;
pub use handler::EventHandler;
pub use resilient::WATCH_SILENCE;
pub use streams::streams;
