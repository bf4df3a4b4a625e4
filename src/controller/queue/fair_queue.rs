//! The queued keys by namespace, served round robin: a busy namespace delays another one by one key at most.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

/// A namespace whose keys are one queue; empty: that of keys whose resource is not known any more.
pub type Namespace = Arc<str>;

/// The maximum number of keys that are processed concurrently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// The maximum that all namespaces share.
    pub shared: usize,
    /// Beyond these, the most of each namespace: one whose keys wait for an answer holds up no other.
    pub own: usize,
    /// The maximum of all together.
    pub most: usize,
}

/// The keys that wait, and the number of those in flight of each namespace.
#[derive(Debug)]
pub struct FairQueue<K> {
    lines: HashMap<Namespace, VecDeque<K>>,
    /// The namespaces of `lines`, the next one first.
    round: VecDeque<Namespace>,
    in_flight: HashMap<Namespace, usize>,
    all_in_flight: usize,
}

impl<K> Default for FairQueue<K> {
    fn default() -> Self {
        Self { lines: HashMap::new(), round: VecDeque::new(), in_flight: HashMap::new(), all_in_flight: 0 }
    }
}

impl<K: Eq + Hash> FairQueue<K> {
    /// Adds a key at the end of its namespace's line.
    pub fn push(&mut self, namespace: Namespace, key: K) {
        if let Some(line) = self.lines.get_mut(&namespace) {
            line.push_back(key);
        } else {
            self.round.push_back(Arc::clone(&namespace));
            self.lines.insert(namespace, VecDeque::from([key]));
        }
    }

    /// Takes the first key of the next namespace of the round that may have one more in flight.
    pub fn start(&mut self, concurrency: Concurrency) -> Option<(Namespace, K)> {
        if self.all_in_flight >= concurrency.most {
            return None;
        }
        let may_start = |namespace: &Namespace| {
            self.all_in_flight < concurrency.shared
                || self.in_flight.get(namespace).is_none_or(|count| *count < concurrency.own)
        };
        // At most as many are passed over as have keys in flight.
        let place = self.round.iter().position(may_start)?;
        let namespace = self.round.remove(place)?;
        let line = self.lines.get_mut(&namespace)?;
        let key = line.pop_front()?;
        if line.is_empty() {
            self.lines.remove(&namespace);
        } else {
            self.round.push_back(Arc::clone(&namespace));
        }
        *self.in_flight.entry(Arc::clone(&namespace)).or_default() += 1;
        self.all_in_flight += 1;
        Some((namespace, key))
    }

    /// Records that a key of this namespace is no longer in flight.
    pub fn finish(&mut self, namespace: &Namespace) {
        self.all_in_flight -= 1;
        if let Some(count) = self.in_flight.get_mut(namespace) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(namespace);
            }
        }
    }

    /// The number of keys that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.values().map(VecDeque::len).sum()
    }

    /// True while no key waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.round.is_empty()
    }

    /// The keys that have waited longest, one of each namespace.
    pub fn first(&self) -> impl Iterator<Item = &K> {
        self.lines.values().filter_map(VecDeque::front)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONCURRENCY: Concurrency = Concurrency { shared: 64, own: 4, most: 256 };

    fn noisy(keys: usize) -> FairQueue<usize> {
        let mut ready = FairQueue::default();
        for key in 0..keys {
            ready.push("noisy".into(), key);
        }
        ready
    }

    fn started(ready: &mut FairQueue<usize>) -> Vec<String> {
        std::iter::from_fn(|| ready.start(CONCURRENCY).map(|(namespace, _)| namespace.to_string())).collect()
    }

    #[test]
    fn namespaces_are_served_round_robin() {
        let mut ready = noisy(3);
        ready.push("calm".into(), 3);
        ready.push("other".into(), 4);
        ready.push("calm".into(), 5);
        assert_eq!((ready.len(), ready.first().count()), (6, 3));
        assert_eq!(started(&mut ready), ["noisy", "calm", "other", "noisy", "calm", "noisy"]);
        assert!(ready.is_empty());
    }

    #[test]
    fn keys_of_one_namespace_stay_in_order() {
        let mut ready = noisy(3);
        let order: Vec<_> = std::iter::from_fn(|| ready.start(CONCURRENCY).map(|(_, key)| key)).collect();
        assert_eq!(order, [0, 1, 2]);
    }

    #[test]
    fn a_namespace_whose_keys_hang_leaves_room_for_every_other() {
        let mut ready = noisy(10_000);
        assert_eq!(started(&mut ready).len(), CONCURRENCY.shared);
        for _ in 0..10 {
            ready.push("calm".into(), 0);
        }
        assert_eq!(started(&mut ready), vec!["calm"; CONCURRENCY.own]);
        ready.finish(&"calm".into());
        assert_eq!(
            started(&mut ready),
            ["calm"],
            "the noisy one waits until fewer are in flight than are shared"
        );
        for _ in 0..=CONCURRENCY.own {
            ready.finish(&"noisy".into());
        }
        assert_eq!(started(&mut ready), ["noisy"]);
    }

    #[test]
    fn all_together_are_bounded() {
        let mut ready = FairQueue::default();
        for key in 0..10_000 {
            ready.push(format!("namespace-{}", key % 1000).into(), key);
        }
        assert_eq!(started(&mut ready).len(), CONCURRENCY.most);
    }
}
