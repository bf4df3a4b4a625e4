//! A limit on the bytes that many requests hold together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::peer::Peer;

/// The bytes that all requests may hold, and that the requests of one peer may.
#[derive(Debug)]
pub struct ByteBudget {
    total: usize,
    per_peer: usize,
    used: Mutex<Used>,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_peer: HashMap<Peer, usize>,
}

/// A part of a [`ByteBudget`], returned to it when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<ByteBudget>,
    peer: Peer,
    bytes: usize,
}

impl ByteBudget {
    /// Creates a budget of which nothing is used.
    #[must_use]
    pub fn new(total: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self { total, per_peer, used: Mutex::default() })
    }

    /// Reserves bytes for a peer. `None`: that is more than is left, for all or for this peer.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, peer: Peer, bytes: usize) -> Option<Reservation> {
        let mut reservation = Reservation { budget: Arc::clone(self), peer, bytes: 0 };
        reservation.grow_to(bytes).then_some(reservation)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Reserves more, up to this number of bytes. False: that is more than is left, and nothing changes.
    #[must_use]
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let mut used = self.budget.used();
        let of_peer = used.by_peer.get(&self.peer).copied().unwrap_or_default();
        let fits = |used: usize, limit: usize| used.checked_add(more).is_some_and(|sum| sum <= limit);
        if !fits(used.total, self.budget.total) || !fits(of_peer, self.budget.per_peer) {
            return false;
        }
        if more > 0 {
            used.total += more;
            used.by_peer.insert(self.peer, of_peer + more);
        }
        drop(used);
        self.bytes += more;
        true
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut used = self.budget.used();
        used.total -= self.bytes;
        if let Some(of_peer) = used.by_peer.get_mut(&self.peer) {
            *of_peer -= self.bytes;
            if *of_peer == 0 {
                used.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::from(std::net::SocketAddr::from(([10, 0, 0, last], 1)))
    }

    #[test]
    fn a_peer_takes_no_more_than_its_share_and_all_no_more_than_the_whole() {
        let budget = ByteBudget::new(100, 60);
        let first = budget.reserve(peer(1), 60).unwrap();
        assert!(budget.reserve(peer(1), 1).is_none() && budget.reserve(peer(1), usize::MAX).is_none());
        let mut second = budget.reserve(peer(2), 10).unwrap();
        assert!(second.grow_to(40) && second.grow_to(5) && !second.grow_to(41));
        assert!(budget.reserve(peer(3), 1).is_none());
        drop(first);
        assert!(budget.reserve(peer(1), 60).is_some());
        drop(second);
        let used = budget.used();
        assert!(used.total == 0 && used.by_peer.is_empty(), "{used:?}");
    }
}
