//! Writes the outcome of a reconcile for people: the status; then, once the watch shows that status, the finalizer. It
//! has a queue of its own, so that no publish waits for a status, and each pass writes one of the two, so that no
//! status waits for another resource's finalizer. Events go to a third queue, so that neither waits for them.

mod events;
mod patch;
mod transitions;
mod warnings;
mod writer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{Instrument, debug, trace_span};

use super::context::Context;
use super::error::Error;
use super::intervals::jittered;
use super::queue::{self, Action, Dequeued};
use crate::domain::Uid;
use crate::telemetry::TRACES;
pub use events::{EventQueue, EventWriter, PendingEvent, Regarding};
use writer::StatusWriter;

/// The delay before a failed write is retried.
const RETRY: Duration = Duration::from_secs(2);

/// Writes the status or the finalizer of one tenant, where it is not written yet, and enqueues its events.
pub async fn update_status(dequeued: &Dequeued<Uid>, ctx: &Arc<Context>) -> Result<Action, Error> {
    let Dequeued { key: uid, queued_at, span: change } = dequeued;
    let _permit = ctx.priority.status_permit(*queued_at).await;
    ctx.metrics.observe_queue_wait(queue::STATUS, Instant::now().duration_since(*queued_at));
    let span = trace_span!(target: TRACES, parent: change, "status");
    // Read only now: the status may have had to wait, and is compared with the newest version.
    match ctx.note(|index| index.take_pending_status(uid)) {
        Some(pending) => {
            StatusWriter::new(ctx, Arc::clone(&pending.object)).write(pending).instrument(span).await
        }
        None => Ok(Action::await_change()),
    }
}

/// Records a failed write and requeues it.
pub fn error_policy(dequeued: &Dequeued<Uid>, error: &Error, ctx: &Arc<Context>) -> Action {
    if let Some(reason) = error.reason() {
        ctx.metrics.count_reconcile_error(reason.as_str());
    }
    debug!(uid = %dequeued.key, %error, "status update failed, requeued");
    Action::requeue(jittered(RETRY))
}
