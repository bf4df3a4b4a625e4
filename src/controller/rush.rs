//! Who comes first while there is more to write than the API server takes: a publish before a status, a status before an
//! event. Whoever gives way goes on all the same, only fewer at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

/// How long is counted at a time.
const WHILE: Duration = Duration::from_millis(100);
/// So many publishes in that time are a rush: more statuses than an API server takes, which lag behind anyway.
const MANY: u32 = 25;
/// How many statuses are written at once in a rush.
const STATUSES: usize = 2;
/// How many events are written at once while statuses are.
const EVENTS: usize = 1;

/// Knows what is under way.
pub struct Rush {
    published: Mutex<Count>,
    telling: AtomicUsize,
    statuses: Semaphore,
    events: Semaphore,
}

/// What happened in a while, and in the one before.
struct Count {
    since: Instant,
    now: u32,
    before: u32,
}

impl Count {
    fn move_to(&mut self, now: Instant) {
        let passed = now.duration_since(self.since);
        if passed >= WHILE {
            self.before = if passed < 2 * WHILE { self.now } else { 0 };
            (self.since, self.now) = (now, 0);
        }
    }
}

/// A status is being told, until dropped.
pub struct Telling<'a>(&'a AtomicUsize);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Rush {
    fn default() -> Self {
        Self {
            published: Mutex::new(Count { since: Instant::now(), now: 0, before: 0 }),
            telling: AtomicUsize::new(0),
            statuses: Semaphore::new(STATUSES),
            events: Semaphore::new(EVENTS),
        }
    }
}

impl Rush {
    /// Something was published.
    pub fn published(&self, now: Instant) {
        let mut count = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        count.move_to(now);
        count.now += 1;
    }

    /// Whether so much is being published that everything else gives way.
    #[must_use]
    pub fn is_on(&self, now: Instant) -> bool {
        let mut count = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        count.move_to(now);
        count.now.max(count.before) >= MANY
    }

    /// Waits for the turn of a status; it lasts until both that is given back are dropped.
    pub async fn after_publishes(&self) -> (Telling<'_>, Option<SemaphorePermit<'_>>) {
        let permit = if self.is_on(Instant::now()) { self.statuses.acquire().await.ok() } else { None };
        self.telling.fetch_add(1, Ordering::Relaxed);
        (Telling(&self.telling), permit)
    }

    /// Waits for the turn of an event; it lasts until what is given back is dropped.
    pub async fn after_statuses(&self) -> Option<SemaphorePermit<'_>> {
        let busy = self.telling.load(Ordering::Relaxed) > 0;
        if busy { self.events.acquire().await.ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn many_publishes_in_a_short_while_are_a_rush_until_they_end() {
        let (rush, began) = (Rush::default(), Instant::now());
        for _ in 1..MANY {
            rush.published(began);
        }
        assert!(!rush.is_on(began));
        rush.published(began);
        assert!(rush.is_on(began));
        assert!(rush.is_on(began + WHILE), "the one before counts too");
        assert!(!rush.is_on(began + 3 * WHILE));
    }

    #[test]
    fn in_a_rush_statuses_go_on_few_at_once() {
        let rush = Rush::default();
        let before: Vec<_> = (0..16).map(|_| rush.after_publishes().now_or_never()).collect();
        assert!(before.iter().all(Option::is_some));
        drop(before);
        for _ in 0..MANY {
            rush.published(Instant::now());
        }
        let turns: Vec<_> = (0..16).map(|_| rush.after_publishes().now_or_never()).collect();
        assert_eq!(turns.iter().flatten().count(), STATUSES);
    }

    #[test]
    fn while_statuses_are_told_events_go_on_one_at_a_time() {
        let rush = Rush::default();
        let telling = rush.after_publishes().now_or_never();
        let turns: Vec<_> = (0..8).map(|_| rush.after_statuses().now_or_never()).collect();
        assert_eq!(turns.iter().flatten().count(), EVENTS);
        drop((telling, turns));
        assert!((0..8).all(|_| rush.after_statuses().now_or_never().is_some()));
    }
}
