//! What is left in Redis of resources that are gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use tokio::time::{Instant, interval, sleep};
use tracing::{error, info, warn};

use super::context::Context;
use super::error::Error;
use super::reconcile::{jittered, settle};
use crate::domain::Uid;

/// How often orphans are looked for.
const EVERY: Duration = Duration::from_secs(10);
/// How long a record may lack its resource before it is an orphan: a relist of a stale API server passes.
const GRACE: Duration = Duration::from_secs(60);
/// So many orphans may always go at once ...
const ALWAYS: usize = 10;
/// ... and of more, only what is less than this share of all records.
const SHARE: usize = 5;
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
pub async fn sweep(ctx: &Context) {
    let mut since: HashMap<Uid, Instant> = HashMap::new();
    let mut ticks = interval(EVERY);
    let mut refused = false;
    loop {
        ticks.tick().await;
        if ctx.epoch().is_err() {
            since.clear();
            continue;
        }
        let (orphans, records) = {
            let state = ctx.state();
            // One that is being deleted claims nothing any more, and is no orphan.
            let gone = |uid: &Uid| state.entry(uid).is_none_or(|entry| entry.gone);
            let orphans: Vec<Uid> =
                state.claims.orphans().map(|(uid, _)| uid).filter(|uid| gone(uid)).cloned().collect();
            (orphans, state.claims.records())
        };
        ctx.metrics.orphans.set(i64::try_from(orphans.len()).unwrap_or(i64::MAX));
        since.retain(|uid, _| orphans.contains(uid));
        let now = Instant::now();
        let due: Vec<&Uid> = orphans
            .iter()
            .filter(|uid| now.duration_since(*since.entry((*uid).clone()).or_insert(now)) >= GRACE)
            .collect();
        if due.len() > ALWAYS && due.len() * SHARE > records {
            if !std::mem::replace(&mut refused, true) {
                error!(
                    orphans = due.len(),
                    records, "too many records have lost their resource at once: none is removed"
                );
                ctx.metrics.sweeps_refused.inc();
            }
            continue;
        }
        refused = false;
        for uid in due {
            info!(%uid, "removing what a resource that is gone left in Redis");
            drop(ctx.gone.unbounded_send(uid.clone()));
        }
    }
}
