//! What is counted when somebody asks, and not before: resources by condition, and what waits for its turn. So a resource
//! that is gone leaves no number behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::metrics::Labels;
use crate::domain::reason::Reason;
use crate::domain::status::{DIDS_CLAIMED, PUBLISHED, READY, RECONCILING, SECRET_RESOLVED, STALLED};

const CONDITIONS: [&str; 6] = [READY, SECRET_RESOLVED, DIDS_CLAIMED, PUBLISHED, RECONCILING, STALLED];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
/// The reason of a resource without a status.
const UNSEEN: &str = "Unseen";
/// A reason that another version of the operator gave.
const OTHER: &str = "Other";

/// What resources wait in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// For a look, and perhaps a publish.
    Publish,
    /// For finalizer, status and events.
    Status,
}

impl Queue {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Publish, Self::Status];

    /// As a label has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Status => "status",
        }
    }
}

/// One count of everything.
#[derive(Clone, Debug)]
pub struct Census {
    conditions: BTreeMap<(&'static str, &'static str), u64>,
    not_ready: BTreeMap<&'static str, u64>,
    numbers: u64,
    queues: [(u64, Duration); 2],
}

impl Default for Census {
    fn default() -> Self {
        let pairs =
            CONDITIONS.into_iter().flat_map(|condition| STATUSES.map(|status| ((condition, status), 0)));
        // `Reconciling` and `Stalled` are there only while they are True.
        let pairs = pairs.filter(|((condition, status), _)| {
            ![RECONCILING, STALLED].contains(condition) || *status == "True"
        });
        let reasons = Reason::ALL.map(Reason::as_str).into_iter().chain([UNSEEN, OTHER]);
        // The three that say that all is well.
        let reasons = reasons.filter(|reason| !["Published", "Resolved", "Claimed"].contains(reason));
        Self {
            conditions: pairs.collect(),
            not_ready: reasons.map(|reason| (reason, 0)).collect(),
            numbers: 0,
            queues: Default::default(),
        }
    }
}

impl Census {
    /// Counts a resource by its status: the type, status and reason of each condition, and how many numbers are live. One
    /// that can't be read has none.
    pub fn see<'a>(
        &mut self,
        conditions: impl Iterator<Item = [&'a str; 3]> + Clone,
        numbers: u32,
        unreadable: bool,
    ) {
        for [type_, is, _] in conditions.clone() {
            let count =
                self.conditions.iter_mut().find(|((name, status), _)| *name == type_ && *status == is);
            if let Some((_, count)) = count {
                *count += 1;
            }
        }
        let reason = match conditions.into_iter().find(|[type_, ..]| *type_ == READY) {
            Some([_, "True", _]) => None,
            Some([.., reason]) => {
                Some(self.not_ready.keys().copied().find(|of| *of == reason).unwrap_or(OTHER))
            }
            None => {
                *self.conditions.entry((READY, "Unknown")).or_default() += 1;
                Some(if unreadable { Reason::Unreadable.as_str() } else { UNSEEN })
            }
        };
        if let Some(reason) = reason {
            *self.not_ready.entry(reason).or_default() += 1;
        }
        self.numbers += u64::from(numbers);
    }

    /// Counts a resource that has waited this long.
    pub fn waits(&mut self, queue: Queue, time: Duration) {
        let (depth, oldest) = &mut self.queues[queue as usize];
        *depth += 1;
        *oldest = time.max(*oldest);
    }

    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let mut tenants =
            encoder.encode_descriptor("tenants", "RuntimeTenants by condition", None, MetricType::Gauge)?;
        for ((condition, status), count) in &self.conditions {
            let labels: Labels<2> = [("condition", condition), ("status", status)];
            ConstGauge::new(*count).encode(tenants.encode_family(&labels)?)?;
        }
        let mut not_ready = encoder.encode_descriptor(
            "tenants_not_ready",
            "RuntimeTenants whose condition Ready is not True, by its reason",
            None,
            MetricType::Gauge,
        )?;
        for (reason, count) in &self.not_ready {
            let labels: Labels<1> = [("reason", reason)];
            ConstGauge::new(*count).encode(not_ready.encode_family(&labels)?)?;
        }
        let numbers = encoder.encode_descriptor(
            "live_numbers",
            "Numbers that are live, as the statuses say",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(self.numbers).encode(numbers)?;
        let mut depths = encoder.encode_descriptor(
            "queue_depth",
            "Resources that wait for their turn, by queue",
            None,
            MetricType::Gauge,
        )?;
        for (queue, (depth, _)) in Queue::ALL.into_iter().zip(self.queues) {
            let labels: Labels<1> = [("queue", queue.as_str())];
            ConstGauge::new(depth).encode(depths.encode_family(&labels)?)?;
        }
        let mut ages = encoder.encode_descriptor(
            "queue_oldest",
            "How long whoever waits longest has waited, by queue",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for (queue, (_, oldest)) in Queue::ALL.into_iter().zip(self.queues) {
            let labels: Labels<1> = [("queue", queue.as_str())];
            ConstGauge::new(oldest.as_secs_f64()).encode(ages.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

type Take = Box<dyn Fn() -> Census + Send + Sync>;

/// Counts when it is asked; everything is 0 until somebody says how.
#[derive(Clone, Default)]
pub(super) struct CensusTaker(Arc<OnceLock<Take>>);

impl CensusTaker {
    pub(super) fn take_with(&self, take: impl Fn() -> Census + Send + Sync + 'static) {
        // Whoever comes second counts nothing: there is one controller.
        let _ = self.0.set(Box::new(take));
    }
}

impl fmt::Debug for CensusTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CensusTaker").finish_non_exhaustive()
    }
}

impl Collector for CensusTaker {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        self.0.get().map_or_else(Census::default, |take| take()).encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_counted_once_whatever_its_status_says() {
        let mut census = Census::default();
        for (status, reason) in [("True", "Published"), ("False", "SecretNotFound"), ("False", "Invented")] {
            census.see([[READY, status, reason]].into_iter(), 2, false);
        }
        census.see([].into_iter(), 0, false);
        census.see([].into_iter(), 0, true);
        let by = |status| census.conditions[&(READY, status)];
        assert_eq!((by("True"), by("False"), by("Unknown")), (1, 2, 2));
        for reason in ["SecretNotFound", OTHER, UNSEEN, "Unreadable"] {
            assert_eq!(census.not_ready[reason], 1, "{reason}");
        }
        assert_eq!(census.numbers, 6);
    }

    #[test]
    fn the_oldest_of_a_queue_is_the_one_that_waited_longest() {
        let mut census = Census::default();
        for seconds in [2, 5, 3] {
            census.waits(Queue::Status, Duration::from_secs(seconds));
        }
        assert_eq!(census.queues, [(0, Duration::ZERO), (3, Duration::from_secs(5))]);
    }
}
