//! What the process says of itself: metrics, with labels that never grow with the number of tenants, and logs.

mod census;
mod certificates;
mod exposition;
mod logs;
mod metrics;

pub use census::{Census, Queue};
pub use certificates::Certificate;
pub use exposition::Format;
pub use logs::init as init_logs;
pub use metrics::{Drift, Metrics, Review};
