//! The cost of a piece of work for the operator, Redis and the API server.

use std::time::Duration;

use crate::operator::Operator;
use crate::requests::{Counts, less};
use crate::site::Site;

/// The usage up to a moment.
pub struct Usage {
    cpu: Duration,
    redis: Counts,
    kube: Counts,
}

/// The cost of a piece of work until the operator is settled, status writes included.
pub struct Cost {
    /// The number of tenants or samples.
    pub each: usize,
    pub cpu: Duration,
    pub redis: Counts,
    pub kube: Counts,
    /// Resident bytes afterwards, and at the peak in between.
    pub memory: (u64, u64),
}

impl Usage {
    /// Reads the usage of an idle operator, and resets its peak.
    pub async fn of(site: &Site, operator: &Operator) -> Self {
        let usage = Self { cpu: operator.cpu(), ..Self::without(site).await };
        operator.forget_peak();
        usage
    }

    /// Reads the usage before an operator is started.
    pub async fn without(site: &Site) -> Self {
        let (redis, kube) = (site.keys.of_others().await, site.requests.of_others(&site.client).await);
        Self { cpu: Duration::ZERO, redis, kube }
    }

    /// Waits until the operator is settled, and returns the cost.
    pub async fn cost(self, site: &Site, operator: &Operator, each: usize) -> Cost {
        let cpu = site.wait_settled(operator).await.saturating_sub(self.cpu);
        let memory = operator.memory();
        let now = Self::without(site).await;
        Cost { each, cpu, redis: less(&now.redis, &self.redis), kube: less(&now.kube, &self.kube), memory }
    }
}

impl Cost {
    /// Returns the calls of Redis commands that write, without the two that acquire an epoch.
    pub fn redis_writes(&self) -> u64 {
        let writes = ["set", "del", "hset", "hdel", "sadd", "srem"];
        let calls = |name: &str| self.redis.get(name).copied().unwrap_or_default();
        writes.into_iter().map(calls).sum::<u64>().saturating_sub(calls("incr"))
    }

    pub fn kube_writes(&self) -> u64 {
        let writes = |kind: &String| {
            ["POST", "PUT", "PATCH", "APPLY", "DELETE"].iter().any(|verb| kind.starts_with(verb))
        };
        self.kube.iter().filter(|(kind, _)| writes(kind)).map(|(_, count)| count).sum()
    }
}
