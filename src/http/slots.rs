//! Decides which connections a server holds: a number in all and for each peer. When there are too many, the one that has
//! waited longest for a request's head goes; one with a request in flight never does.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::peer::Peer;

/// The slots of one server.
#[derive(Debug)]
pub(super) struct Slots {
    total: usize,
    per_peer: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Counts connections and requests, in place of a clock.
    tick: u64,
    connections: BTreeMap<u64, Connection>,
    by_peer: HashMap<Peer, usize>,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    /// The requests in flight, and the responses that are not sent yet.
    busy: usize,
    /// The tick at which it began to wait for a head.
    waiting_since: u64,
    leave: Arc<Notify>,
}

/// A connection's slot, free again when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    id: u64,
    leave: Arc<Notify>,
}

/// Protects a connection from eviction while a request is in flight.
#[derive(Debug)]
pub(super) struct Busy(Arc<Slot>);

impl Slots {
    pub(super) fn new(total: usize, per_peer: usize) -> Arc<Self> {
        Arc::new(Self { total, per_peer, held: Mutex::default() })
    }

    /// Returns a slot for a new connection, if need be that of one that waits for a head. `None`: every slot that the peer
    /// may have is busy.
    pub(super) fn admit(self: &Arc<Self>, peer: Peer) -> Option<Arc<Slot>> {
        let mut held = self.held();
        let of_peer = held.by_peer.get(&peer).copied().unwrap_or_default();
        if of_peer >= self.per_peer {
            held.evict(|connection| connection.peer == peer)?;
        } else if held.connections.len() >= self.total {
            let largest = held.largest_peer()?;
            held.evict(|connection| connection.peer == largest)?;
        }
        let leave = Arc::new(Notify::new());
        held.tick += 1;
        let id = held.tick;
        let connection = Connection { peer, busy: 0, waiting_since: id, leave: Arc::clone(&leave) };
        held.connections.insert(id, connection);
        *held.by_peer.entry(peer).or_default() += 1;
        Some(Arc::new(Slot { slots: Arc::clone(self), id, leave }))
    }

    /// Makes the connection leave that has waited longest for a head.
    pub(super) fn evict_one(&self) {
        let _ = self.held().evict(|_| true);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// The peer with the most connections, of those that have one that waits for a head.
    fn largest_peer(&self) -> Option<Peer> {
        let waiting = self.connections.values().filter(|connection| connection.busy == 0);
        waiting.map(|connection| connection.peer).max_by_key(|peer| self.by_peer.get(peer).copied())
    }

    fn evict(&mut self, candidate: impl Fn(&Connection) -> bool) -> Option<()> {
        let waiting = self.connections.iter().filter(|(_, one)| one.busy == 0 && candidate(one));
        let (id, _) = waiting.min_by_key(|(_, connection)| connection.waiting_since)?;
        let id = *id;
        self.remove(id)?.leave.notify_one();
        Some(())
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(count) = self.by_peer.get_mut(&connection.peer) {
            *count -= 1;
            if *count == 0 {
                self.by_peer.remove(&connection.peer);
            }
        }
        Some(connection)
    }
}

impl Slot {
    /// Completes when the connection has lost its slot to another.
    pub(super) async fn evicted(&self) {
        self.leave.notified().await;
    }

    /// Marks a request as in flight until the result is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        if let Some(connection) = self.slots.held().connections.get_mut(&self.id) {
            connection.busy += 1;
        }
        Busy(Arc::clone(self))
    }

    /// Returns true if no request is in flight.
    pub(super) fn is_waiting(&self) -> bool {
        self.slots.held().connections.get(&self.id).is_none_or(|connection| connection.busy == 0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.held().remove(self.id);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut held = self.0.slots.held();
        held.tick += 1;
        let tick = held.tick;
        if let Some(connection) = held.connections.get_mut(&self.0.id) {
            connection.busy -= 1;
            connection.waiting_since = tick;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::from(std::net::SocketAddr::from(([10, 0, 0, last], 1)))
    }

    fn is_evicted(slot: &Slot) -> bool {
        slot.evicted().now_or_never().is_some()
    }

    #[test]
    fn beyond_its_share_a_peer_loses_the_connection_that_waited_longest() {
        let slots = Slots::new(10, 2);
        let [first, second] = [(); 2].map(|()| slots.admit(peer(1)).unwrap());
        // The first connection has had a request since, so the second one has waited longer.
        drop(first.busy());
        let third = slots.admit(peer(1)).unwrap();
        assert!(!is_evicted(&first) && is_evicted(&second) && !is_evicted(&third));
        assert!(slots.admit(peer(2)).is_some());
    }

    #[test]
    fn a_request_in_flight_is_never_evicted() {
        let slots = Slots::new(10, 2);
        let [first, second] = [(); 2].map(|()| slots.admit(peer(1)).unwrap());
        let busy = [first.busy(), second.busy()];
        assert!(slots.admit(peer(1)).is_none());
        drop(busy);
        assert!(slots.admit(peer(1)).is_some() && is_evicted(&first) && !is_evicted(&second));
    }

    #[test]
    fn when_all_slots_are_taken_the_largest_peer_makes_room() {
        let slots = Slots::new(4, 3);
        let other = slots.admit(peer(2)).unwrap();
        let many: Vec<_> = (0..3).map(|_| slots.admit(peer(1)).unwrap()).collect();
        let newcomer = slots.admit(peer(3)).unwrap();
        assert!(!is_evicted(&other) && is_evicted(&many[0]) && !is_evicted(&many[1]));
        drop((newcomer, other, many));
        let held = slots.held();
        assert!(held.connections.is_empty() && held.by_peer.is_empty(), "{held:?}");
    }
}
