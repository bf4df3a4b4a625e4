//! A work queue: processes each key that is enqueued, immediately, never one key twice at a time, and never more than a
//! number of keys concurrently. The keys of one namespace are processed in order, the namespaces round robin. It alone knows
//! what is queued, since when, and what is in flight; metrics and the liveness probe read it here.
//!
//! kube-runtime's `applier` does the same, but sends every request through a timer that ticks in milliseconds, so that a
//! request at rest is one to two of them late (docs/decisions).

use std::collections::HashMap;
use std::future::poll_fn;
use std::hash::Hash;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;
use tracing::Span;

use super::Action;
use super::fair_queue::{Concurrency, FairQueue, Namespace};

/// A queue of keys. Enqueueing never waits.
#[derive(Debug)]
pub struct WorkQueue<K> {
    state: Mutex<State<K>>,
    /// Wakes the loop after an enqueue.
    enqueued: Notify,
}

#[derive(Debug)]
struct State<K> {
    /// Keys in the order in which they will be processed.
    ready: FairQueue<K>,
    /// The keys of `ready`.
    queued: HashMap<K, Item>,
    in_flight: HashMap<K, InFlight>,
    /// Keys that wait for the end of a delay.
    delayed: DelayQueue<K>,
    delay_keys: HashMap<K, (Key, Namespace)>,
    /// The last start or end of processing while there was work; none while there is none.
    last_progress: Option<Instant>,
}

/// The time and the trace of a queued key.
#[derive(Debug)]
struct Item {
    queued_at: Instant,
    span: Span,
}

/// A key that is being processed.
#[derive(Debug)]
struct InFlight {
    namespace: Namespace,
    /// The item of an enqueue in the meantime.
    again: Option<Item>,
}

/// A key whose processing begins.
#[derive(Debug)]
pub struct Dequeued<K> {
    /// The key.
    pub key: K,
    /// The time of its first enqueue since it was last processed.
    pub queued_at: Instant,
    /// The trace span of the change that enqueued it first.
    pub span: Span,
}

impl<K: Clone + Eq + Hash> Default for WorkQueue<K> {
    fn default() -> Self {
        let state = State {
            ready: FairQueue::default(),
            queued: HashMap::new(),
            in_flight: HashMap::new(),
            delayed: DelayQueue::new(),
            delay_keys: HashMap::new(),
            last_progress: None,
        };
        Self { state: Mutex::new(state), enqueued: Notify::new() }
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enqueues a key of a namespace for a change that this span traces. A key that is queued already stays where it is;
    /// one that waits for the end of a delay no longer does; one that is in flight will be processed once more.
    pub fn enqueue(&self, namespace: Namespace, key: K, span: Span) {
        self.state().enqueue(namespace, key, Item { queued_at: Instant::now(), span });
        self.enqueued.notify_one();
    }

    /// Enqueues several keys, each for a change that `span` begins to trace.
    pub fn enqueue_all(&self, keys: impl IntoIterator<Item = (Namespace, K)>, span: impl Fn() -> Span) {
        let mut state = self.state();
        let queued_at = Instant::now();
        for (namespace, key) in keys {
            state.enqueue(namespace, key, Item { queued_at, span: span() });
        }
        drop(state);
        self.enqueued.notify_one();
    }

    /// Processes the keys that wait for the end of a delay without further delay.
    pub fn retry_now(&self) {
        let mut state = self.state();
        let delayed: Vec<_> =
            state.delay_keys.iter().map(|(key, (_, namespace))| (key.clone(), namespace.clone())).collect();
        for (key, namespace) in delayed {
            state.enqueue(namespace, key, Item { queued_at: Instant::now(), span: Span::none() });
        }
        drop(state);
        self.enqueued.notify_one();
    }

    /// The number of queued keys.
    #[must_use]
    pub fn depth(&self) -> usize {
        let state = self.state();
        state.ready.len() + state.enqueued_again().count()
    }

    /// Keys that have been queued for longer than `age`, at most this many.
    #[must_use]
    pub fn queued_longer(&self, age: Duration, count: usize, now: Instant) -> Vec<K> {
        let state = self.state();
        let old = state.queued.iter().filter(|(_, item)| now.saturating_duration_since(item.queued_at) > age);
        old.take(count).map(|(key, _)| key.clone()).collect()
    }

    /// The age of the oldest queued key; zero while none is queued.
    #[must_use]
    pub fn oldest(&self, now: Instant) -> Duration {
        let state = self.state();
        let first = state.ready.first().filter_map(|key| state.queued.get(key));
        let oldest = state.enqueued_again().chain(first).map(|item| item.queued_at).min();
        oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest))
    }

    /// The number of keys that are being processed.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state().in_flight.len()
    }

    /// The time since the last start or end of processing, while there is work.
    #[must_use]
    pub fn without_progress(&self, now: Instant) -> Option<Duration> {
        self.state().last_progress.map(|last| now.saturating_duration_since(last))
    }

    fn start_next(&self, concurrency: Concurrency, stopping: bool) -> Option<Dequeued<K>> {
        if stopping { None } else { self.state().start_next(concurrency, Instant::now()) }
    }

    /// Processes keys until `stop` is done, then waits for those in flight.
    pub async fn run<Work>(
        &self,
        concurrency: Concurrency,
        process: impl Fn(Dequeued<K>) -> Work,
        stop: impl Future<Output = ()>,
    ) where
        Work: Future<Output = Action>,
    {
        let mut stop = pin!(stop.fuse());
        let mut stopping = false;
        let mut in_flight = FuturesUnordered::new();
        loop {
            while let Some(dequeued) = self.start_next(concurrency, stopping) {
                let key = dequeued.key.clone();
                let work = process(dequeued);
                in_flight.push(async move { (key, work.await) });
            }
            if stopping && in_flight.is_empty() {
                return;
            }
            tokio::select! {
                () = &mut stop, if !stopping => stopping = true,
                () = self.enqueued.notified(), if !stopping => {}
                Some((key, action)) = in_flight.next(), if !in_flight.is_empty() => {
                    self.state().finish(key, action, Instant::now());
                }
                key = poll_fn(|cx| self.state().poll_delayed(cx)), if !stopping => self.state().on_timer(key),
            }
        }
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn enqueue(&mut self, namespace: Namespace, key: K, item: Item) {
        if let Some(in_flight) = self.in_flight.get_mut(&key) {
            in_flight.again.get_or_insert(item);
            return;
        }
        if let Some((delay, _)) = self.delay_keys.remove(&key) {
            self.delayed.remove(&delay);
        }
        self.last_progress.get_or_insert(item.queued_at);
        if !self.queued.contains_key(&key) {
            self.queued.insert(key.clone(), item);
            self.ready.push(namespace, key);
        }
    }

    /// The items of keys that were enqueued while they were in flight.
    fn enqueued_again(&self) -> impl Iterator<Item = &Item> {
        self.in_flight.values().filter_map(|in_flight| in_flight.again.as_ref())
    }

    /// Enqueues a key whose delay is over.
    fn on_timer(&mut self, key: K) {
        if let Some((_, namespace)) = self.delay_keys.remove(&key) {
            self.enqueue(namespace, key, Item { queued_at: Instant::now(), span: Span::none() });
        }
    }

    /// Waits for the end of a delay; for ever while no key is delayed.
    fn poll_delayed(&mut self, cx: &mut Context<'_>) -> Poll<K> {
        match self.delayed.poll_expired(cx) {
            Poll::Ready(Some(expired)) => Poll::Ready(expired.into_inner()),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    fn start_next(&mut self, concurrency: Concurrency, now: Instant) -> Option<Dequeued<K>> {
        let (namespace, key) = self.ready.start(concurrency)?;
        let item = self.queued.remove(&key)?;
        self.in_flight.insert(key.clone(), InFlight { namespace, again: None });
        self.last_progress = Some(now);
        Some(Dequeued { key, queued_at: item.queued_at, span: item.span })
    }

    fn finish(&mut self, key: K, action: Action, now: Instant) {
        if let Some(InFlight { namespace, again }) = self.in_flight.remove(&key) {
            self.ready.finish(&namespace);
            if let Some(item) = again {
                self.enqueue(namespace, key, item);
            } else if let Some(after) = action.requeue_after() {
                let delay = self.delayed.insert(key.clone(), after);
                self.delay_keys.insert(key, (delay, namespace));
            }
        }
        let has_work = !self.in_flight.is_empty() || !self.ready.is_empty();
        self.last_progress = has_work.then_some(now);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;

    use tokio::sync::watch;

    use super::*;

    const TEN: Concurrency = Concurrency { shared: 10, own: 1, most: 20 };

    /// Keys of one namespace.
    fn keys<K>(keys: impl IntoIterator<Item = K>) -> impl Iterator<Item = (Namespace, K)> {
        keys.into_iter().map(|key| ("ns".into(), key))
    }

    fn enqueue<K: Clone + Eq + Hash>(state: &mut State<K>, key: K) {
        state.enqueue("ns".into(), key, Item { queued_at: Instant::now(), span: Span::none() });
    }

    fn start<K: Clone + Eq + Hash>(state: &mut State<K>) -> Option<K> {
        state.start_next(TEN, Instant::now()).map(|dequeued| dequeued.key)
    }

    /// A stop signal and its sender.
    fn stop() -> (watch::Sender<bool>, impl Future<Output = ()>) {
        let (sender, mut receiver) = watch::channel(false);
        (sender, async move { drop(receiver.wait_for(|stop| *stop).await) })
    }

    #[tokio::test]
    async fn a_queued_key_is_processed_once_however_often_it_was_enqueued() {
        let queue = WorkQueue::default();
        let mut state = queue.state();
        for key in ["a", "b", "a", "b", "a"] {
            enqueue(&mut state, key);
        }
        let started = [start(&mut state), start(&mut state), start(&mut state)];
        assert_eq!(started, [Some("a"), Some("b"), None]);
    }

    #[tokio::test]
    async fn concurrency_is_bounded() {
        let (now, most, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let queue = WorkQueue::default();
        queue.enqueue_all(keys(0..10), Span::none);
        let (sender, stop) = stop();
        let process = |_| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            tokio::task::yield_now().await;
            now.set(now.get() - 1);
            done.set(done.get() + 1);
            if done.get() == 10 {
                sender.send_replace(true);
            }
            Action::await_change()
        };
        queue.run(Concurrency { shared: 3, own: 1, most: 3 }, process, stop).await;
        assert_eq!((most.get(), done.get()), (3, 10));
    }

    #[tokio::test]
    async fn one_key_is_never_processed_twice_at_a_time() {
        let (running, runs) = (RefCell::new(HashSet::new()), Cell::new(0));
        let queue = WorkQueue::default();
        let (sender, stop) = stop();
        queue.enqueue_all(keys(0..4), Span::none);
        let process = |dequeued: Dequeued<i32>| {
            assert!(running.borrow_mut().insert(dequeued.key), "{} runs twice", dequeued.key);
            runs.set(runs.get() + 1);
            // Enqueued while it runs, as by a watch event, a drift signal and the sweep.
            for _ in 0..3 {
                queue.enqueue("ns".into(), dequeued.key, Span::none());
            }
            let (running, runs, sender) = (&running, &runs, &sender);
            async move {
                for _ in 0..dequeued.key {
                    tokio::task::yield_now().await;
                }
                running.borrow_mut().remove(&dequeued.key);
                if runs.get() >= 200 {
                    sender.send_replace(true);
                }
                Action::requeue(Duration::from_millis(1))
            }
        };
        queue.run(TEN, process, stop).await;
        assert!(runs.get() >= 200 && running.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_key_enqueued_while_running_runs_again() {
        let queue = WorkQueue::default();
        let (sender, stop) = stop();
        let runs = Cell::new(0);
        queue.enqueue("ns".into(), "a", Span::none());
        let process = |_| {
            runs.set(runs.get() + 1);
            if runs.get() == 1 {
                queue.enqueue("ns".into(), "a", Span::none());
                queue.enqueue("ns".into(), "a", Span::none());
                assert_eq!((queue.depth(), queue.in_flight()), (1, 1));
            } else {
                sender.send_replace(true);
            }
            std::future::ready(Action::await_change())
        };
        queue.run(TEN, process, stop).await;
        assert_eq!((runs.get(), queue.depth()), (2, 0));
    }

    #[tokio::test]
    async fn a_requeued_key_returns_after_its_delay() {
        let queue = WorkQueue::default();
        let (sender, stop) = stop();
        queue.enqueue("ns".into(), "a", Span::none());
        let runs = Cell::new(0);
        let process = |_| {
            runs.set(runs.get() + 1);
            if runs.get() == 3 {
                sender.send_replace(true);
            }
            std::future::ready(Action::requeue(Duration::from_millis(1)))
        };
        queue.run(TEN, process, stop).await;
        assert_eq!(runs.get(), 3);
    }

    #[tokio::test]
    async fn an_enqueue_replaces_a_pending_delay() {
        let queue = WorkQueue::default();
        let mut state = queue.state();
        enqueue(&mut state, "a");
        assert_eq!(start(&mut state), Some("a"));
        state.finish("a", Action::requeue(Duration::from_secs(3600)), Instant::now());
        assert_eq!((start(&mut state), state.delayed.len()), (None, 1));
        enqueue(&mut state, "a");
        assert_eq!((start(&mut state), state.delayed.len()), (Some("a"), 0));
        state.finish("a", Action::await_change(), Instant::now());
        assert_eq!(start(&mut state), None);
    }

    #[tokio::test]
    async fn delayed_keys_can_be_processed_at_once() {
        let queue = WorkQueue::default();
        let mut state = queue.state();
        for key in ["a", "b"] {
            enqueue(&mut state, key);
            assert_eq!(start(&mut state), Some(key));
            state.finish(key, Action::requeue(Duration::from_secs(3600)), Instant::now());
        }
        drop(state);
        queue.retry_now();
        let mut state = queue.state();
        assert_eq!((state.delayed.len(), state.ready.len()), (0, 2));
        assert!(start(&mut state).is_some());
    }

    #[tokio::test]
    async fn progress_is_known_while_there_is_work() {
        let queue = WorkQueue::default();
        let (begin, minute) = (Instant::now(), Duration::from_secs(60));
        assert_eq!(queue.without_progress(begin), None);
        let mut state = queue.state();
        for key in ["a", "b"] {
            state.enqueue("ns".into(), key, Item { queued_at: begin, span: Span::none() });
        }
        drop(state);
        assert_eq!(queue.without_progress(begin + minute), Some(minute), "queued, and nothing starts");
        assert_eq!((queue.depth(), queue.oldest(begin + minute)), (2, minute));
        assert!(queue.state().start_next(TEN, begin + minute).is_some());
        assert_eq!(queue.without_progress(begin + 2 * minute), Some(minute), "in flight, and nothing ends");
        queue.state().finish("a", Action::await_change(), begin + 2 * minute);
        assert_eq!(queue.without_progress(begin + 2 * minute), Some(Duration::ZERO), "another one is queued");
        assert!(queue.state().start_next(TEN, begin + 3 * minute).is_some());
        queue.state().finish("b", Action::await_change(), begin + 3 * minute);
        assert_eq!(queue.without_progress(begin + 9 * minute), None, "there is no work");
    }

    const ANOTHER: &str = "calm";

    /// The place of the other tenant among all keys that were processed.
    async fn place_of_another(hangs: bool) -> usize {
        let queue = WorkQueue::default();
        let (sender, stop) = stop();
        let (processed, place) = (Cell::new(0), Cell::new(None));
        queue.enqueue_all((0..10_000).map(|key| ("noisy".into(), key)), Span::none);
        let process = |dequeued: Dequeued<i32>| {
            let (queue, sender, processed, place) = (&queue, &sender, &processed, &place);
            async move {
                processed.set(processed.get() + 1);
                if processed.get() == 64 {
                    queue.enqueue(ANOTHER.into(), -1, Span::none());
                }
                if dequeued.key == -1 {
                    place.set(Some(processed.get()));
                    sender.send_replace(true);
                }
                tokio::task::yield_now().await;
                while hangs && place.get().is_none() {
                    tokio::task::yield_now().await;
                }
                Action::await_change()
            }
        };
        queue.run(Concurrency { shared: 64, own: 4, most: 256 }, process, stop).await;
        place.get().unwrap()
    }

    #[tokio::test]
    async fn another_namespace_is_processed_before_128_of_a_noisy_one() {
        let place = place_of_another(false).await;
        assert!(place <= 128, "it is number {place}");
    }

    #[tokio::test]
    async fn another_namespace_is_processed_while_a_whole_namespace_hangs() {
        let place = place_of_another(true).await;
        assert!(place <= 128, "it is number {place}");
    }
}
