//! What is left in Redis of resources that are gone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use k8s_openapi::Resource;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use tokio::time::{Instant, interval, sleep};
use tracing::{error, info, warn};

use super::Pace;
use super::context::Context;
use super::error::Error;
use super::events::{self, About, Told};
use super::reconcile::{jittered, settle};
use super::state::Note;
use crate::domain::{ResourceName, Uid};
use crate::leader::LEASE;

/// So many orphans may always go at once ...
const ALWAYS: usize = 10;
/// ... and of more, only what is less than this share of all records.
const SHARE: usize = 5;
/// How often it is told that a sweep is held back: events fade after an hour.
const TOLD_EVERY: Duration = Duration::from_secs(1800);
/// How often the removal of what a vanished resource left is tried before the sweep takes it over.
const TRIES: u32 = 8;

/// Removes what resources left that were seen to vanish without passing through their finalizer.
pub async fn remove_gone(ctx: &Arc<Context>, gone: impl Stream<Item = Uid>) {
    gone.for_each_concurrent(16, |uid| async move {
        for attempt in 0..TRIES {
            match settle(ctx, &uid).await {
                // It is the leader's; when this one begins to lead, it looks at everything.
                Ok(()) | Err(Error::NotLeading) => return,
                Err(error) => warn!(%uid, %error, attempt, "what it left in Redis is not removed yet"),
            }
            sleep(jittered(Duration::from_secs(1 << attempt.min(4)))).await;
        }
    })
    .await;
}

/// Looks, again and again, for ownership records of this cluster whose resource is gone, and has them removed after a
/// grace period; never too many at once, for then something else is wrong.
pub async fn sweep(ctx: &Context, pace: &Pace) {
    let mut since: HashMap<Uid, Instant> = HashMap::new();
    let mut ticks = interval(pace.sweep);
    let mut told: Option<Instant> = None;
    loop {
        ticks.tick().await;
        if ctx.epoch().is_err() {
            since.clear();
            continue;
        }
        let (orphans, records) = orphans(ctx);
        ctx.metrics.orphans.set(i64::try_from(orphans.len()).unwrap_or(i64::MAX));
        since.retain(|uid, _| orphans.contains(uid));
        let now = Instant::now();
        let due: Vec<&Uid> = orphans
            .iter()
            .filter(|uid| now.duration_since(*since.entry((*uid).clone()).or_insert(now)) >= pace.grace)
            .collect();
        if are_too_many(due.len(), records) {
            if told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY) {
                told = Some(now);
                ctx.metrics.sweeps_refused.inc();
                hold_back(ctx, due.len(), records).await;
            }
            continue;
        }
        told = None;
        for uid in due {
            info!(%uid, "removing what a resource that is gone left in Redis");
            drop(ctx.gone.unbounded_send(uid.clone()));
        }
    }
}

/// Whose record is there and whose resource is not; and how many records there are.
fn orphans(ctx: &Context) -> (HashSet<Uid>, usize) {
    let state = ctx.state();
    // One that is being deleted claims nothing any more, and is no orphan.
    let gone = |uid: &Uid| state.entry(uid).is_none_or(|entry| entry.gone);
    let orphans = state.claims.orphans().map(|(uid, _)| uid).filter(|uid| gone(uid)).cloned().collect();
    (orphans, state.claims.record_count())
}

fn are_too_many(orphans: usize, records: usize) -> bool {
    orphans > ALWAYS && orphans * SHARE > records
}

/// Says, where somebody looks who wonders about the operator as a whole, that nothing is removed.
async fn hold_back(ctx: &Context, orphans: usize, records: usize) {
    error!(orphans, records, "too many records have lost their resource at once: none is removed");
    let namespace = ctx.client.default_namespace();
    let leases: Api<Lease> = Api::namespaced(ctx.client.clone(), namespace);
    // Without an election there may be none; an event may be about what is not there.
    let lease = leases.get_opt(LEASE).await.ok().flatten();
    let about = About {
        api_version: Lease::API_VERSION.into(),
        kind: Lease::KIND.into(),
        name: ResourceName::new(namespace, LEASE),
        uid: lease.and_then(|lease| lease.metadata.uid).map(Uid::from),
        version: None,
    };
    let message = format!(
        "{orphans} of {records} ownership records in Redis have lost their resource, which are too many at once: none is \
         removed, and their numbers stay live. Restore the resources, or remove what is left of them by hand"
    );
    events::write_later(ctx, Told::now(about, "Sweep", Note::warning("SweepHeldBack", message)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_always_go_and_of_more_a_fifth_at_most() {
        assert!(!are_too_many(10, 10), "a small site may be given up as a whole");
        assert!(are_too_many(11, 11) && are_too_many(11, 54));
        assert!(!are_too_many(11, 55));
        assert!(!are_too_many(2000, 10_000) && are_too_many(2001, 10_000));
    }
}
