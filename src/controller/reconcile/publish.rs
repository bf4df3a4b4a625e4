//! Publishing a tenant in the order that leaves no DID unmapped.

use std::collections::HashMap;
use std::slice;

use futures::future::try_join_all;
use tracing::{Instrument, Span, debug, trace_span};

use super::super::context::Context;
use super::super::error::Error;
use super::conflicts;
use super::prepare::{Prepared, prepare};
use super::results::record_results;
use crate::domain::index::{AlreadyPublished, Start, TenantSnapshot};
use crate::domain::plan::Rejections;
use crate::domain::{Epoch, Uid};
use crate::store::{Applied, Operation};
use crate::telemetry::TRACES;

/// The attempts of one reconcile while Redis keeps showing other owners.
const MAX_ATTEMPTS: usize = 5;

/// The result of publishing a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupResult {
    Done,
    /// Claims have changed in the meantime, so that another tenant must be published first.
    OrderChanged,
}

/// Publishes `uid`, and first the tenants that take DIDs or the tenant id from it.
pub async fn publish(ctx: &Context, uid: &Uid, change: &Span) -> Result<(), Error> {
    let pass = Pass { ctx, epoch: ctx.epoch()?, change };
    for _ in 0..MAX_ATTEMPTS {
        if pass.publish_in_order(uid).await? == GroupResult::Done {
            return Ok(());
        }
        debug!(%uid, "claims changed while publishing; recomputing the publish order");
    }
    Err(Error::OwnershipKeptChanging(MAX_ATTEMPTS))
}

/// One reconcile's attempts to publish a tenant and those that must be published before it.
struct Pass<'a> {
    ctx: &'a Context,
    epoch: Epoch,
    /// The trace of the change, to which the statuses belong.
    change: &'a Span,
}

impl Pass<'_> {
    async fn publish_in_order(&self, uid: &Uid) -> Result<GroupResult, Error> {
        let mut done = AlreadyPublished::default();
        {
            let _shared = self.ctx.publishing.read().await;
            if let Start::Alone(snapshot) = self.ctx.read(|index| index.start(uid)) {
                return self.publish_group(slice::from_ref(uid), Some(vec![*snapshot]), &mut done).await;
            }
        }
        let _exclusive = self.ctx.publishing.write().await;
        for members in self.ctx.read(|index| index.publish_order(uid)) {
            debug!(?members, "publishing tenants that exchange DIDs in one transaction");
            if self.publish_group(&members, None, &mut done).await? == GroupResult::OrderChanged {
                return Ok(GroupResult::OrderChanged);
            }
        }
        Ok(GroupResult::Done)
    }

    /// Publishes `members` in one script call, or none of them if one is rejected. Returns `OrderChanged` if a tenant that is
    /// not in `done` takes something from them. `first` is the snapshot of the first attempt, if it was taken already.
    async fn publish_group(
        &self,
        members: &[Uid],
        mut first: Option<Vec<TenantSnapshot>>,
        done: &mut AlreadyPublished,
    ) -> Result<GroupResult, Error> {
        let mut rejections: HashMap<Uid, Rejections> = HashMap::new();
        for _ in 0..MAX_ATTEMPTS {
            let snapshots = match first.take() {
                Some(snapshots) => snapshots,
                None => match self.ctx.read(|index| index.snapshot(members, done)) {
                    Some(snapshots) => snapshots,
                    None => return Ok(GroupResult::OrderChanged),
                },
            };
            let prepared = prepare_all(self.ctx, snapshots, &rejections).await?;
            let operations: Vec<&Operation> =
                prepared.iter().filter_map(|prepared| Some(&prepared.write()?.operation)).collect();
            let applied = self.apply(&operations).await?;
            if !applied.iter().any(|applied| matches!(applied, Applied::Rejected(_))) {
                record_results(self.ctx, self.change, members, prepared, applied);
                return Ok(GroupResult::Done);
            }
            let writes =
                members.iter().zip(&prepared).filter_map(|(uid, prepared)| Some((uid, prepared.write()?)));
            for ((uid, write), applied) in writes.zip(applied) {
                if let Applied::Rejected(conflict) = applied {
                    debug!(%uid, ?conflict, "Redis rejected the operation");
                    let rejections = rejections.entry(uid.clone()).or_default();
                    if let Operation::Publish(publication) = &write.operation {
                        rejections.reset_for_generation(publication.generation);
                    }
                    conflicts::resolve(self.ctx, uid, conflict, rejections).await?;
                }
            }
        }
        Err(Error::OwnershipKeptChanging(MAX_ATTEMPTS))
    }

    async fn apply(&self, operations: &[&Operation]) -> Result<Vec<Applied>, Error> {
        if operations.is_empty() {
            return Ok(Vec::new());
        }
        let span = trace_span!(
            target: TRACES,
            "redis.apply",
            otel.kind = "client",
            db.system = "redis",
            operations = operations.len()
        );
        let applying = self.ctx.store.apply(self.epoch, &self.ctx.cluster, operations).instrument(span);
        Ok(applying.await.inspect_err(|error| self.ctx.write_failed(self.epoch, error))?)
    }
}

async fn prepare_all(
    ctx: &Context,
    snapshots: Vec<TenantSnapshot>,
    rejections: &HashMap<Uid, Rejections>,
) -> Result<Vec<Prepared>, Error> {
    let none = Rejections::default();
    try_join_all(snapshots.into_iter().map(|snapshot| {
        let span = trace_span!(target: TRACES, "plan", uid = %snapshot.uid);
        let rejections = rejections.get(&snapshot.uid).unwrap_or(&none);
        prepare(ctx, snapshot, rejections).instrument(span)
    }))
    .await
}
