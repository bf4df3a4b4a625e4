//! Publishing a tenant in the order that leaves no DID unmapped.

use std::collections::HashMap;
use std::slice;

use futures::future::try_join_all;
use tracing::{Instrument, debug, trace_span};

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
pub async fn publish(ctx: &Context, uid: &Uid) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    for _ in 0..MAX_ATTEMPTS {
        if publish_in_order(ctx, epoch, uid).await? == GroupResult::Done {
            return Ok(());
        }
        debug!(%uid, "claims changed while publishing; recomputing the publish order");
    }
    Err(Error::OwnershipKeptChanging(MAX_ATTEMPTS))
}

async fn publish_in_order(ctx: &Context, epoch: Epoch, uid: &Uid) -> Result<GroupResult, Error> {
    let mut done = AlreadyPublished::default();
    {
        let _shared = ctx.publishing.read().await;
        if let Start::Alone(snapshot) = ctx.read(|index| index.start(uid)) {
            return publish_group(ctx, epoch, slice::from_ref(uid), Some(vec![*snapshot]), &mut done).await;
        }
    }
    let _exclusive = ctx.publishing.write().await;
    for members in ctx.read(|index| index.publish_order(uid)) {
        debug!(?members, "publishing tenants that exchange DIDs in one transaction");
        if publish_group(ctx, epoch, &members, None, &mut done).await? == GroupResult::OrderChanged {
            return Ok(GroupResult::OrderChanged);
        }
    }
    Ok(GroupResult::Done)
}

/// Publishes `members` in one script call, or none of them if one is rejected. Returns `OrderChanged` if a tenant that is
/// not in `done` takes something from them. `first` is the snapshot of the first attempt, if it was taken already.
async fn publish_group(
    ctx: &Context,
    epoch: Epoch,
    members: &[Uid],
    mut first: Option<Vec<TenantSnapshot>>,
    done: &mut AlreadyPublished,
) -> Result<GroupResult, Error> {
    let mut rejections: HashMap<Uid, Rejections> = HashMap::new();
    for _ in 0..MAX_ATTEMPTS {
        let snapshots = match first.take() {
            Some(snapshots) => snapshots,
            None => match ctx.read(|index| index.snapshot(members, done)) {
                Some(snapshots) => snapshots,
                None => return Ok(GroupResult::OrderChanged),
            },
        };
        let prepared = prepare_all(ctx, snapshots, &rejections).await?;
        let operations: Vec<&Operation> =
            prepared.iter().filter_map(|prepared| Some(&prepared.write()?.operation)).collect();
        let applied = apply(ctx, epoch, &operations).await?;
        if !applied.iter().any(|applied| matches!(applied, Applied::Rejected(_))) {
            record_results(ctx, members, prepared, applied);
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
                conflicts::resolve(ctx, uid, conflict, rejections).await?;
            }
        }
    }
    Err(Error::OwnershipKeptChanging(MAX_ATTEMPTS))
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

async fn apply(ctx: &Context, epoch: Epoch, operations: &[&Operation]) -> Result<Vec<Applied>, Error> {
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
    let applying = ctx.store.apply(epoch, &ctx.cluster, operations).instrument(span);
    Ok(applying.await.inspect_err(|error| ctx.write_failed(epoch, error))?)
}
