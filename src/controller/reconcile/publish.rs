//! Publishing a tenant in the order that leaves no DID unmapped.
//!
//! Whatever is read from the API server is read before the lock is taken; under it there is only Redis. A tenant that must be
//! published before this one and can't be, since its Secret can't be read, does not hold it up.

use std::collections::{HashMap, HashSet};
use std::slice;

use futures::future::join_all;
use tracing::{Instrument, Span, debug, info, trace_span};

use super::super::context::Context;
use super::super::error::Error;
use super::super::queue::change_span;
use super::conflicts;
use super::fetch::{Fetched, Missing};
use super::prepare::{Prepared, prepare};
use super::results::record_results;
use crate::domain::index::{AlreadyPublished, Index, Start, TenantSnapshot};
use crate::domain::plan::Rejections;
use crate::domain::{Epoch, Uid};
use crate::store::{Applied, Conflict, Operation};
use crate::telemetry::TRACES;

/// The most bytes of the specs of tenants that are published in one script call. Two of the largest may always exchange numbers
/// in one.
pub const MAX_GROUP_BYTES: usize = 2 << 20;
/// The attempts of one reconcile while Redis keeps showing other owners.
const MAX_ATTEMPTS: usize = 5;
/// The times that something is fetched in one reconcile, for each of the tenants in it: a Secret may be rotated meanwhile, and a
/// spec that is not held is read for each attempt.
const MAX_FETCHES: usize = 2 * MAX_ATTEMPTS;

/// The result of publishing a group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GroupResult {
    Done,
    /// Claims have changed in the meantime, so that another tenant must be published first.
    OrderChanged,
}

/// The tenants that are published in one script call.
enum Group<'a> {
    /// One from which no other takes anything. Others may be published at the same time.
    Alone(&'a Uid),
    /// Those that must be published in one step, and before others. Nothing else is published at the same time.
    Members(Vec<Uid>),
}

/// The result of one attempt to publish a group.
enum Attempt {
    Recorded,
    OrderChanged,
    /// Each of these is missing for the tenant beside it.
    Missing(Vec<(Uid, Missing)>),
    /// Redis rejected the operations of these tenants, and wrote nothing. The generation is that of a publication.
    Rejected(Vec<(Uid, Option<i64>, Conflict)>),
}

/// Publishes `uid`, and first the tenants that take DIDs or the tenant id from it.
pub async fn publish(ctx: &Context, uid: &Uid, change: &Span) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    let mut pass = Pass { ctx, epoch, change, uid, fetched: Fetched::default(), failed: HashSet::new() };
    for _ in 0..MAX_ATTEMPTS {
        if pass.publish_in_order().await? == GroupResult::Done {
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
    /// The tenant that is reconciled.
    uid: &'a Uid,
    fetched: Fetched,
    /// The other tenants that can't be published now, for a reason of their own.
    failed: HashSet<Uid>,
}

impl Pass<'_> {
    async fn publish_in_order(&mut self) -> Result<GroupResult, Error> {
        let uid = self.uid;
        let mut done = AlreadyPublished::default();
        if self.publish_group(Group::Alone(uid), &mut done).await? == GroupResult::Done {
            return Ok(GroupResult::Done);
        }
        for members in self.ctx.read(|index| index.publish_order(uid)) {
            debug!(?members, "publishing tenants that exchange DIDs in one transaction");
            for members in self.split(members, &mut done) {
                if self.publish_group(Group::Members(members), &mut done).await? == GroupResult::OrderChanged
                {
                    return Ok(GroupResult::OrderChanged);
                }
            }
        }
        Ok(GroupResult::Done)
    }

    /// The script calls that publish tenants which exchange DIDs: one; or one for each, where they are too large together.
    fn split(&self, members: Vec<Uid>, done: &mut AlreadyPublished) -> Vec<Vec<Uid>> {
        let bytes: usize = self.ctx.read(|index| {
            let objects = members.iter().filter_map(|uid| index.object(uid));
            objects.map(|object| object.cached_spec().bytes()).sum()
        });
        if members.len() == 1 || bytes <= MAX_GROUP_BYTES {
            return vec![members];
        }
        let tenants = members.len();
        info!(
            tenants,
            bytes, "too large to exchange numbers in one script call; publishing one after the other"
        );
        // So that none waits for those after it.
        self.ctx.read(|index| done.add(index, &members));
        members.into_iter().map(|uid| vec![uid]).collect()
    }

    /// Publishes a group in one script call, or none of it if one tenant is rejected. Returns `OrderChanged` if a tenant that
    /// is not in `done` takes something from it.
    async fn publish_group(
        &mut self,
        mut group: Group<'_>,
        done: &mut AlreadyPublished,
    ) -> Result<GroupResult, Error> {
        // Those of another group: nothing large is held while something is read for this one.
        self.fetched.specs.clear();
        let mut rejections: HashMap<Uid, Rejections> = HashMap::new();
        let (mut rejected, mut fetches) = (0, 0);
        loop {
            self.leave_out_failed(&mut group, done);
            match self.attempt(&group, done, &rejections).await? {
                Attempt::Recorded => return Ok(GroupResult::Done),
                Attempt::OrderChanged => return Ok(GroupResult::OrderChanged),
                Attempt::Missing(missing) if fetches < MAX_FETCHES * group.members().len() => {
                    fetches += missing.len();
                    self.fetch(missing, &group).await?;
                }
                Attempt::Rejected(conflicts) if rejected < MAX_ATTEMPTS => {
                    rejected += 1;
                    self.resolve(conflicts, &mut rejections).await?;
                }
                Attempt::Missing(_) | Attempt::Rejected(_) => {
                    return Err(Error::OwnershipKeptChanging(MAX_ATTEMPTS));
                }
            }
        }
    }

    /// Takes out of the group the tenants that can't be published now. They count as published: nothing waits for them.
    fn leave_out_failed(&self, group: &mut Group<'_>, done: &mut AlreadyPublished) {
        let Group::Members(members) = group else { return };
        let failed: Vec<Uid> = members.extract_if(.., |uid| self.failed.contains(uid)).collect();
        if !failed.is_empty() {
            self.ctx.read(|index| done.add(index, &failed));
        }
    }

    /// Plans and publishes from one snapshot, under the lock. Nothing is read from the API server meanwhile.
    async fn attempt(
        &mut self,
        group: &Group<'_>,
        done: &mut AlreadyPublished,
        rejections: &HashMap<Uid, Rejections>,
    ) -> Result<Attempt, Error> {
        let (_shared, _exclusive) = match group {
            Group::Alone(_) => (Some(self.ctx.publishing.read().await), None),
            Group::Members(_) => (None, Some(self.ctx.publishing.write().await)),
        };
        let snapshots = match group {
            Group::Alone(uid) => match self.ctx.read(|index| index.start(uid)) {
                Start::Alone(snapshot) => Some(vec![*snapshot]),
                Start::Group => None,
            },
            Group::Members(members) => self.ctx.read(|index| index.snapshot(members, done)),
        };
        let Some(snapshots) = snapshots else { return Ok(Attempt::OrderChanged) };
        let prepared = match self.prepare_all(&snapshots, rejections) {
            Ok(prepared) => prepared,
            Err(missing) => return Ok(Attempt::Missing(missing)),
        };
        let operations: Vec<&Operation> =
            prepared.iter().filter_map(|prepared| Some(&prepared.write()?.operation)).collect();
        let applied = self.apply(&operations).await?;
        let members = group.members();
        if !applied.iter().any(|applied| matches!(applied, Applied::Rejected(_))) {
            record_results(self.ctx, self.change, members, prepared, applied);
            return Ok(Attempt::Recorded);
        }
        let writes =
            members.iter().zip(&prepared).filter_map(|(uid, prepared)| Some((uid, prepared.write()?)));
        let conflicts = writes.zip(applied).filter_map(|((uid, write), applied)| {
            let Applied::Rejected(conflict) = applied else { return None };
            let generation = match &write.operation {
                Operation::Publish(publication) => Some(publication.generation),
                Operation::Remove(_) => None,
            };
            Some((uid.clone(), generation, conflict))
        });
        Ok(Attempt::Rejected(conflicts.collect()))
    }

    fn prepare_all(
        &mut self,
        snapshots: &[TenantSnapshot],
        rejections: &HashMap<Uid, Rejections>,
    ) -> Result<Vec<Prepared>, Vec<(Uid, Missing)>> {
        let none = Rejections::default();
        let (mut prepared, mut missing) = (Vec::with_capacity(snapshots.len()), Vec::new());
        for snapshot in snapshots {
            let _span = trace_span!(target: TRACES, "plan", uid = %snapshot.uid).entered();
            let rejections = rejections.get(&snapshot.uid).unwrap_or(&none);
            match prepare(self.ctx, snapshot, rejections, &mut self.fetched) {
                Ok(ready) => prepared.push(ready),
                Err(lacks) => missing.push((snapshot.uid.clone(), lacks)),
            }
        }
        if !missing.is_empty() {
            return Err(missing);
        }
        for (snapshot, prepared) in snapshots.iter().zip(&mut prepared) {
            let permit = self.fetched.specs.take_permit(&snapshot.uid);
            if let Prepared::Write(write) = prepared {
                write.permit = permit;
            }
        }
        Ok(prepared)
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

    /// Fetches what is missing, for all tenants concurrently.
    async fn fetch(&mut self, missing: Vec<(Uid, Missing)>, group: &Group<'_>) -> Result<(), Error> {
        let ctx = self.ctx;
        // Only who waits for nothing else waits for a permit.
        let takes_permit = group.members().len() == 1;
        for (uid, _) in &missing {
            self.fetched.specs.take_permit(uid);
        }
        let reads = missing
            .into_iter()
            .map(|(uid, missing)| async move { (uid, missing.fetch(ctx, takes_permit).await) });
        for (uid, found) in join_all(reads).await {
            match found {
                Ok(found) => self.fetched.add(found),
                Err(error) => self.fail(&uid, error)?,
            }
        }
        Ok(())
    }

    async fn resolve(
        &mut self,
        conflicts: Vec<(Uid, Option<i64>, Conflict)>,
        rejections: &mut HashMap<Uid, Rejections>,
    ) -> Result<(), Error> {
        for (uid, generation, conflict) in conflicts {
            debug!(%uid, ?conflict, "Redis rejected the operation");
            let rejections = rejections.entry(uid.clone()).or_default();
            if let Some(generation) = generation {
                rejections.reset_for_generation(generation);
            }
            if let Err(error) = conflicts::resolve(self.ctx, &uid, conflict, rejections).await {
                self.fail(&uid, error)?;
            }
        }
        Ok(())
    }

    /// Handles an error that concerns one tenant. That of another tenant than the reconciled one is its own: it is
    /// reconciled, reports it, and is retried.
    fn fail(&mut self, uid: &Uid, error: Error) -> Result<(), Error> {
        if uid == self.uid || error.is_of_redis() {
            return Err(error);
        }
        debug!(%uid, %error, "it can't be published now; going on without it");
        self.failed.insert(uid.clone());
        let unreported = |index: &Index| (!index.retrying().contains(uid)).then(|| index.namespace(uid));
        if let Some(namespace) = self.ctx.read(unreported) {
            self.ctx.reconciles.enqueue(namespace, uid.clone(), change_span());
        }
        Ok(())
    }
}

impl Group<'_> {
    fn members(&self) -> &[Uid] {
        match self {
            Self::Alone(uid) => slice::from_ref(uid),
            Self::Members(members) => members,
        }
    }
}
