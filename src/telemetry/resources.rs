//! The metrics that are computed at each scrape: resources by condition, and the work queues. A deleted resource leaves no
//! series behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::labels::Labels;
use crate::domain::reason::Reason;
use crate::domain::status::{
    DIDS_CLAIMED, PUBLISHED, READY, RECONCILING, SECRET_RESOLVED, STALLED, SUSPENDED, WARNINGS,
};

const CONDITIONS: [&str; 8] =
    [READY, SECRET_RESOLVED, DIDS_CLAIMED, PUBLISHED, RECONCILING, STALLED, SUSPENDED, WARNINGS];
const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
/// The reason of a resource without a status.
const UNSEEN: &str = "Unseen";
/// Any reason that this version does not know, set by another version of the operator.
const OTHER: &str = "Other";

/// The watched resources, and the label of all namespaces.
const WATCHED: [&str; 2] = ["runtimetenants", "secrets"];
const EVERYWHERE: &str = "*";

/// All resources, queues and watches, counted once.
#[derive(Clone, Debug)]
pub struct ResourceCounts {
    conditions: BTreeMap<(&'static str, &'static str), u64>,
    not_ready: BTreeMap<&'static str, u64>,
    published_dids: u64,
    queues: BTreeMap<&'static str, QueueCounts>,
    watches: BTreeMap<(&'static str, String), Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct QueueCounts {
    depth: u64,
    oldest: Duration,
}

impl Default for ResourceCounts {
    fn default() -> Self {
        let pairs =
            CONDITIONS.into_iter().flat_map(|condition| STATUSES.map(|status| ((condition, status), 0)));
        // A status has these only while they are True.
        let passing = [RECONCILING, STALLED, SUSPENDED, WARNINGS];
        let pairs =
            pairs.filter(|((condition, status), _)| !passing.contains(condition) || *status == "True");
        let reasons = Reason::ALL.map(Reason::as_str).into_iter().chain([UNSEEN, OTHER]);
        // The reasons of conditions that are True.
        let is_true =
            [Reason::Published, Reason::Resolved, Reason::Claimed, Reason::Suspended, Reason::SpecWarnings]
                .map(Reason::as_str);
        let reasons = reasons.filter(|reason| !is_true.contains(reason));
        Self {
            conditions: pairs.collect(),
            not_ready: reasons.map(|reason| (reason, 0)).collect(),
            published_dids: 0,
            queues: BTreeMap::new(),
            watches: WATCHED.map(|resource| ((resource, EVERYWHERE.to_owned()), Duration::ZERO)).into(),
        }
    }
}

impl ResourceCounts {
    /// Counts a resource by its status: the type, status and reason of each condition, and the number of published DIDs.
    /// A resource without a status has no condition.
    pub fn add_resource<'a>(
        &mut self,
        conditions: impl Iterator<Item = [&'a str; 3]> + Clone,
        published_dids: u32,
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
        self.published_dids += u64::from(published_dids);
    }

    /// Sets the depth of a queue, and the age of its oldest entry.
    pub fn set_queue(&mut self, queue: &'static str, depth: u64, oldest: Duration) {
        self.queues.insert(queue, QueueCounts { depth, oldest });
    }

    /// Sets the time since each watch last worked, zero while it works: the resource, the namespace, and the time.
    pub fn set_watches<'a>(
        &mut self,
        watches: impl Iterator<Item = (&'static str, Option<&'a str>, Duration)>,
    ) {
        let named = |(resource, namespace, time): (_, Option<&str>, _)| {
            ((resource, namespace.unwrap_or(EVERYWHERE).to_owned()), time)
        };
        self.watches = watches.map(named).collect();
    }

    fn encode(&self, queues: &[&'static str], mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_resources(&mut encoder)?;
        self.encode_queues(queues, &mut encoder)?;
        self.encode_watches(&mut encoder)
    }

    fn encode_resources(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
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
        let published_dids = encoder.encode_descriptor(
            "published_dids",
            "Published DIDs, as reported by the statuses",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(self.published_dids).encode(published_dids)
    }

    fn encode_queues(&self, queues: &[&'static str], encoder: &mut DescriptorEncoder) -> fmt::Result {
        let counts = |queue: &str| self.queues.get(queue).copied().unwrap_or_default();
        let mut depths = encoder.encode_descriptor(
            "queue_depth",
            "Queued resources, by queue",
            None,
            MetricType::Gauge,
        )?;
        for queue in queues {
            let labels: Labels<1> = [("queue", queue)];
            ConstGauge::new(counts(queue).depth).encode(depths.encode_family(&labels)?)?;
        }
        let mut ages = encoder.encode_descriptor(
            "queue_oldest",
            "Age of the oldest queued resource, by queue",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for queue in queues {
            let labels: Labels<1> = [("queue", queue)];
            ConstGauge::new(counts(queue).oldest.as_secs_f64()).encode(ages.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl ResourceCounts {
    fn encode_watches(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let mut times = encoder.encode_descriptor(
            "watch_interrupted",
            "Time since the watch of a resource in a namespace (* for all) last worked, 0 while it works",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        for ((resource, namespace), time) in &self.watches {
            let labels = [("resource", *resource), ("watched_namespace", namespace.as_str())];
            ConstGauge::new(time.as_secs_f64()).encode(times.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

type Count = Box<dyn Fn() -> ResourceCounts + Send + Sync>;

/// Counts at each scrape; everything is 0 until there is a function that counts.
#[derive(Clone)]
pub(super) struct ResourceCollector {
    queues: Arc<[&'static str]>,
    count: Arc<OnceLock<Count>>,
}

impl ResourceCollector {
    pub(super) fn new(queues: &[&'static str]) -> Self {
        Self { queues: queues.into(), count: Arc::default() }
    }

    pub(super) fn set(&self, count: impl Fn() -> ResourceCounts + Send + Sync + 'static) {
        // A second function has no effect: there is one controller.
        let _ = self.count.set(Box::new(count));
    }
}

impl fmt::Debug for ResourceCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceCollector").field("queues", &self.queues).finish_non_exhaustive()
    }
}

impl Collector for ResourceCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let counts = self.count.get().map_or_else(ResourceCounts::default, |count| count());
        counts.encode(&self.queues, encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_counted_once_in_any_state() {
        let mut counts = ResourceCounts::default();
        for (status, reason) in [("True", "Published"), ("False", "SecretNotFound"), ("False", "Invented")] {
            counts.add_resource([[READY, status, reason]].into_iter(), 2, false);
        }
        counts.add_resource([].into_iter(), 0, false);
        counts.add_resource([].into_iter(), 0, true);
        let by = |status| counts.conditions[&(READY, status)];
        assert_eq!((by("True"), by("False"), by("Unknown")), (1, 2, 2));
        for reason in ["SecretNotFound", OTHER, UNSEEN, "Unreadable"] {
            assert_eq!(counts.not_ready[reason], 1, "{reason}");
        }
        assert_eq!(counts.published_dids, 6);
    }

    #[test]
    fn a_queue_is_reported_by_its_name_and_0_until_it_is_set() {
        let mut counts = ResourceCounts::default();
        counts.set_queue("status", 3, Duration::from_secs(5));
        let mut registry = prometheus_client::registry::Registry::default();
        let collector = ResourceCollector::new(&["reconcile", "status"]);
        collector.set(move || counts.clone());
        registry.register_collector(Box::new(collector));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "queue_depth{queue=\"reconcile\"} 0",
            "queue_depth{queue=\"status\"} 3",
            "queue_oldest_seconds{queue=\"status\"} 5.0",
            "watch_interrupted_seconds{resource=\"secrets\",watched_namespace=\"*\"} 0.0",
        ] {
            assert!(text.lines().any(|is| is == line), "{line} is not in\n{text}");
        }
    }
}
