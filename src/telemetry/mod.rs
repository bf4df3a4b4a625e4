//! What the process says of itself: metrics, with labels that never grow with the number of tenants, and logs.

mod logs;
mod metrics;

pub use logs::init as init_logs;
pub use metrics::{Metrics, Review};
