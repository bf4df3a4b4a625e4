//! Who comes first while there is more to write than the API server takes: a publish before a status, a status before an
//! event. Whoever gives way goes on all the same, one at a time and with a pause after each.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as Turn, MutexGuard as TurnGuard};
use tokio::time::sleep_until;

/// How long is counted at a time.
const WHILE: Duration = Duration::from_millis(100);
/// So many publishes in that time are a rush: as many statuses as an API server takes at best, so that they lag behind.
const MANY: u32 = 10;
/// How many times as long as one took is waited before the next: so small is its share of what the API server does.
const PAUSE: u32 = 4;
/// How long a status gives way at most. Then it is written without a pause, still one at a time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Knows what is under way.
pub struct Rush {
    published: Mutex<Count>,
    /// Statuses that are told or wait for it.
    telling: AtomicUsize,
    statuses: Turn<Instant>,
    events: Turn<Instant>,
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

/// One that gave way has its turn, until dropped.
pub struct Slow<'a> {
    /// When the next one may begin.
    next: TurnGuard<'a, Instant>,
    began: Instant,
}

impl Drop for Slow<'_> {
    fn drop(&mut self) {
        *self.next = Instant::now() + PAUSE * self.began.elapsed();
    }
}

/// A status is being told or waits for it, until dropped.
pub struct Telling<'a>(&'a AtomicUsize);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Rush {
    fn default() -> Self {
        let now = Instant::now();
        Self {
            published: Mutex::new(Count { since: now, now: 0, before: 0 }),
            telling: AtomicUsize::new(0),
            statuses: Turn::new(now),
            events: Turn::new(now),
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

    /// Waits for the turn of a status that has waited since then. It lasts until what is given back is dropped.
    pub async fn after_publishes(&self, since: Instant) -> (Telling<'_>, Option<Slow<'_>>) {
        self.telling.fetch_add(1, Ordering::Relaxed);
        let telling = Telling(&self.telling);
        let busy = || self.is_on(Instant::now());
        (telling, give_way(&self.statuses, busy, || since.elapsed() < PATIENCE).await)
    }

    /// Waits for the turn of an event. It lasts until what is given back is dropped.
    pub async fn after_statuses(&self) -> Option<Slow<'_>> {
        let busy = || self.telling.load(Ordering::Relaxed) > 0 || self.is_on(Instant::now());
        give_way(&self.events, busy, || true).await
    }
}

/// While it is busy, waits until those are done that gave way before, and for the pause after them where one is `patient`.
async fn give_way(
    turn: &Turn<Instant>,
    busy: impl Fn() -> bool,
    patient: impl Fn() -> bool,
) -> Option<Slow<'_>> {
    if !busy() {
        return None;
    }
    let next = turn.lock().await;
    if busy() && patient() {
        sleep_until((*next).into()).await;
    }
    busy().then(|| Slow { next, began: Instant::now() })
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

    fn rush() -> Rush {
        let rush = Rush::default();
        for _ in 0..MANY {
            rush.published(Instant::now() + Duration::from_secs(3600));
        }
        rush
    }

    #[tokio::test]
    async fn in_a_rush_statuses_go_on_one_at_a_time() {
        let calm = Rush::default();
        let before: Vec<_> = (0..16).map(|_| calm.after_publishes(Instant::now()).now_or_never()).collect();
        assert!(before.iter().all(Option::is_some));

        let rush = rush();
        let first = rush.after_publishes(Instant::now()).await;
        assert!(rush.after_publishes(Instant::now()).now_or_never().is_none());
        drop(first);
        drop(rush.after_publishes(Instant::now()).await);
    }

    #[tokio::test]
    async fn who_waited_for_long_waits_for_no_pause() {
        let (rush, began) = (rush(), Instant::now());
        *rush.statuses.lock().await = began + Duration::from_secs(3600);
        assert!(rush.after_publishes(began).now_or_never().is_none());
        if let Some(long_ago) = began.checked_sub(PATIENCE) {
            assert!(rush.after_publishes(long_ago).now_or_never().is_some());
        }
    }

    #[tokio::test]
    async fn while_statuses_are_told_events_go_on_one_at_a_time() {
        let rush = Rush::default();
        let telling = rush.after_publishes(Instant::now()).await;
        let first = rush.after_statuses().await;
        assert!(rush.after_statuses().now_or_never().is_none());
        drop((telling, first));
        assert!(rush.after_statuses().now_or_never().is_some());
    }
}
