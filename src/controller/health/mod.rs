//! Readiness and liveness of this replica, which the probes report.

mod liveness;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::queue::WorkQueue;
use super::watch::state::WatchStates;
use crate::domain::Uid;
use crate::domain::index::Readiness;
use crate::leader::{Writer, WriterState};
use crate::store::Store;
pub use liveness::HEARTBEAT_INTERVAL;
use liveness::Liveness;

/// The reason for which a replica is not ready until its caches have synced.
const STARTING: &str = "starting";

/// Readiness and liveness of this replica.
#[derive(Debug)]
pub struct Health {
    writer: Writer,
    reconciles: Arc<WorkQueue<Uid>>,
    /// True once the caches have synced, and the records of Redis were loaded; without the records where this replica
    /// does not lead or Redis is unavailable.
    started: AtomicBool,
    /// The index's last report of writes that Redis rejects.
    readiness: Mutex<Readiness>,
    /// Notes for a person although this replica is ready.
    warnings: Mutex<Vec<String>>,
    /// The store, which knows the commands that Redis denies.
    store: OnceLock<Store>,
    liveness: Liveness,
    watches: WatchStates,
    /// True once the caches have synced.
    synced: watch::Sender<bool>,
}

impl Health {
    /// The health of a replica with this writer state. It creates the queue of reconciles, which liveness watches.
    #[must_use]
    pub fn new(writer: Writer) -> Self {
        Self::with_liveness(writer, Liveness::default())
    }

    fn with_liveness(writer: Writer, liveness: Liveness) -> Self {
        let (reconciles, started, readiness, warnings, store, watches, synced) = Default::default();
        Self { writer, reconciles, started, readiness, warnings, store, liveness, watches, synced }
    }

    /// Health whose liveness fails after this time without a heartbeat.
    #[cfg(test)]
    pub(super) fn with_heartbeat_timeout(writer: Writer, timeout: std::time::Duration) -> Self {
        Self::with_liveness(writer, Liveness::new(timeout))
    }

    /// Returns the state in which this replica is ready, as in `ok: following`, with a line for each warning; or why it is
    /// not ready.
    pub fn ready(&self) -> Result<String, String> {
        let broken = self.watches.broken(Instant::now());
        let why = match self.ready_to_write() {
            Ok(state) if broken.is_empty() => return Ok(self.with_warnings(state)),
            // The watch that holds up the start says more than that it has not ended.
            Ok(_) => None,
            Err(why) => Some(why).filter(|why| why != STARTING || broken.is_empty()),
        };
        Err(why.into_iter().chain(broken).collect::<Vec<_>>().join("; "))
    }

    /// The watches, whose states readiness reports.
    pub(super) fn watches(&self) -> &WatchStates {
        &self.watches
    }

    fn with_warnings(&self, state: &str) -> String {
        let mut state = state.to_owned();
        let notices = self.writer.notices().borrow().clone();
        let warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in warnings.iter().map(String::as_str).chain(notices.texts()) {
            state = format!("{state}\nwarning: {warning}");
        }
        if let Some(denied) = self.store.get().and_then(Store::denied_commands) {
            state = format!("{state}\nwarning: {denied}");
        }
        state
    }

    /// Readiness without the watches.
    fn ready_to_write(&self) -> Result<&'static str, String> {
        let state = self.writer.state();
        let says_more = matches!(
            state,
            WriterState::NoLeader(_) | WriterState::NotPermitted(_) | WriterState::CutOff { .. }
        );
        if !says_more && !self.started.load(Ordering::Relaxed) {
            return Err(STARTING.to_owned());
        }
        match state {
            WriterState::Writing(_) | WriterState::Resyncing(_) => match self.readiness() {
                Readiness::Ready => Ok("ok"),
                Readiness::StoreError(why) => Err(why),
            },
            // A follower serves reads as well as the leader does.
            WriterState::Follower { redis: None } => Ok("ok: following"),
            WriterState::NoLeader(why) | WriterState::NotPermitted(why) | WriterState::Contested(why) => {
                Err(why)
            }
            WriterState::CutOff { why, .. } => Err(format!(
                "the API server does not answer: nothing is published, and only mappings are repaired: {why}"
            )),
            WriterState::Follower { redis: Some(error) } | WriterState::RedisUnavailable { error, .. } => {
                Err(error.report())
            }
        }
    }

    /// Returns an error only where a restart can help. A failure of Redis or of the API server is none, since a restart
    /// would not change it.
    pub fn alive(&self) -> Result<(), String> {
        self.liveness.check(&self.reconciles, Instant::now())
    }

    /// The queue of reconciles, which liveness watches.
    pub(super) fn reconciles(&self) -> Arc<WorkQueue<Uid>> {
        Arc::clone(&self.reconciles)
    }

    /// Reports from now on what this store is denied.
    pub(super) fn set_store(&self, store: Store) {
        // There is one controller, so that this is called once.
        let _ = self.store.set(store);
    }

    /// Notes that the controller's loop runs.
    pub(super) fn heartbeat(&self) {
        self.liveness.heartbeat(Instant::now());
    }

    /// Notes that the caches have synced.
    pub(super) fn set_synced(&self) {
        self.synced.send_replace(true);
    }

    /// Follows whether the caches have synced.
    pub(super) fn synced(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    /// Notes that `started` holds from now on.
    pub(super) fn set_started(&self) {
        self.started.store(true, Ordering::Relaxed);
    }

    /// Reports what the index says of Redis.
    pub(super) fn set_readiness(&self, readiness: Readiness) {
        *self.readiness.lock().unwrap_or_else(PoisonError::into_inner) = readiness;
    }

    /// Replaces the warnings; returns the new ones.
    pub(super) fn set_warnings(&self, warnings: Vec<String>) -> Vec<String> {
        let mut before = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let new = warnings.iter().filter(|warning| !before.contains(warning)).cloned().collect();
        *before = warnings;
        new
    }

    /// The index's last report of writes that Redis rejects.
    pub(super) fn readiness(&self) -> Readiness {
        self.readiness.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::watch::{Verb, WatchFailure};
    use super::*;
    use crate::domain::Epoch;
    use crate::store::StoreError;

    #[tokio::test]
    async fn readiness_names_the_cause() {
        let writer = Writer::default();
        let health = Health::new(writer.clone());
        assert_eq!(health.ready(), Err("starting".to_owned()));
        health.set_started();
        assert_eq!(health.ready(), Ok("ok: following".to_owned()));
        assert!(writer.not_permitted("forbidden".to_owned()));
        assert_eq!(health.ready(), Err("forbidden".to_owned()));
        writer.no_epoch(StoreError::Loading);
        assert_eq!(health.ready(), Err(StoreError::Loading.report()));
        writer.elected(Epoch(1));
        writer.resynced(Epoch(1));
        assert_eq!(health.ready(), Ok("ok".to_owned()));
        health.set_readiness(Readiness::StoreError("out of memory".to_owned()));
        assert_eq!(health.ready(), Err("out of memory".to_owned()));
        health.set_readiness(Readiness::Ready);
        assert_eq!(health.ready(), Ok("ok".to_owned()));
        assert_eq!(health.set_warnings(vec!["it evicts".to_owned()]), ["it evicts"]);
        assert!(health.set_warnings(vec!["it evicts".to_owned()]).is_empty(), "it is logged once");
        assert_eq!(health.ready(), Ok("ok\nwarning: it evicts".to_owned()));
    }

    #[tokio::test]
    async fn readiness_names_a_broken_watch_also_while_it_holds_up_the_start() {
        let health = Health::new(Writer::default());
        let watch = health.watches().add("secrets", Some("voice"));
        let failure = WatchFailure { verb: Verb::List, code: Some(403), message: "forbidden".to_owned() };
        watch.failed(failure, None);
        let broken = "can't list secrets in the namespace voice: forbidden";
        assert_eq!(health.ready(), Err(broken.to_owned()));
        health.set_started();
        assert_eq!(health.ready(), Err(broken.to_owned()));
        watch.listed();
        watch.works(Instant::now());
        assert_eq!(health.ready(), Ok("ok: following".to_owned()));
    }
}
