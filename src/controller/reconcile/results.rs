//! Records the results of a script call in the index, the log, metrics and events.

use std::time::Instant;

use tracing::{Span, debug, field, info};

use super::super::context::Context;
use super::prepare::{Cause, PendingWrite, Prepared};
use crate::contract::{Did, config_key, did_key};
use crate::domain::Uid;
use crate::domain::assessment::plural_dids;
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::index::{OperationResult, RedisChange};
use crate::store::{Applied, Operation, Publication};

/// The keys of one repair that the log names.
const SHOWN_KEYS: usize = 12;

/// Records the results, and enqueues the statuses and the tenants that they affect. `applied` has one entry for each
/// prepared write, in their order.
pub fn record_results(
    ctx: &Context,
    change: &Span,
    members: &[Uid],
    prepared: Vec<Prepared>,
    applied: Vec<Applied>,
) {
    let mut applied = applied.into_iter();
    let mut published = 0;
    let results: Vec<OperationResult> = members
        .iter()
        .zip(prepared)
        .map(|(uid, prepared)| match prepared {
            Prepared::Done(outcome) => {
                OperationResult { uid: uid.clone(), outcome: Some(outcome), change: None }
            }
            Prepared::Write(write) => {
                let applied = applied.next().unwrap_or(Applied::Aborted);
                ctx.metrics.count_operation(applied.as_str());
                log(uid, &write, &applied);
                let is_published = matches!(applied, Applied::Published { .. });
                published += u32::from(is_published);
                if is_published && write.cause == Cause::Repair {
                    ctx.metrics.drift_repaired.inc();
                }
                let change = RedisChange {
                    recorded: write.recorded(),
                    invalidations: write.invalidations,
                    written: matches!(
                        applied,
                        Applied::Published { .. } | Applied::Removed { .. } | Applied::Recorded
                    ),
                    published: is_published,
                    taken_from: match &applied {
                        Applied::Published { taken_over, .. } => {
                            taken_over.iter().filter_map(|taken| taken.holder.clone()).collect()
                        }
                        _ => Vec::new(),
                    },
                    events: events(&write, &applied),
                    secret_warnings: write.secret_warnings,
                };
                OperationResult { uid: uid.clone(), outcome: write.outcome, change: Some(change) }
            }
        })
        .collect();
    if published > 0 {
        ctx.priority.published(published, Instant::now());
    }
    ctx.update_in(change, |index| (index.record_results(results), ()));
}

/// Says what was done, once: a publish, an adoption, a repair or a removal.
fn log(uid: &Uid, write: &PendingWrite, applied: &Applied) {
    let tenant = write.operation.tenant();
    let namespace = write.resource.as_ref().map(|name| field::display(&name.namespace));
    let name = write.resource.as_ref().map(|name| field::display(&name.name));
    match (&write.operation, applied) {
        (Operation::Publish(publication), Applied::Published { adopted, taken_over, .. }) => {
            let dids = publication.dids.len();
            if let Some(adoption) = adopted {
                info!(namespace, name, tenant_id = %tenant, dids, %adoption, "adopted");
            } else if !taken_over.is_empty() {
                let taken: Vec<String> = taken_over.iter().map(ToString::to_string).collect();
                info!(namespace, name, tenant_id = %tenant, dids, taken = taken.join(", "), "taken over");
            } else if write.cause == Cause::Repair {
                let keys = repaired_keys(publication);
                info!(namespace, name, tenant_id = %tenant, keys, "repaired");
            } else {
                info!(namespace, name, tenant_id = %tenant, dids, "published");
            }
        }
        (_, Applied::Removed { .. }) => info!(namespace, name, tenant_id = %tenant, %uid, "removed"),
        (_, other) => debug!(namespace, name, tenant_id = %tenant, ?other, "already up to date"),
    }
}

/// The keys that a repair has restored.
fn repaired_keys(publication: &Publication) -> String {
    let config = config_key(&publication.tenant);
    let mappings = publication.dids.iter().map(did_key);
    let keys: Vec<String> = std::iter::once(config).chain(mappings).collect();
    let more = keys.len().saturating_sub(SHOWN_KEYS);
    let shown = keys.iter().take(SHOWN_KEYS).map(String::as_str).collect::<Vec<_>>().join(" ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// The events that report what an operation did.
fn events(write: &PendingWrite, applied: &Applied) -> Vec<EventDraft> {
    let mut events = Vec::new();
    match (&write.operation, applied) {
        (Operation::Publish(publication), Applied::Published { adopted, taken_over, removed }) => {
            if let Some(adoption) = adopted {
                let message = format!("adopted the config of an older publisher; {adoption}");
                events.push(EventDraft::new(EventReason::Adopted, message));
            }
            if !taken_over.is_empty() {
                let what: Vec<String> = taken_over.iter().map(ToString::to_string).collect();
                events.push(EventDraft::new(EventReason::TakenOver, format!("took {}", what.join(", "))));
            }
            if write.cause == Cause::Repair && adopted.is_none() && taken_over.is_empty() {
                let message = "restored keys that another client had changed or removed";
                events.push(EventDraft::new(EventReason::Repaired, message));
                return events;
            }
            let live = format!("{} live", plural_dids(publication.dids.len()));
            let message = match (write.cause, removed.is_empty()) {
                (Cause::Rotation, _) => "published the new webhook secret".to_owned(),
                (_, true) => live,
                (_, false) => {
                    let unmapped: Vec<&str> = removed.iter().map(Did::as_str).collect();
                    format!("{live}; unmapped {}", unmapped.join(", "))
                }
            };
            let rotation = write.cause == Cause::Rotation;
            let reason = if rotation { EventReason::SecretRotated } else { EventReason::Published };
            events.push(EventDraft::new(reason, message));
        }
        (Operation::Remove(removal), Applied::Removed { keys }) => {
            let (reason, message) = match (removal.retain, *keys) {
                (true, _) => (
                    EventReason::Retained,
                    "keys kept in Redis (spec.deletionPolicy: Retain) and no longer owned by a resource",
                ),
                (false, true) => (EventReason::Unpublished, "keys removed from Redis"),
                (false, false) => (EventReason::Unpublished, "no keys to remove"),
            };
            events.push(EventDraft::new(reason, message));
        }
        _ => {}
    }
    events
}
