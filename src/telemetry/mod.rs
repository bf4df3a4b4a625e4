//! What the process says of itself: metrics, with labels that never grow with the number of tenants, logs, and
//! traces for whoever collects them.

mod census;
mod certificates;
mod exposition;
mod logs;
mod metrics;
mod traces;

pub use census::{Census, Queue};
pub use certificates::Certificate;
pub use exposition::Format;
pub use logs::init as init_logs;
pub use metrics::{Drift, Metrics, Review};
pub use traces::{TARGET as TRACES, Traces, TracesError};
