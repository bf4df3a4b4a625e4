//! Gives each resource its turn: at once, never two of one resource at a time, never more than so many in all.
//!
//! What kube's applier does, but for the clock: there each request goes through a timer, which ticks in milliseconds, so
//! that the first turn at rest is one to two of them late.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{Stream, StreamExt};
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

/// When a resource is to have its next turn, if nobody asks for it before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action(Option<Duration>);

impl Action {
    /// When somebody asks for it.
    pub const fn await_change() -> Self {
        Self(None)
    }

    /// After so long.
    pub const fn requeue(after: Duration) -> Self {
        Self(Some(after))
    }
}

/// Who waits for a turn, and who has one.
struct Turns<K> {
    line: VecDeque<K>,
    /// Those in the line.
    waiting: HashSet<K>,
    /// Those who have their turn; true: asked for again meanwhile.
    running: HashMap<K, bool>,
    later: DelayQueue<K>,
    timers: HashMap<K, Key>,
}

impl<K: Clone + Eq + Hash> Turns<K> {
    fn new() -> Self {
        Self {
            line: VecDeque::new(),
            waiting: HashSet::new(),
            running: HashMap::new(),
            later: DelayQueue::new(),
            timers: HashMap::new(),
        }
    }

    fn ask(&mut self, key: K) {
        if let Some(again) = self.running.get_mut(&key) {
            *again = true;
            return;
        }
        if let Some(timer) = self.timers.remove(&key) {
            self.later.remove(&timer);
        }
        if self.waiting.insert(key.clone()) {
            self.line.push_back(key);
        }
    }

    fn due(&mut self, key: K) {
        self.timers.remove(&key);
        self.ask(key);
    }

    fn begin(&mut self) -> Option<K> {
        let key = self.line.pop_front()?;
        self.waiting.remove(&key);
        self.running.insert(key.clone(), false);
        Some(key)
    }

    fn end(&mut self, key: K, Action(after): Action) {
        if self.running.remove(&key) == Some(true) {
            self.ask(key);
        } else if let Some(after) = after {
            let timer = self.later.insert(key.clone(), after);
            self.timers.insert(key, timer);
        }
    }
}

/// Gives turns to those who are `asked` for until there are no more of these, then lets those end that have begun.
/// `work` is what one does in its turn; `most` have one at the same time.
pub async fn take<K, Work>(asked: impl Stream<Item = K>, most: usize, work: impl Fn(K) -> Work)
where
    K: Clone + Eq + Hash,
    Work: Future<Output = Action>,
{
    let mut asked = std::pin::pin!(asked.fuse());
    let mut turns = Turns::<K>::new();
    let mut running = FuturesUnordered::new();
    loop {
        while !asked.is_done() && running.len() < most {
            let Some(key) = turns.begin() else { break };
            let working = work(key.clone());
            running.push(async move { (key, working.await) });
        }
        tokio::select! {
            key = asked.next(), if !asked.is_done() => {
                if let Some(key) = key {
                    turns.ask(key);
                }
            }
            Some((key, action)) = running.next(), if !running.is_empty() => turns.end(key, action),
            Some(due) = turns.later.next(), if !turns.later.is_empty() => turns.due(due.into_inner()),
            else => return,
        }
        if asked.is_done() && running.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures::channel::{mpsc, oneshot};
    use futures::{FutureExt, join};

    use super::*;

    #[tokio::test]
    async fn each_that_waits_has_one_turn_however_often_it_was_asked_for() {
        let mut turns = Turns::new();
        for key in ["a", "b", "a", "b", "a"] {
            turns.ask(key);
        }
        assert_eq!([turns.begin(), turns.begin(), turns.begin()], [Some("a"), Some("b"), None]);
    }

    #[tokio::test]
    async fn so_many_have_their_turn_at_once_and_no_more() {
        let (now, most, done) = (Cell::new(0), Cell::new(0), Cell::new(0));
        let (sender, receiver) = mpsc::unbounded();
        for key in 0..10 {
            sender.unbounded_send(key).unwrap();
        }
        let sender = RefCell::new(Some(sender));
        let work = |_| async {
            now.set(now.get() + 1);
            most.set(most.get().max(now.get()));
            // Longer than it takes to ask for all.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            now.set(now.get() - 1);
            done.set(done.get() + 1);
            if done.get() == 10 {
                sender.take();
            }
            Action::await_change()
        };
        take(receiver, 3, work).await;
        assert_eq!((most.get(), done.get()), (3, 10));
    }

    #[tokio::test]
    async fn one_that_is_asked_for_in_its_turn_has_another_one_after_it() {
        let (sender, receiver) = mpsc::unbounded();
        let (go_on, goes_on) = oneshot::channel::<()>();
        let (goes_on, sender) = (goes_on.shared(), RefCell::new(Some(sender)));
        let turns = RefCell::new(0);
        let asks = || sender.borrow().as_ref().unwrap().unbounded_send("a").unwrap();
        asks();
        let work = |_| {
            *turns.borrow_mut() += 1;
            if *turns.borrow() == 1 {
                asks();
                asks();
            } else {
                sender.take();
            }
            let goes_on = goes_on.clone();
            async move {
                let _ = goes_on.await;
                Action::await_change()
            }
        };
        let release = async {
            while !sender.borrow().as_ref().is_none_or(mpsc::UnboundedSender::is_empty) {
                tokio::task::yield_now().await;
            }
            go_on.send(()).unwrap();
        };
        join!(take(receiver, 8, work), release);
        assert_eq!(*turns.borrow(), 2);
    }

    #[tokio::test]
    async fn one_comes_back_by_itself_after_the_time_that_it_named() {
        let (sender, receiver) = mpsc::unbounded();
        sender.unbounded_send("a").unwrap();
        let sender = RefCell::new(Some(sender));
        let turns = Cell::new(0);
        let work = |_| {
            turns.set(turns.get() + 1);
            if turns.get() == 3 {
                sender.take();
            }
            std::future::ready(Action::requeue(Duration::from_millis(1)))
        };
        take(receiver, 8, work).await;
        assert_eq!(turns.get(), 3);
    }

    #[tokio::test]
    async fn who_waits_for_later_is_taken_at_once_when_asked_for_and_not_a_second_time() {
        let mut turns = Turns::new();
        turns.ask("a");
        assert_eq!(turns.begin(), Some("a"));
        turns.end("a", Action::requeue(Duration::from_secs(3600)));
        assert_eq!((turns.begin(), turns.later.len()), (None, 1));
        turns.ask("a");
        assert_eq!((turns.begin(), turns.later.len()), (Some("a"), 0));
        turns.end("a", Action::await_change());
        assert_eq!(turns.begin(), None);
    }
}
