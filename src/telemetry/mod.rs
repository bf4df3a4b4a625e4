//! Metrics, logs and traces. No label of a metric grows with the number of tenants. Knows no other module but `domain`:
//! the values of labels are given to [`Metrics::new`].

mod builder;
mod cause;
mod certificates;
mod exposition;
mod labels;
mod logs;
mod metrics;
mod redis_state;
mod resources;
mod traces;

pub use cause::{api_server_cause, one_line, with_causes};
pub use certificates::Certificate;
pub use exposition::Format;
pub use labels::LabelValues;
pub use logs::{LogFilterError, LogFormat, filter as log_filter, init as init_logs};
pub use metrics::{Drift, Metrics, Review, ReviewResult};
pub use redis_state::RedisState;
pub use resources::ResourceCounts;
pub use traces::{TARGET as TRACES, Traces, TracesError};
