//! A look at one resource, from what it calls for to what came of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use rand::Rng;
use tracing::{Instrument, debug, info, trace_span, warn};

use super::ask;
use super::context::Context;
use super::error::Error;
use super::kept::KeptStatus;
use super::prepare::{Prepared, Todo, prepare};
use super::secrets::Version;
use super::state::{Note, Outcome, Passed, PublishedVersion, State};
use super::tenant::Tenant;
use super::turns::Action;
use crate::contract::Did;
use crate::domain::assessment::{Holder, NotPublished, UnavailableDid, plural_dids};
use crate::domain::plan::Rejections;
use crate::domain::{Epoch, ResourceName, Uid};
use crate::store::{Applied, Conflict, Operation, StoreError};
use crate::telemetry::{Queue, TRACES};

/// How often a look starts again after Redis showed that somebody else owns something.
const ATTEMPTS: usize = 5;
/// The first wait after a failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Looks at one resource, and publishes it with all those that take numbers from it.
pub async fn reconcile(tenant: Arc<Tenant>, ctx: Arc<Context>) -> Result<Action, Error> {
    let (uid, began) = (tenant.uid(), Instant::now());
    let change = ctx.turn(Queue::Publish, &uid);
    ctx.metrics.reconciles.inc();
    let span = trace_span!(target: TRACES, parent: &change, "look", resource = %tenant.name());
    let look = ctx.health.pulse().look();
    let settled = settle(&ctx, &uid).instrument(span).await;
    drop(look);
    ctx.hand.done(&uid);
    ctx.metrics.looked(began.elapsed());
    match settled {
        Ok(()) => {}
        Err(error @ (Error::Store(_) | Error::Waiting(_))) if tenant.is_deleting() && tenant.is_forced() => {
            warn!(resource = %tenant.name(), %error, "let go by force: its keys wait for the orphan sweep");
            force(&ctx, &uid, &error.to_string());
        }
        Err(error) => return Err(error),
    }
    let outside = succeed(&ctx, &uid);
    catch_up(&ctx, &uid);
    ctx.feel_refusals();
    ctx.tell(&uid, &tenant.name());
    // Nothing in Kubernetes will say that somebody outside let go of what he holds.
    Ok(if outside { Action::requeue(jittered(LONGEST_WAIT)) } else { Action::await_change() })
}

/// Looks at `uid`, and publishes it with all those that take numbers from it, takers first.
pub async fn settle(ctx: &Context, uid: &Uid) -> Result<(), Error> {
    let epoch = ctx.epoch()?;
    for _ in 0..ATTEMPTS {
        if let Order::Kept = in_order(ctx, epoch, uid).await? {
            return Ok(());
        }
        debug!(%uid, "numbers go to others by now: the order is made out anew");
    }
    Err(Error::Unsettled)
}

/// Whether the order in which resources were to be published was still theirs when the turn of each came.
#[derive(Clone, Copy)]
enum Order {
    Kept,
    Changed,
}

async fn in_order(ctx: &Context, epoch: Epoch, uid: &Uid) -> Result<Order, Error> {
    let mut passed = Passed::default();
    let alone = ctx.state().claims.publish_order(uid);
    if let [members] = &alone[..]
        && members.len() == 1
    {
        let _shared = ctx.steps.read().await;
        return together(ctx, epoch, members, &mut passed).await;
    }
    let _exclusive = ctx.steps.write().await;
    let order = ctx.state().claims.publish_order(uid);
    for members in order {
        debug!(?members, "published in one step, since numbers move between them");
        if let Order::Changed = together(ctx, epoch, &members, &mut passed).await? {
            return Ok(Order::Changed);
        }
    }
    Ok(Order::Kept)
}

/// What is wrong passes by itself, or not: either way the others go on.
pub fn look_again(tenant: &Tenant, error: &Error, ctx: &Context) -> Action {
    let uid = tenant.uid();
    if matches!(error, Error::NotLeading) {
        return Action::await_change();
    }
    ctx.metrics.reconcile_failed(error.reason());
    let failures = fail(ctx, tenant, error);
    ctx.feel_refusals();
    ctx.tell(&uid, &tenant.name());
    if matches!(error, Error::Waiting(_)) {
        debug!(resource = %tenant.name(), %uid, %error, "waits until Redis is back");
        return Action::await_change();
    }
    let others = ctx.state().failing.len();
    debug!(resource = %tenant.name(), %uid, %error, failures, "not done, tried again later");
    Action::requeue(jittered(wait_after(failures, others)))
}

/// How long one waits that failed so often before, while so many wait in all: the more there are, the less each has to
/// try, since one that succeeds has all others tried at once.
fn wait_after(failures: u32, waiting: usize) -> Duration {
    let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
    let longest = (FIRST_WAIT / 2).saturating_mul(waiting).clamp(10 * FIRST_WAIT, LONGEST_WAIT);
    FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(longest)
}

/// Between half and one and a half of `wait`, so that what failed together does not come back together.
pub fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..1.5))
}

fn succeed(ctx: &Context, uid: &Uid) -> bool {
    let mut state = ctx.state();
    let Some(entry) = state.entry_mut(uid) else { return false };
    entry.failures = 0;
    entry.waits = None;
    let Some(assessment) = entry.assessment() else { return false };
    let held_outside = |holder: &Holder| !matches!(holder, Holder::Resource(_));
    assessment.unavailable.iter().any(|unavailable| held_outside(&unavailable.holder))
        || match &assessment.not_published {
            Some(NotPublished::Tenant(holder)) => held_outside(holder),
            Some(NotPublished::WouldUnmap(_)) => true,
            Some(NotPublished::Secret(fault)) => !fault.is_absence(),
            _ => false,
        }
}

/// What made others fail may be over for them too.
fn catch_up(ctx: &Context, uid: &Uid) {
    let others = {
        let mut state = ctx.state();
        if state.failing.remove(uid) { std::mem::take(&mut state.failing) } else { return }
    };
    ctx.look_at(&others);
}

/// Notes a failure, and tells the resource once if it waits for something to change.
fn fail(ctx: &Context, tenant: &Tenant, error: &Error) -> u32 {
    let uid = tenant.uid();
    let mut state = ctx.state();
    state.failing.insert(uid.clone());
    // A refused number is no trouble of Redis': another is taken at once.
    let passing = matches!(error, Error::Store(StoreError::Fenced { .. }));
    if let (Error::Store(error), false) = (error, passing) {
        state.refusal = Some(error.to_string());
    }
    let secret = state.secrets.version_for(&uid).cloned().map(|version| ctx.recorded(version));
    let Some(entry) = state.entry_mut(&uid) else { return 0 };
    let failures = entry.failures;
    entry.failures = failures.saturating_add(1);
    let reason = if tenant.is_deleting() {
        Some("DeletionWaits")
    } else {
        is_to_change(tenant, entry.record.as_ref(), secret).then_some("PublishWaits")
    };
    if let Some(reason) = reason.filter(|reason| !passing && entry.waits != Some(*reason)) {
        entry.waits = Some(reason);
        entry.notes.push(Note::warning(reason, format!("tried again until it works: {error}")));
    }
    failures
}

/// Whether its spec or its Secret is another than what is recorded as published. Nobody has to wait who is to be left as
/// he is.
fn is_to_change(tenant: &Tenant, record: Option<&PublishedVersion>, secret: Option<Version>) -> bool {
    match record {
        Some(record) => {
            record.generation != tenant.generation() || secret.is_some_and(|secret| secret != record.secret)
        }
        None => told_of(tenant) != tenant.generation(),
    }
}

/// The generation that the status says was dealt with; it is all that is known before Redis was read.
fn told_of(tenant: &Tenant) -> i64 {
    tenant.status().and_then(KeptStatus::observed_generation).unwrap_or_default()
}

fn force(ctx: &Context, uid: &Uid, why: &str) {
    let mut state = ctx.state();
    state.conclude(uid, Some(Outcome::FinalizerRemovable));
    if let Some(entry) = state.entry_mut(uid) {
        entry.notes.push(Note::warning("ForceDeleted", format!("let go with its keys left in Redis: {why}")));
    }
}

/// Publishes these in one step, or none of them while one is refused. Those who take something from them have `passed`;
/// if another one takes something by now, nothing is done.
async fn together(ctx: &Context, epoch: Epoch, members: &[Uid], passed: &mut Passed) -> Result<Order, Error> {
    let mut rejections: HashMap<Uid, Rejections> = HashMap::new();
    for _ in 0..ATTEMPTS {
        let Some(views) = ctx.state().views(members, passed) else { return Ok(Order::Changed) };
        let nothing = Rejections::default();
        let looks = members.iter().zip(views).map(|(uid, view)| {
            let span = trace_span!(target: TRACES, "compile", %uid);
            prepare(ctx, uid, view, rejections.get(uid).unwrap_or(&nothing)).instrument(span)
        });
        let mut todos: Vec<(&Uid, Box<Todo>)> = Vec::new();
        let mut settled: Vec<(&Uid, Outcome)> = Vec::new();
        for (uid, prepared) in members.iter().zip(try_join_all(looks).await?) {
            match prepared {
                Prepared::Settled(outcome) => settled.push((uid, outcome)),
                Prepared::Todo(todo) => todos.push((uid, todo)),
            }
        }
        let steps: Vec<&Operation> = todos.iter().map(|(_, todo)| &todo.step).collect();
        let applied = if steps.is_empty() {
            Vec::new()
        } else {
            let steps_taken = steps.len();
            let span =
                trace_span!(target: TRACES, "script", otel.kind = "client", db.system = "redis", steps_taken);
            let applying = ctx.store.apply(epoch, &ctx.cluster, &steps).instrument(span);
            applying.await.inspect_err(|error| ctx.failed(epoch, error))?
        };
        let refused = applied.iter().any(|applied| matches!(applied, Applied::Rejected(_)));
        if !refused {
            conclude(ctx, members, todos, applied, settled);
            return Ok(Order::Kept);
        }
        for ((uid, todo), applied) in todos.iter().zip(applied) {
            if let Applied::Rejected(refusal) = applied {
                debug!(%uid, ?refusal, "refused");
                let rejections = rejections.entry((*uid).clone()).or_default();
                if let Operation::Publish(publication) = &todo.step {
                    rejections.reset_for_generation(publication.generation);
                }
                learn(ctx, uid, refusal, rejections).await?;
            }
        }
    }
    Err(Error::Unsettled)
}

/// What Redis knew better when `uid` was to be published.
async fn learn(ctx: &Context, uid: &Uid, refusal: Conflict, rejections: &mut Rejections) -> Result<(), Error> {
    match refusal {
        Conflict::OwnedElsewhere { cluster, owner, dids } => {
            if dids.is_empty() {
                // Whatever was live for it under this tenant id is not its own any more.
                let touched = ctx.state().record(uid, None, false);
                ctx.look_at_touched(&touched, std::slice::from_ref(uid));
            }
            let holder = Holder::Elsewhere { cluster: cluster.to_string(), owner };
            rejections.add(holder, dids);
        }
        Conflict::DidsInUse(numbers) => {
            let unavailable = numbers
                .into_iter()
                .map(|(did, tenant)| UnavailableDid { did, holder: Holder::Unmanaged(tenant) });
            rejections.unavailable.extend(unavailable);
        }
        Conflict::WouldUnmap(dids) => rejections.not_published = Some(NotPublished::WouldUnmap(dids)),
        Conflict::HeldBy { uid, owner, dids } => {
            return learn_holder(ctx, uid, &owner, dids, rejections).await;
        }
        Conflict::Stale { .. } => return learn_newest(ctx, uid, rejections).await,
    }
    Ok(())
}

/// The record is of a later generation. Either the watch is behind, or another leader was ahead: the newer version of
/// the resource is on its way. Or there is none: the store was restored from before it, and what it says now counts.
async fn learn_newest(ctx: &Context, uid: &Uid, rejections: &mut Rejections) -> Result<(), Error> {
    let name = ctx.state().entry(uid).map(|entry| entry.name.clone()).ok_or(Error::Unsettled)?;
    if !ask::is_current(ctx, uid, &name, rejections.generation).await? {
        return Err(Error::Unsettled);
    }
    rejections.yielding_owners.insert(uid.clone());
    Ok(())
}

/// The index was behind: somebody of this cluster holds it by his record.
async fn learn_holder(
    ctx: &Context,
    uid: Uid,
    owner: &str,
    dids: Vec<Did>,
    rejections: &mut Rejections,
) -> Result<(), Error> {
    let (namespace, name) = owner.split_once('/').unwrap_or_default();
    let tenant = ctx.state().claims.get(&uid).map(|claim| claim.tenant.clone());
    match tenant {
        Some(tenant) => {
            let found = ctx.store.inspect(&[tenant]).await?.into_iter().next();
            let record = found.as_ref().and_then(|found| found.record.as_ref());
            let record = record.filter(|record| record.owner.uid == uid).map(State::of_record);
            let touched = ctx.state().record(&uid, record, false);
            ctx.look_at_touched(&touched, &[]);
        }
        // Another operator's, of the same cluster, which watches other namespaces.
        None if !ctx.watches(namespace) => {
            rejections.add(Holder::Resource(ResourceName::new(namespace, name)), dids);
        }
        // No such resource is left, or it is on its way out: its record yields.
        None => {
            ask::owner_is_gone(ctx, &uid, &ResourceName::new(namespace, name)).await?;
            rejections.yielding_owners.insert(uid);
        }
    }
    Ok(())
}

/// Notes what came of it, and has those looked at for whom it changes something.
fn conclude(
    ctx: &Context,
    members: &[Uid],
    todos: Vec<(&Uid, Box<Todo>)>,
    applied: Vec<Applied>,
    settled: Vec<(&Uid, Outcome)>,
) {
    for (uid, outcome) in settled {
        ctx.state().conclude(uid, Some(outcome));
    }
    for ((uid, todo), applied) in todos.into_iter().zip(applied) {
        ctx.metrics.applied(&applied);
        let published = matches!(applied, Applied::Published { .. });
        if published {
            ctx.rush.published(Instant::now());
        }
        if todo.repair && published {
            ctx.metrics.repaired.inc();
        }
        log(uid, &todo, &applied);
        let wrote =
            matches!(applied, Applied::Published { .. } | Applied::Removed { .. } | Applied::Recorded);
        let mut state = ctx.state();
        if wrote {
            state.refusal = None;
        }
        let name = state.entry(uid).map(|entry| entry.name.clone());
        let intact = state.entry(uid).is_some_and(|entry| entry.doubts == todo.doubts);
        if let Some(entry) = state.entry_mut(uid) {
            entry.notes.extend(notes(&todo, &applied));
            entry.wrote |= published;
        }
        let touched = state.record(uid, todo.after, intact);
        state.conclude(uid, todo.outcome);
        drop(state);
        ctx.look_at_touched(&touched, members);
        if let Some(name) = name {
            ctx.tell(uid, &name);
        }
    }
}

fn log(uid: &Uid, todo: &Todo, applied: &Applied) {
    let tenant = todo.step.tenant();
    match applied {
        Applied::Published { .. } => info!(%uid, tenant_id = %tenant, "published"),
        Applied::Removed { .. } => info!(%uid, tenant_id = %tenant, "removed"),
        other => debug!(%uid, tenant_id = %tenant, ?other, "nothing to write"),
    }
}

/// What of it a person would want to know.
fn notes(todo: &Todo, applied: &Applied) -> Vec<Note> {
    let mut notes = Vec::new();
    match (&todo.step, applied) {
        (Operation::Publish(publication), Applied::Published { adopted, taken_over, removed }) => {
            if *adopted {
                notes.push(Note::normal("Adopted", "took over the config of an older publisher"));
            }
            if !taken_over.is_empty() {
                let what: Vec<String> = taken_over.iter().map(ToString::to_string).collect();
                notes.push(Note::normal("TakenOver", format!("took {}", what.join(", "))));
            }
            if todo.repair && !adopted && taken_over.is_empty() {
                let message = "set right what somebody else changed or removed in Redis";
                notes.push(Note::normal("Repaired", message));
                return notes;
            }
            let message = match (todo.rotation, removed.is_empty()) {
                (true, _) => "the webhook secret's new version is live".to_owned(),
                (false, true) => format!("{} live", plural_dids(publication.dids.len())),
                (false, false) => {
                    let gone: Vec<&str> = removed.iter().map(Did::as_str).collect();
                    format!("{} live; unmapped {}", plural_dids(publication.dids.len()), gone.join(", "))
                }
            };
            let reason = if todo.rotation { "SecretRotated" } else { "Published" };
            notes.push(Note::normal(reason, message));
        }
        (Operation::Remove(removal), Applied::Removed { keys }) => {
            let message = if removal.retain {
                "its keys stay in Redis, as spec.deletionPolicy says, and are owned by nobody"
            } else if *keys {
                "its keys are gone from Redis"
            } else {
                "Redis held no key of it"
            };
            notes.push(Note::normal(if removal.retain { "Retained" } else { "Unpublished" }, message));
        }
        _ => {}
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_a_failure_doubles_and_is_longer_where_many_wait() {
        let alone: Vec<u128> = (0..6).map(|failures| wait_after(failures, 1).as_millis()).collect();
        assert_eq!(alone, [200, 400, 800, 1600, 2000, 2000], "one that is alone is soon caught up");
        assert_eq!(wait_after(0, 10_000), FIRST_WAIT, "it may pass at once for many too");
        assert_eq!(wait_after(u32::MAX, 10_000), LONGEST_WAIT);
        assert_eq!(wait_after(20, 100), Duration::from_secs(10));
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let wait = Duration::from_secs(10);
        let waits: Vec<Duration> = (0..1000).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|waits| (wait / 2..wait * 3 / 2).contains(waits)));
        let early = waits.iter().filter(|waits| **waits < wait).count();
        assert!((300..700).contains(&early), "{early} of 1000 came in the first half");
    }
}
