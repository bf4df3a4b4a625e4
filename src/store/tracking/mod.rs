//! Reports the keys of the contract that other clients change: a connection of its own in RESP3 with `CLIENT TRACKING`
//! in broadcast mode (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! A probe on the same connection finds the changes that cause no message: SWAPDB, a half-open connection, another
//! server behind the same address.

mod info;
mod push;
mod report;
mod session;
mod signal;
mod task;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::domain::ClusterId;
use crate::store::client::Store;
use crate::store::connection::StoreError;
use task::TrackingTask;

pub use report::{Memory, RedisReport};
pub use signal::{ChangedKey, DriftSignal, ResyncCause};

/// The number of signals that may wait for the receiver.
const SIGNAL_CAPACITY: usize = 1024;

/// Receives the signals. Dropping it closes the connection.
#[derive(Debug)]
pub struct Tracking {
    signals: mpsc::Receiver<DriftSignal>,
    health: watch::Receiver<Option<StoreError>>,
    report: watch::Receiver<RedisReport>,
    task: AbortHandle,
}

impl Tracking {
    /// Waits for the next signal, through any outage; `None` only when the runtime shuts down. Cancel-safe.
    pub async fn next(&mut self) -> Option<DriftSignal> {
        self.signals.recv().await
    }

    /// Returns `true` if no signal waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.signals.is_empty()
    }

    /// Returns the error because of which Redis is not being tracked; `None` while it is. Before the first connection it
    /// is `TimedOut`.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Option<StoreError>> {
        self.health.clone()
    }

    /// Returns the state of Redis that needs a person although everything works.
    #[must_use]
    pub fn report(&self) -> watch::Receiver<RedisReport> {
        self.report.clone()
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Store {
    /// Tracks the contract's keys on a connection of its own, which is replaced when it breaks. Meanwhile, the shared
    /// connection is kept alive.
    ///
    /// Each connection begins to track and then requests a resync. Must be called within a tokio runtime.
    #[must_use]
    pub fn track(&self, cluster: &ClusterId) -> Tracking {
        let (sender, signals) = mpsc::channel(SIGNAL_CAPACITY);
        let (health_sender, health) = watch::channel(Some(StoreError::TimedOut));
        let (report_sender, report) = watch::channel(RedisReport::default());
        let task = TrackingTask {
            shared: Arc::clone(&self.connection),
            seen: Arc::clone(&self.seen),
            cluster: cluster.clone(),
            writer: Arc::clone(&self.writer),
            process_id: Arc::clone(&self.process_id),
            signals: sender,
            health: health_sender,
            report: report_sender,
        };
        let shared = Arc::clone(&self.connection);
        let run = async move {
            tokio::select! {
                () = task.run() => {}
                never = shared.keep_alive() => match never {},
            }
        };
        let task = tokio::spawn(run).abort_handle();
        Tracking { signals, health, report, task }
    }
}
