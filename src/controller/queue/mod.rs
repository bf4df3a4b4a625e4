//! The work queues, and the priority of API writes.
//!
//! `work_queue` stands for kube-runtime's `applier`, `Scheduler` and `Runner`, with their names where the parts are the same;
//! docs/decisions has the reasons and the figures.

mod action;
mod fair_queue;
mod priority;
mod work_queue;

pub use action::Action;
pub use fair_queue::{Concurrency, Namespace};
pub use priority::{
    MAX_STATUS_DELAY, PAUSE_FACTOR, SATURATION_THRESHOLD, STATUS_BACKLOG, WINDOW as SATURATION_WINDOW,
    WritePriority, hold_while,
};
pub use work_queue::{Dequeued, WorkQueue};

use tracing::{Span, field, trace_span};

use crate::telemetry::TRACES;

/// The label of the queue of reconciles.
pub const RECONCILE: &str = "reconcile";
/// The label of the queue of status writes.
pub const STATUS: &str = "status";
/// The labels of all queues.
pub const QUEUES: [&str; 2] = [RECONCILE, STATUS];

/// Begins the trace of a change, from the enqueue of its tenant to the status. Disabled while no collector takes traces.
#[must_use]
pub fn change_span() -> Span {
    let span = trace_span!(target: TRACES, parent: None, "change", resource = field::Empty);
    if span.is_disabled() { Span::none() } else { span }
}
