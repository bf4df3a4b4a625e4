//! A cache with a time to live and a maximal size.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time for which an entry counts.
const TTL: Duration = Duration::from_secs(10);
/// The maximal number of entries.
const CAPACITY: usize = 4096;

/// Values that count for [`TTL`]; never more than [`CAPACITY`] of them.
pub(super) struct TtlCache<K, V>(Mutex<HashMap<K, Entry<V>>>);

struct Entry<V> {
    since: Instant,
    value: V,
}

impl<K, V> Default for TtlCache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> TtlCache<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries();
        entries.get(key).filter(|entry| entry.counts()).map(|entry| entry.value.clone())
    }

    /// Caches a value that has been valid since this time.
    pub(super) fn put(&self, key: K, value: V, since: Instant) {
        let mut entries = self.entries();
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.counts());
        }
        if entries.len() >= CAPACITY {
            // Only a flood of keys gets here. Its own requests then miss the cache.
            entries.clear();
        }
        entries.insert(key, Entry { since, value });
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, Entry<V>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V> Entry<V> {
    fn counts(&self) -> bool {
        self.since.elapsed() < TTL
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_expires_and_the_cache_never_exceeds_its_capacity() {
        let cache = TtlCache::default();
        let now = Instant::now();
        cache.put(0, true, now);
        cache.put(1, true, now.checked_sub(TTL).unwrap());
        assert_eq!((cache.get(&0), cache.get(&1), cache.get(&2)), (Some(true), None, None));
        (0..3 * CAPACITY).for_each(|key| cache.put(key, true, now));
        assert!(cache.entries().len() <= CAPACITY);
    }
}
