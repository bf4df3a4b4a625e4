//! Throttles the writes of statuses and events while many tenants are published, since the API server is saturated then:
//! statuses before events, one at a time, with pauses, and never stopped.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::{sleep_until, timeout};

use super::WorkQueue;
use crate::domain::Uid;

/// The window in which publishes are counted.
pub const WINDOW: Duration = Duration::from_millis(100);
/// Publishes per [`WINDOW`] from which statuses are throttled: about the rate of statuses that an API server sustains.
pub const SATURATION_THRESHOLD: u32 = 10;
/// A throttled write is followed by a pause of this many times its duration, which bounds its share of the API server to
/// one part in `1 + PAUSE_FACTOR`.
pub const PAUSE_FACTOR: u32 = 4;
/// The number of waiting statuses from which finalizers must not delay them: statuses promise to keep up with that many
/// concurrent changes.
pub const STATUS_BACKLOG: usize = 100;
/// The age from which a status is written without a pause, though still one at a time.
pub const MAX_STATUS_DELAY: Duration = Duration::from_secs(30);

/// The time for which a throttled write holds up the others: one that gets no response must not.
const MAX_HOLD: Duration = Duration::from_secs(1);

/// Throttles writes of a lower priority.
#[derive(Debug)]
pub struct WritePriority {
    published: Mutex<Window>,
    /// The queue of status writes: while one is in flight, events are throttled.
    statuses: Arc<WorkQueue<Uid>>,
    /// The time from which the next throttled status may be written, locked while one is.
    next_status: AsyncMutex<Instant>,
    /// The time from which the next throttled event may be written, locked while one is.
    next_event: AsyncMutex<Instant>,
}

/// The publishes in the present window and in the one before.
#[derive(Debug)]
struct Window {
    since: Instant,
    present: u32,
    previous: u32,
}

impl Window {
    fn advance(&mut self, now: Instant) {
        let passed = now.duration_since(self.since);
        if passed >= WINDOW {
            self.previous = if passed < 2 * WINDOW { self.present } else { 0 };
            (self.since, self.present) = (now, 0);
        }
    }
}

/// The permit of a throttled write, held while it is written.
#[derive(Debug)]
pub struct Permit<'a> {
    next: MutexGuard<'a, Instant>,
    began: Instant,
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.next = Instant::now() + PAUSE_FACTOR * self.began.elapsed().min(MAX_HOLD);
    }
}

impl WritePriority {
    /// Creates the priority of writes. `statuses` is the queue of status writes.
    #[must_use]
    pub fn new(statuses: Arc<WorkQueue<Uid>>) -> Self {
        let now = Instant::now();
        Self {
            published: Mutex::new(Window { since: now, present: 0, previous: 0 }),
            statuses,
            next_status: AsyncMutex::new(now),
            next_event: AsyncMutex::new(now),
        }
    }

    /// Counts publishes.
    pub fn published(&self, count: u32, now: Instant) {
        let mut window = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now);
        window.present += count;
    }

    /// True while so much is published that everything else is throttled.
    #[must_use]
    pub fn is_saturated(&self, now: Instant) -> bool {
        let mut window = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        window.advance(now);
        window.present.max(window.previous) >= SATURATION_THRESHOLD
    }

    /// True while the API server is saturated, or a backlog of statuses waits: then statuses come before finalizers.
    #[must_use]
    pub fn statuses_first(&self, now: Instant) -> bool {
        self.is_saturated(now) || self.statuses.depth() >= STATUS_BACKLOG
    }

    /// Waits until a status that was queued at this time may be written. None: it is not throttled.
    pub async fn status_permit(&self, queued_at: Instant) -> Option<Permit<'_>> {
        let busy = || self.is_saturated(Instant::now());
        throttle(&self.next_status, busy, || queued_at.elapsed() < MAX_STATUS_DELAY).await
    }

    /// Waits until an event may be written. None: it is not throttled.
    pub async fn event_permit(&self) -> Option<Permit<'_>> {
        let busy = || self.statuses.in_flight() > 0 || self.is_saturated(Instant::now());
        throttle(&self.next_event, busy, || true).await
    }
}

/// Holds the permit of a throttled write while it is written, but not for longer than others may have to wait for it.
pub async fn hold_while<T>(permit: Option<Permit<'_>>, write: impl Future<Output = T>) -> T {
    let mut write = pin!(write);
    if let Some(permit) = permit {
        let written = timeout(MAX_HOLD, &mut write).await;
        drop(permit);
        if let Ok(written) = written {
            return written;
        }
    }
    write.await
}

/// While the API server is `busy`, waits until the throttled write before this one has ended, and, where this one
/// `pauses`, for the pause that follows it.
async fn throttle(
    next: &AsyncMutex<Instant>,
    busy: impl Fn() -> bool,
    pauses: impl Fn() -> bool,
) -> Option<Permit<'_>> {
    if !busy() {
        return None;
    }
    let next = next.lock().await;
    if busy() && pauses() {
        sleep_until((*next).into()).await;
    }
    busy().then(|| Permit { next, began: Instant::now() })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tracing::Span;

    use super::super::{Action, Concurrency};
    use super::*;

    fn priority() -> WritePriority {
        WritePriority::new(Arc::default())
    }

    fn saturated() -> WritePriority {
        let priority = priority();
        priority.published(SATURATION_THRESHOLD, Instant::now() + Duration::from_secs(3600));
        priority
    }

    #[tokio::test]
    async fn saturation_begins_and_ends_with_the_publish_rate() {
        let (priority, began) = (priority(), Instant::now());
        priority.published(SATURATION_THRESHOLD - 1, began);
        assert!(!priority.is_saturated(began));
        priority.published(1, began);
        assert!(priority.is_saturated(began));
        assert!(priority.is_saturated(began + WINDOW), "the window before counts too");
        assert!(!priority.is_saturated(began + 3 * WINDOW));
    }

    #[tokio::test]
    async fn statuses_come_first_until_few_wait() {
        let (priority, saturated, now) = (priority(), saturated(), Instant::now());
        assert!(saturated.statuses_first(now));
        for waiting in 1..STATUS_BACKLOG {
            priority.statuses.enqueue("ns".into(), Uid::from(waiting.to_string().as_str()), Span::none());
        }
        assert!(!priority.statuses_first(now));
        priority.statuses.enqueue("ns".into(), Uid::from("last"), Span::none());
        assert!(priority.statuses_first(now));
    }

    #[tokio::test]
    async fn statuses_are_serialised_while_saturated() {
        let calm = priority();
        let before: Vec<_> = (0..16).map(|_| calm.status_permit(Instant::now()).now_or_never()).collect();
        assert!(before.iter().all(Option::is_some));

        let priority = saturated();
        let first = priority.status_permit(Instant::now()).await;
        assert!(priority.status_permit(Instant::now()).now_or_never().is_none());
        drop(first);
        drop(priority.status_permit(Instant::now()).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_without_a_response_holds_up_no_other() {
        let priority = saturated();
        let permit = priority.status_permit(Instant::now()).await;
        let hangs = hold_while(permit, std::future::pending::<()>());
        let other = async {
            let _permit = priority.status_permit(Instant::now()).await;
        };
        tokio::select! {
            () = hangs => {}
            () = other => {}
        }
    }

    #[tokio::test]
    async fn a_status_older_than_the_limit_is_not_delayed() {
        let (priority, began) = (saturated(), Instant::now());
        *priority.next_status.lock().await = began + Duration::from_secs(3600);
        assert!(priority.status_permit(began).now_or_never().is_none());
        if let Some(long_ago) = began.checked_sub(MAX_STATUS_DELAY) {
            assert!(priority.status_permit(long_ago).now_or_never().is_some());
        }
    }

    #[tokio::test]
    async fn events_are_serialised_while_statuses_are_written() {
        let priority = priority();
        priority.statuses.enqueue("ns".into(), Uid::from("u"), Span::none());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let process = |_| async {
            let first = priority.event_permit().await;
            assert!(first.is_some());
            assert!(priority.event_permit().now_or_never().is_none());
            drop(first);
            Action::await_change()
        };
        let stopped = stopped.map(drop);
        let queue = Arc::clone(&priority.statuses);
        let running = queue.run(Concurrency { shared: 1, own: 1, most: 1 }, process, stopped);
        let ending = async {
            while queue.depth() > 0 || queue.in_flight() > 0 {
                tokio::task::yield_now().await;
            }
            stop.send(()).unwrap();
        };
        futures::join!(running, ending);
        assert!(priority.event_permit().now_or_never().is_some());
    }
}
