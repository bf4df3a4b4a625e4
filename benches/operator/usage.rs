//! What a piece of work costs the operator, Redis and the API server.

use std::time::Duration;

use crate::operator::Operator;
use crate::requests::{Counts, less};
use crate::site::Site;

/// What was used until a moment.
pub struct Usage {
    cpu: Duration,
    redis: Counts,
    kube: Counts,
}

/// What a piece of work took, until nothing was left to do, status writes included.
pub struct Cost {
    /// Of how many tenants or samples it was.
    pub each: usize,
    pub cpu: Duration,
    pub redis: Counts,
    pub kube: Counts,
    /// Bytes of resident memory afterwards, and the most in between.
    pub memory: (u64, u64),
}

impl Usage {
    /// Of an operator that runs, at rest. Its peak counts anew.
    pub async fn of(site: &Site, operator: &Operator) -> Self {
        let usage = Self { cpu: operator.cpu(), ..Self::without(site).await };
        operator.forget_peak();
        usage
    }

    /// Before an operator is started.
    pub async fn without(site: &Site) -> Self {
        let (redis, kube) = (site.keys.of_others().await, site.requests.of_others(&site.client).await);
        Self { cpu: Duration::ZERO, redis, kube }
    }

    /// Waits until all is done, and says what it took.
    pub async fn cost(self, site: &Site, operator: &Operator, each: usize) -> Cost {
        let cpu = site.wait_settled(operator).await.saturating_sub(self.cpu);
        let memory = operator.memory();
        let now = Self::without(site).await;
        Cost { each, cpu, redis: less(&now.redis, &self.redis), kube: less(&now.kube, &self.kube), memory }
    }
}

impl Cost {
    /// Calls of Redis commands that write, but for the epoch's: who counts it up notes the number in a hash.
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
