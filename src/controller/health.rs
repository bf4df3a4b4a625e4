//! What the probes answer: whether this replica is of use, and whether a restart would help it.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::error::Hold;
use super::pulse::Pulse;
use crate::domain::Epoch;

/// How the controller fares, for itself and for the probes.
#[derive(Debug)]
pub struct Health {
    /// The number that it writes with, or why it writes nothing.
    work: watch::Sender<Result<Epoch, Hold>>,
    /// Why Redis refuses what is to be written, though it answers.
    refusal: Mutex<Option<String>>,
    /// Whether it moves.
    pulse: Pulse,
}

impl Default for Health {
    fn default() -> Self {
        let (work, _) = watch::channel(Err(Hold::Starting));
        Self { work, refusal: Mutex::default(), pulse: Pulse::default() }
    }
}

impl Health {
    /// One that is not alive where its loop is silent for so long.
    #[cfg(test)]
    pub(super) fn silent_within(silence: std::time::Duration) -> Self {
        Self { pulse: Pulse::new(silence), ..Self::default() }
    }

    /// Whether it does what it is there for, in a word; or why not.
    pub fn ready(&self) -> Result<&'static str, String> {
        match &*self.work.borrow() {
            Ok(_) => match &*self.refusal.lock().unwrap_or_else(PoisonError::into_inner) {
                None => Ok("ok"),
                Some(why) => Err(why.clone()),
            },
            // A follower serves reads as well as the leader does.
            Err(Hold::Following) => Ok("ok: following"),
            Err(Hold::Starting) => Err("starting".to_owned()),
            Err(Hold::Lease(why)) => Err(why.clone()),
            Err(Hold::FollowingBlindly(error) | Hold::Redis(error)) => Err(error.to_string()),
        }
    }

    /// Whether it moves; or what stands still, so that only a restart can help. What is wrong with Redis or the API server
    /// does not count: a restart would change nothing about it.
    pub fn alive(&self) -> Result<(), String> {
        self.pulse.stuck(Instant::now()).map_or(Ok(()), Err)
    }

    /// The number that writes carry, or why nothing is written.
    pub(super) fn work(&self) -> Result<Epoch, Hold> {
        self.work.borrow().clone()
    }

    /// From now on it writes with this number, or not. Says whether that is news.
    pub(super) fn set(&self, value: Result<Epoch, Hold>) -> bool {
        self.work.send_if_modified(|before| {
            let changed = *before != value;
            *before = value;
            changed
        })
    }

    /// Why Redis refuses what is to be written; none: it does not.
    pub(super) fn refused(&self, why: Option<String>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[test]
    fn readiness_says_what_is_true_and_why() {
        let health = Health::default();
        assert_eq!(health.ready(), Err("starting".to_owned()));
        health.set(Err(Hold::Following));
        assert_eq!(health.ready(), Ok("ok: following"));
        health.set(Err(Hold::Lease("forbidden".to_owned())));
        assert_eq!(health.ready(), Err("forbidden".to_owned()));
        health.set(Err(Hold::Redis(StoreError::Loading)));
        assert_eq!(health.ready(), Err(StoreError::Loading.to_string()));
        assert!(health.set(Ok(Epoch(1))) && !health.set(Ok(Epoch(1))));
        assert_eq!(health.ready(), Ok("ok"));
        health.refused(Some("out of memory".to_owned()));
        assert_eq!(health.ready(), Err("out of memory".to_owned()));
        health.refused(None);
        assert_eq!(health.ready(), Ok("ok"));
    }
}
