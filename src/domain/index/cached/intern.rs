//! Equal values of many tenants, each held once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// The size from which unused values are looked for.
const MIN_COLLECTION: usize = 64;

/// A set of shared values, each held for as long as something refers to it.
#[derive(Debug)]
pub struct Interner<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// The size at which unused values are removed.
    collect_at: usize,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), collect_at: MIN_COLLECTION }
    }
}

impl<T: Eq + Hash + ?Sized> Interner<T> {
    /// Returns the shared value that equals this one.
    pub fn intern(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.collect_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.collect_at = (2 * self.known.len()).max(MIN_COLLECTION);
        }
        let value = value.into();
        self.known.insert(Arc::clone(&value));
        value
    }

    /// The number of values that are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True while no value is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}
