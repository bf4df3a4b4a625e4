//! Limits the log lines about failures: one for each reason in five minutes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::reason::Reason;

/// The interval at which a reason is logged again.
const REPEAT: Duration = Duration::from_secs(300);

/// The failures that were logged as outages.
#[derive(Debug, Default)]
pub struct Outages(Mutex<BTreeMap<Reason, Instant>>);

impl Outages {
    /// Returns true when a failure for this reason must be logged: the first, and one every five minutes.
    pub fn is_news(&self, reason: Reason, now: Instant) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recently = |last: &Instant| now.saturating_duration_since(*last) < REPEAT;
        if logged.get(&reason).is_some_and(recently) {
            return false;
        }
        logged.insert(reason, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_logged_at_its_beginning_and_every_five_minutes() {
        let (outages, begin) = (Outages::default(), Instant::now());
        let second = Duration::from_secs(1);
        let logged = (0..900).filter(|n| outages.is_news(Reason::RedisOutOfMemory, begin + second * *n));
        assert_eq!(logged.collect::<Vec<_>>(), [0, 300, 600]);
        assert!(outages.is_news(Reason::SecretUnreadable, begin + second), "another reason is news");
    }
}
