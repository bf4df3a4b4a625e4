//! Writes the outcome of a reconcile for people: first the finalizer, so that no status says Ready without it, then the
//! status. Under saturation, or with a backlog of statuses, the statuses come first, and each pass writes one of
//! the two, so that no status waits for another resource's finalizer. It has a queue of its own, so that no publish waits
//! for a status. Events go to a third queue, so that neither waits for them.

mod events;
mod patch;
mod transitions;
mod warnings;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, stream};
use tracing::{Instrument, debug, trace_span};

use super::context::Context;
use super::error::Error;
use super::intervals::jittered;
use super::queue::{self, Action, Dequeued};
use crate::domain::index::Index;
use crate::domain::{Uid, backoff};
use crate::telemetry::TRACES;
pub use events::{
    CONCURRENCY as EVENT_CONCURRENCY, EventQueue, EventWriter, PendingEvent, QUEUE_CAPACITY as EVENT_QUEUE,
    Regarding,
};
use writer::StatusWriter;

/// The finalizers that a clean stop writes concurrently.
const FINALIZER_CONCURRENCY: usize = 16;

/// Writes the status or the finalizer of one tenant, where it is not written yet, and enqueues its events.
pub async fn update_status(dequeued: &Dequeued<Uid>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let Dequeued { key: uid, queued_at, span: change } = dequeued;
    let permit = ctx.priority.status_permit(*queued_at).await;
    ctx.metrics.observe_queue_wait(queue::STATUS, Instant::now().duration_since(*queued_at));
    let span = trace_span!(target: TRACES, parent: change, "status");
    // Read only now: the status may have had to wait, and is compared with the newest version.
    match ctx.note(|index| index.take_pending_status(uid)) {
        Some(pending) => {
            let writer = StatusWriter::new(ctx, Arc::clone(&pending.object));
            queue::hold_while(permit, writer.write(pending).instrument(span)).await
        }
        None => Ok(Action::await_change()),
    }
}

/// Records a failed write and requeues it, the later the more often it has failed.
pub fn error_policy(dequeued: &Dequeued<Uid>, error: &Error, ctx: &Arc<Context>) -> Action {
    if let Some(reason) = error.reason() {
        ctx.metrics.count_reconcile_error(reason.as_str());
    }
    let failures = ctx.note(|index| index.write_failed(&dequeued.key));
    debug!(uid = %dequeued.key, %error, failures, "status update failed, requeued");
    Action::requeue(jittered(backoff::after_failed_write(failures)))
}

/// Adds the finalizers that published resources still lack: for a clean stop, after which a deletion would leave their keys.
pub async fn add_missing_finalizers(ctx: &Context) {
    if ctx.epoch().is_err() {
        return;
    }
    let unprotected = stream::iter(ctx.read(Index::without_finalizer));
    unprotected
        .for_each_concurrent(FINALIZER_CONCURRENCY, async |object| {
            let resource = object.name();
            if let Err(error) = StatusWriter::new(ctx, object).add_finalizer().await {
                debug!(%resource, %error, "the finalizer is left for the next start");
            }
        })
        .await;
}
