//! A replica's handling of replies to scripts, and of replies that don't come.

use runtime_operator::store::StoreError;

use super::{Reads, Replica};
use crate::flight::{Flight, OpResult, Reply};
use crate::index::Event;
use crate::plans::{PendingWrite, Rejected};
use crate::reading;
use crate::role::Role;
use crate::scenario::Bug;
use crate::values::{self, Call, Resource, ResourceSet};

/// The number of attempts of a reconcile whose operations are rejected, the same as in `controller::reconcile`.
const ATTEMPTS: u8 = 5;

impl Replica {
    /// Redis replied to a script.
    pub fn receive_reply(&mut self, root: Resource, reads: Reads<'_>) {
        let mut flight = self.flights.remove(&root).unwrap();
        match flight.reply.take().unwrap() {
            Reply::Fenced { current } => {
                self.highest = self.highest.max(current.unwrap_or(0));
                self.lose_epoch(flight.script.epoch);
                self.retry(root);
            }
            Reply::Results(results) if results.contains(&OpResult::Stale) => self.back_off(root),
            Reply::Results(results) if results.iter().all(|result| *result == OpResult::Done) => {
                self.conclude(&mut flight, reads.bug);
                self.proceed(root, flight, reads);
            }
            Reply::Results(results) => {
                let writes: Vec<PendingWrite> = flight.writes().cloned().collect();
                for (write, result) in writes.iter().zip(results) {
                    let rejected = flight.rejections.entry(write.resource).or_default();
                    if !self.handle_conflict(write, &result, rejected, reads) {
                        self.back_off(root);
                        return;
                    }
                }
                flight.attempts += 1;
                if flight.attempts == ATTEMPTS {
                    self.back_off(root);
                } else {
                    self.proceed(root, flight, reads);
                }
            }
        }
    }

    /// A write failed: it is retried if the replica still writes.
    fn retry(&mut self, resource: Resource) {
        self.update(Event::Failed(resource));
        self.enqueue([resource]);
    }

    /// A script's reply does not come: it is lost, or the script is late. A late script must find another epoch.
    pub fn time_out(&mut self, root: Resource, bug: Option<Bug>) -> Flight {
        let flight = self.flights.remove(&root).unwrap();
        let invalidates_epoch = StoreError::TimedOut.invalidates_epoch() && bug != Some(Bug::EpochKept);
        if flight.reply.is_none() && invalidates_epoch {
            self.lose_epoch(flight.script.epoch);
        }
        self.retry(root);
        flight
    }

    /// An epoch was rejected, or must not be used any more.
    pub fn lose_epoch(&mut self, epoch: u64) {
        if matches!(self.role, Role::Writing(ours) | Role::Leading(ours) if ours == epoch) {
            self.role = Role::EpochLost(epoch);
            (self.queue, self.backoff) = (ResourceSet::default(), ResourceSet::default());
            self.without_secret = ResourceSet::default();
            (self.reading, self.audit) = (None, None);
        }
    }

    /// Handles a conflict that Redis reported. Returns false if the watch is behind.
    fn handle_conflict(
        &mut self,
        write: &PendingWrite,
        result: &OpResult,
        rejected: &mut Rejected,
        reads: Reads<'_>,
    ) -> bool {
        if let Call::Publish { generation, .. } = write.call
            && rejected.generation != generation
        {
            *rejected = Rejected { generation, ..Rejected::default() };
        }
        match result {
            OpResult::HeldBy(holder) => match self.index.object(*holder) {
                Some(object) if !object.deleting => {
                    let record = reading::recorded(reads.redis, values::slot(*holder))
                        .filter(|(resource, _)| resource == holder);
                    let event = Event::Corrected(*holder, record.map(|(_, record)| record));
                    self.update_one(None, event, reads.bug);
                }
                None if reads.exists(*holder) => return false,
                _ => drop(rejected.yielding_owners.insert(*holder)),
            },
            OpResult::InUse(dids) => rejected.in_use |= dids,
            OpResult::Elsewhere(dids) => rejected.elsewhere |= dids,
            OpResult::WouldUnmap(dids) => rejected.would_unmap |= dids,
            OpResult::Done | OpResult::Stale | OpResult::Aborted => {}
        }
        true
    }
}
