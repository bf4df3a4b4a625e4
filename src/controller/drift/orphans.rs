//! The orphan sweep: removes the keys of resources that no longer exist.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio::time::interval;
use tracing::{error, info};

use super::super::context::Context;
use super::super::intervals::Intervals;
use super::super::notices;
use super::super::queue::change_span;
use crate::contract::TenantId;
use crate::domain::Uid;
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::index::Index;
use crate::store::StoreError;

/// The number of orphans that a sweep may remove, however few records there are.
const ALWAYS_ALLOWED: usize = 10;
/// A sweep may remove one in this many of all records, where that is more.
const MAX_SHARE: usize = 5;
/// The interval at which a refused sweep is reported again: events expire after an hour.
const REPORT_INTERVAL: Duration = Duration::from_secs(1800);

/// Looks for ownership records of this cluster whose resource is gone, and removes them after a grace period; never too
/// many in one sweep, since then something else is wrong.
pub async fn sweep(ctx: &Context, intervals: &Intervals) {
    let mut since: HashMap<Uid, Instant> = HashMap::new();
    let mut ticks = interval(intervals.sweep);
    let mut reported: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if ctx.epoch().is_err() {
            since.clear();
            continue;
        }
        let (mut orphans, records) = ctx.read(Index::orphans);
        if !orphans.is_empty() && !ctx.health.watches().all().iter().all(|watch| watch.listed) {
            let Ok(listed) = with_listed_namespace(ctx, orphans).await else { continue };
            orphans = listed;
        }
        ctx.metrics.orphaned_records.set(i64::try_from(orphans.len()).unwrap_or(i64::MAX));
        since.retain(|uid, _| orphans.contains(uid));
        let now = Instant::now();
        let due: Vec<&Uid> = orphans
            .iter()
            .filter(|uid| now.duration_since(*since.entry((*uid).clone()).or_insert(now)) >= intervals.grace)
            .collect();
        if are_too_many(due.len(), records) {
            if reported.is_none_or(|reported| now.duration_since(reported) >= REPORT_INTERVAL) {
                reported = Some(now);
                ctx.metrics.orphan_sweeps_refused.inc();
                refuse_sweep(ctx, due.len(), records).await;
            }
            continue;
        }
        reported = None;
        for uid in due {
            info!(%uid, "removing orphaned keys");
            // Enqueued directly, since the index drops effects on tenants that it does not know. The reconcile removes
            // the keys.
            let namespace = ctx.read(|index| index.namespace(uid));
            ctx.reconciles.enqueue(namespace, uid.clone(), change_span());
        }
    }
}

/// The orphans whose namespace the watches have listed: the resource of another may still be there.
async fn with_listed_namespace(ctx: &Context, orphans: HashSet<Uid>) -> Result<HashSet<Uid>, StoreError> {
    let tenants: Vec<TenantId> = ctx.read(|index| {
        let published = orphans.iter().filter_map(|uid| index.claims().published(uid));
        published.map(|published| published.tenant.clone()).collect()
    });
    let owners = ctx.store.inspect(&tenants).await?.into_iter().filter_map(|found| Some(found.record?.owner));
    let listed = owners.filter(|owner| ctx.has_listed("runtimetenants", &owner.namespace));
    Ok(listed.map(|owner| owner.uid).filter(|uid| orphans.contains(uid)).collect())
}

fn are_too_many(orphans: usize, records: usize) -> bool {
    orphans > ALWAYS_ALLOWED && orphans * MAX_SHARE > records
}

/// Reports on the Lease, which stands for the operator as a whole, that nothing is removed.
async fn refuse_sweep(ctx: &Context, orphans: usize, records: usize) {
    error!(orphans, records, "orphan sweep refused: too many orphaned records");
    let message = format!(
        "{orphans} of {records} ownership records in Redis have lost their resource, which is too many for one sweep: none \
         is removed, and their numbers stay live. Restore the resources, or remove the keys by hand"
    );
    let draft = EventDraft::new(EventReason::OrphanSweepRefused, message);
    notices::on_lease(ctx, "Sweep", draft).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_removes_at_most_ten_orphans_or_a_fifth_of_all_records() {
        assert!(!are_too_many(10, 10), "a small site may be given up as a whole");
        assert!(are_too_many(11, 11) && are_too_many(11, 54));
        assert!(!are_too_many(11, 55));
        assert!(!are_too_many(2000, 10_000) && are_too_many(2001, 10_000));
    }
}
