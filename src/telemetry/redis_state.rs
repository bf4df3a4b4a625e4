//! The report of Redis about its memory, and what the Sentinels report, as each replica sees it.

use prometheus_client::metrics::gauge::Gauge;

use super::builder::MetricsBuilder;

/// The gauges of what Redis and its Sentinels report.
#[derive(Clone, Debug)]
pub struct RedisState {
    /// Bytes that Redis uses.
    pub memory_used: Gauge,
    /// `maxmemory`; 0 without a limit.
    pub memory_limit: Gauge,
    /// Keys evicted since Redis started.
    pub evicted_keys: Gauge,
    /// 1 while Redis evicts keys of the contract when it is full.
    pub evicts: Gauge,
    /// 1 while the Sentinels can't be followed.
    pub sentinels_disagree: Gauge,
}

impl RedisState {
    pub(super) fn new(all: &mut MetricsBuilder) -> Self {
        Self {
            memory_used: all.gauge_bytes("redis_memory_used", "Memory that Redis uses"),
            memory_limit: all
                .gauge_bytes("redis_memory_limit", "Memory limit of Redis (maxmemory), 0 without one"),
            evicted_keys: all.gauge("redis_evicted_keys", "Keys that Redis has evicted since it started"),
            evicts: all.gauge(
                "redis_evicts",
                "1 while Redis evicts keys that calls need when it is full (maxmemory-policy allkeys-*)",
            ),
            sentinels_disagree: all.gauge(
                "redis_sentinels_disagree",
                "1 while no majority of the Sentinels names a primary, so that the current one stays",
            ),
        }
    }
}
