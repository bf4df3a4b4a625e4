//! Liveness: the controller's loop runs, and its reconciles make progress.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::queue::WorkQueue;
use crate::domain::Uid;

/// The interval of the loop's heartbeat.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Liveness fails after this long without a heartbeat; far above any scheduling delay of a loaded machine.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(30);
/// Liveness fails when no reconcile starts or finishes for this long while there is work: longer than any one may take,
/// since all that it waits for (Redis, a Secret) times out before.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(120);

/// The last heartbeat, and its timeout.
#[derive(Debug)]
pub struct Liveness {
    timeout: Duration,
    last: Mutex<Instant>,
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new(HEARTBEAT_TIMEOUT)
    }
}

impl Liveness {
    /// Liveness that fails after this time without a heartbeat.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, last: Mutex::new(Instant::now()) }
    }

    /// Notes that the loop runs.
    pub fn heartbeat(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// Returns an error that names what makes no progress, and for how long.
    pub fn check(&self, reconciles: &WorkQueue<Uid>, now: Instant) -> Result<(), String> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = now.saturating_duration_since(last);
        if silent > self.timeout {
            return Err(format!("controller loop blocked for {} s", silent.as_secs()));
        }
        match reconciles.without_progress(now) {
            Some(time) if time > PROGRESS_TIMEOUT => Err(format!(
                "no reconcile started or finished for {} s although work is queued",
                time.as_secs()
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing::Span;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn liveness_follows_the_heartbeat() {
        let (liveness, queue, mut now) = (Liveness::default(), WorkQueue::default(), Instant::now());
        for _ in 0..1000 {
            now += HEARTBEAT_INTERVAL;
            liveness.heartbeat(now);
        }
        assert_eq!(liveness.check(&queue, now + HEARTBEAT_TIMEOUT), Ok(()));
        let why = liveness.check(&queue, now + HEARTBEAT_TIMEOUT + MOMENT).unwrap_err();
        assert_eq!(why, "controller loop blocked for 30 s");
        now += 2 * HEARTBEAT_TIMEOUT;
        liveness.heartbeat(now);
        assert_eq!(liveness.check(&queue, now), Ok(()));
    }

    #[tokio::test]
    async fn queued_work_without_progress_fails_liveness() {
        let (liveness, queue) = (Liveness::default(), WorkQueue::default());
        let before = Instant::now();
        queue.enqueue("ns".into(), Uid::from("u"), Span::none());
        let now = Instant::now();
        let check = |time| {
            liveness.heartbeat(time);
            liveness.check(&queue, time)
        };
        assert_eq!(check(before + PROGRESS_TIMEOUT), Ok(()));
        let why = check(now + PROGRESS_TIMEOUT + MOMENT).unwrap_err();
        assert_eq!(why, "no reconcile started or finished for 120 s although work is queued");
    }
}
