//! The cost of a piece of work for the operator, Redis and the API server.

use std::time::Duration;

use crate::operator::Operator;
use crate::requests::{Counts, less};
use crate::site::Site;

/// Acquiring an epoch changes the counter, the epoch of the writer, and the writer's note.
const CHANGES_PER_EPOCH: u64 = 3;

/// The usage up to a moment.
pub struct Usage {
    cpu: Duration,
    redis: Counts,
    changes: u64,
    epoch: u64,
    kube: Counts,
}

/// The cost of a piece of work until the operator is settled, status writes included.
pub struct Cost {
    /// The number of tenants or samples.
    pub each: usize,
    pub cpu: Duration,
    pub redis: Counts,
    /// What Redis changed, as it counts for its own snapshots: a command that changes nothing does not count.
    changes: u64,
    epochs: u64,
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
        let (changes, epoch) = (site.keys.changes().await, site.keys.epoch().await);
        Self { cpu: Duration::ZERO, redis, changes, epoch, kube }
    }

    /// Waits until the operator is settled, and returns the cost.
    pub async fn cost(self, site: &Site, operator: &Operator, each: usize) -> Cost {
        let cpu = site.wait_settled(operator).await.saturating_sub(self.cpu);
        let memory = operator.memory();
        let now = Self::without(site).await;
        let (redis, kube) = (less(&now.redis, &self.redis), less(&now.kube, &self.kube));
        let (changes, epochs) = (now.changes - self.changes, now.epoch - self.epoch);
        Cost { each, cpu, redis, changes, epochs, kube, memory }
    }
}

impl Cost {
    /// Returns the changes in Redis, without those that acquire an epoch.
    pub fn redis_writes(&self) -> u64 {
        self.changes.saturating_sub(CHANGES_PER_EPOCH * self.epochs)
    }

    pub fn kube_writes(&self) -> u64 {
        let writes = |kind: &String| {
            ["POST", "PUT", "PATCH", "APPLY", "DELETE"].iter().any(|verb| kind.starts_with(verb))
        };
        self.kube.iter().filter(|(kind, _)| writes(kind)).map(|(_, count)| count).sum()
    }
}
