//! A cache of reviews, limited in time and in bytes.

use std::time::Instant;

use moka::sync::Cache;

use crate::admin::limits::{REVIEW_CACHE_BYTES, REVIEW_TTL};

/// The bytes that an entry needs besides its value: the key, the time, and the cache's own.
const ENTRY_BYTES: u32 = 256;

/// Values that count for [`REVIEW_TTL`], in at most [`REVIEW_CACHE_BYTES`]. Keys are hashes, so that a client does not decide
/// on their size.
pub(super) struct ReviewCache<V: Clone + Send + Sync + 'static>(Cache<Key, Entry<V>>);

/// A SHA-256 of everything that the value depends on.
pub(super) type Key = [u8; 32];

#[derive(Clone)]
struct Entry<V> {
    since: Instant,
    value: V,
}

impl<V: Clone + Send + Sync + 'static> ReviewCache<V> {
    /// Creates an empty cache. `bytes` returns the size of a value.
    pub(super) fn new(bytes: fn(&V) -> usize) -> Self {
        let weight = move |_: &Key, entry: &Entry<V>| {
            ENTRY_BYTES.saturating_add(u32::try_from(bytes(&entry.value)).unwrap_or(u32::MAX))
        };
        Self(
            Cache::builder()
                .max_capacity(REVIEW_CACHE_BYTES)
                .weigher(weight)
                .time_to_live(REVIEW_TTL)
                .build(),
        )
    }

    pub(super) fn get(&self, key: &Key) -> Option<V> {
        let entry = self.0.get(key)?;
        (entry.since.elapsed() < REVIEW_TTL).then_some(entry.value)
    }

    /// Caches a value that has been valid since this time.
    pub(super) fn put(&self, key: Key, value: V, since: Instant) {
        self.0.insert(key, Entry { since, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> Key {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[test]
    fn an_entry_counts_for_ten_seconds() {
        let cache = ReviewCache::new(|_: &bool| 0);
        let now = Instant::now();
        cache.put(key(0), true, now);
        cache.put(key(1), true, now.checked_sub(REVIEW_TTL).unwrap());
        assert_eq!((cache.get(&key(0)), cache.get(&key(1)), cache.get(&key(2))), (Some(true), None, None));
    }

    #[test]
    fn the_cache_never_exceeds_its_bytes() {
        let cache = ReviewCache::new(Vec::len);
        for number in 0..1000 {
            cache.put(key(number), vec![0; 20_000], Instant::now());
        }
        cache.0.run_pending_tasks();
        let size = cache.0.weighted_size();
        assert!((1_000_000..=REVIEW_CACHE_BYTES).contains(&size), "{size}");
        // A value that is larger than all of it is not cached.
        cache.put(key(2000), vec![0; 3_000_000], Instant::now());
        cache.0.run_pending_tasks();
        assert!(cache.get(&key(2000)).is_none() && cache.0.weighted_size() <= REVIEW_CACHE_BYTES);
    }
}
