//! [`WriterState`], whether this replica may write and with which epoch, and [`Writer`], the shared handle on it. The election
//! and the controller both change it; everything else reads it.

use std::time::Duration;

use tokio::sync::watch;

use super::ability::Ability;
use super::clock::Moment;
use crate::domain::Epoch;
use crate::store::StoreError;

/// The time for which a leader tries to renew the Lease before it steps down. Until then no other replica takes one that is not
/// marked, and this replica may write to Kubernetes.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// The state of this replica as a writer: it writes, or the reason for which it writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// Another replica leads, or none yet.
    Follower {
        /// Why this replica can't read Redis either, if it can't.
        redis: Option<StoreError>,
    },
    /// This replica can't take part in the election: the permissions that are missing.
    NotPermitted(String),
    /// No replica leads, and this one can't: the reason.
    NoLeader(String),
    /// This replica leads, but can't use Redis.
    RedisUnavailable {
        /// Its epoch, if it has acquired one.
        epoch: Option<Epoch>,
        /// The error of Redis.
        error: StoreError,
    },
    /// This replica leads with this epoch, and is about to load what Redis holds.
    Resyncing(Epoch),
    /// This replica leads, and its writes carry this epoch.
    Writing(Epoch),
    /// The API server is away, so no replica can lead. With the epoch that this replica still has it repairs what the records
    /// prove, until Redis refuses it.
    CutOff {
        /// The epoch.
        epoch: Epoch,
        /// The error of the API server.
        why: String,
    },
    /// Another install takes the epochs of this one: which, and what to do.
    Contested(String),
}

impl WriterState {
    /// The epoch that this replica has acquired as the leader.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Writing(epoch) | Self::Resyncing(epoch) => Some(*epoch),
            Self::RedisUnavailable { epoch, .. } => *epoch,
            Self::Follower { .. }
            | Self::NotPermitted(_)
            | Self::NoLeader(_)
            | Self::CutOff { .. }
            | Self::Contested(_) => None,
        }
    }

    /// True while this replica leads, with an epoch or without.
    #[must_use]
    pub fn leads(&self) -> bool {
        matches!(self, Self::Writing(_) | Self::Resyncing(_) | Self::RedisUnavailable { .. })
    }
}

/// A fact about the Lease or its epochs that a person should know, although this replica does its work as far as it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseNotice {
    /// Another install watches some of the same namespaces.
    SecondInstall,
    /// Another install takes this one's epochs.
    Contested,
    /// The Lease is held by an operator that watches other namespaces.
    OtherNamespaces,
}

/// The notices in force: for each kind the text, if there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices {
    /// The text of [`LeaseNotice::SecondInstall`].
    pub second_install: Option<String>,
    /// The seconds by which this node's clock is ahead of the leader's; 0 where they agree.
    pub clock_skew: i64,
    /// The text of [`LeaseNotice::Contested`].
    pub contested: Option<String>,
    /// The text of [`LeaseNotice::OtherNamespaces`].
    pub other_namespaces: Option<String>,
}

impl Notices {
    /// The texts, the worst first.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [&self.contested, &self.second_install, &self.other_namespaces]
            .into_iter()
            .filter_map(Option::as_deref)
    }
}

/// The permission of this replica to write to Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteAuthority {
    /// Nothing yet.
    None,
    /// There is no election.
    NoElection,
    /// The Lease was renewed by a request that was sent at this moment.
    Renewed(Moment),
}

/// Reads and moves the writer state. Clones share it.
#[derive(Clone, Debug)]
pub struct Writer {
    state: watch::Sender<WriterState>,
    /// The highest epoch that was lost. A report that comes late, for an epoch that was replaced meanwhile, must not cost
    /// the present one too: its writes would be rejected, and so on for ever.
    lost: watch::Sender<Epoch>,
    ability: watch::Sender<Ability>,
    notices: watch::Sender<Notices>,
    authority: watch::Sender<WriteAuthority>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(WriterState::Follower { redis: None }),
            lost: watch::Sender::new(Epoch(0)),
            ability: watch::Sender::new(Ability::Unknown),
            notices: watch::Sender::default(),
            authority: watch::Sender::new(WriteAuthority::None),
        }
    }
}

impl Writer {
    /// The present state.
    #[must_use]
    pub fn state(&self) -> WriterState {
        self.state.borrow().clone()
    }

    /// Follows the state.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<WriterState> {
        self.state.subscribe()
    }

    /// The epoch that writes must carry now, or why nothing may be written.
    pub fn epoch(&self) -> Result<Epoch, WriterState> {
        match &*self.state.borrow() {
            WriterState::Writing(epoch) => Ok(*epoch),
            other => Err(other.clone()),
        }
    }

    /// True while this replica may write to Kubernetes: it leads, and renewed the Lease within the deadline. Asked right
    /// before each write, since a process may have been frozen at any point.
    #[must_use]
    pub fn may_write_kubernetes(&self) -> bool {
        let authority = *self.authority.borrow();
        let valid = match authority {
            WriteAuthority::None => false,
            WriteAuthority::NoElection => true,
            WriteAuthority::Renewed(sent) => Moment::now().since(sent) < RENEW_DEADLINE,
        };
        let state = self.state.borrow();
        valid && (state.leads() || matches!(*state, WriterState::Contested(_)))
    }

    /// Notes that there is no election.
    pub fn needs_no_lease(&self) {
        self.authority.send_replace(WriteAuthority::NoElection);
    }

    /// Notes that the Lease was renewed by a request of this moment.
    pub(super) fn renewed(&self, sent: Moment) {
        self.authority.send_replace(WriteAuthority::Renewed(sent));
    }

    /// The ability of this replica to do a leader's work.
    #[must_use]
    pub fn ability(&self) -> Ability {
        self.ability.borrow().clone()
    }

    /// Follows whether this replica can do a leader's work.
    #[must_use]
    pub fn abilities(&self) -> watch::Receiver<Ability> {
        self.ability.subscribe()
    }

    /// Notes whether this replica can do a leader's work.
    pub fn set_ability(&self, ability: Ability) {
        self.ability.send_if_modified(|known| {
            let differs = *known != ability;
            *known = ability;
            differs
        });
    }

    /// The notices in force.
    #[must_use]
    pub fn notices(&self) -> watch::Receiver<Notices> {
        self.notices.subscribe()
    }

    /// Sets the seconds by which this node's clock is ahead of the leader's.
    pub fn clock_skew(&self, seconds: i64) {
        self.notices
            .send_if_modified(|notices| std::mem::replace(&mut notices.clock_skew, seconds) != seconds);
    }

    /// Sets the text of a notice, or withdraws it. Returns true when that is news.
    #[must_use = "it is logged once"]
    pub fn notice(&self, notice: LeaseNotice, text: Option<String>) -> bool {
        self.notices.send_if_modified(|notices| {
            let known = match notice {
                LeaseNotice::SecondInstall => &mut notices.second_install,
                LeaseNotice::Contested => &mut notices.contested,
                LeaseNotice::OtherNamespaces => &mut notices.other_namespaces,
            };
            let differs = *known != text;
            *known = text;
            differs
        })
    }

    /// Notes that no replica leads, and why this one can't.
    pub fn no_leader(&self, why: String) {
        self.change(|state| match state {
            WriterState::Follower { .. } | WriterState::NoLeader(_) => Some(WriterState::NoLeader(why)),
            _ => None,
        });
    }

    /// Notes that the API server is away: a leader with an epoch only repairs from now on, any other follows.
    pub fn cut_off(&self, why: String) {
        self.change(|state| {
            let follower = || WriterState::Follower { redis: None };
            Some(state.epoch().map_or_else(follower, |epoch| WriterState::CutOff { epoch, why }))
        });
    }

    /// Notes that a replica which was cut off may not even repair any more: Redis refused its epoch, or the Lease is
    /// another's.
    pub fn end_cut_off(&self) {
        self.change(|state| {
            matches!(state, WriterState::CutOff { .. }).then_some(WriterState::Follower { redis: None })
        });
    }

    /// Notes that another install takes this one's epochs.
    pub fn contested(&self, why: String) {
        self.change(|_| Some(WriterState::Contested(why)));
    }

    /// Notes that another replica leads.
    pub fn follow(&self) {
        self.change(|state| match state {
            WriterState::Follower { .. } => None,
            _ => Some(WriterState::Follower { redis: None }),
        });
    }

    /// Notes that this replica can't take part in the election. Returns true when that is news.
    #[must_use = "it is logged once"]
    pub fn not_permitted(&self, why: String) -> bool {
        self.change(|_| Some(WriterState::NotPermitted(why)))
    }

    /// Notes that this replica may take part in the election again.
    pub fn permitted(&self) {
        self.change(|state| {
            matches!(state, WriterState::NotPermitted(_)).then_some(WriterState::Follower { redis: None })
        });
    }

    /// Notes that this replica leads, but that Redis gives it no epoch.
    pub fn no_epoch(&self, error: StoreError) {
        self.change(|_| Some(WriterState::RedisUnavailable { epoch: None, error }));
    }

    /// Notes that this replica leads with a new epoch.
    pub fn elected(&self, epoch: Epoch) {
        self.change(|_| Some(WriterState::Resyncing(epoch)));
    }

    /// Begins to write, since the index knows what Redis holds. Changes nothing when the epoch is another by now.
    pub fn resynced(&self, epoch: Epoch) {
        self.change(|state| (state.epoch() == Some(epoch)).then_some(WriterState::Writing(epoch)));
    }

    /// Notes that Redis can't be used (`error`), or can again. A leader that can use it again waits for a resync.
    pub fn redis_health(&self, error: Option<StoreError>) {
        self.change(|state| match (state, error) {
            (WriterState::Follower { .. }, redis) => Some(WriterState::Follower { redis }),
            (leading, Some(error)) if leading.leads() => {
                Some(WriterState::RedisUnavailable { epoch: leading.epoch(), error })
            }
            _ => None,
        });
    }

    fn change(&self, next: impl FnOnce(&WriterState) -> Option<WriterState>) -> bool {
        self.state.send_if_modified(|state| match next(state) {
            Some(next) if next != *state => {
                *state = next;
                true
            }
            _ => false,
        })
    }

    /// Reports that this epoch can no longer be used: Redis rejected a write with it, or such a write may come late.
    pub fn epoch_lost(&self, epoch: Epoch) {
        self.lost.send_if_modified(|lost| {
            let newer = *lost < epoch;
            *lost = epoch.max(*lost);
            newer
        });
    }

    /// Waits until this epoch is reported as lost.
    pub(super) async fn wait_until_lost(&self, epoch: Epoch) {
        // This sender is open for as long as it is borrowed.
        let _ = self.lost.subscribe().wait_for(|lost| *lost >= epoch).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_present_epoch_begins_to_write() {
        let writer = Writer::default();
        writer.elected(Epoch(2));
        writer.resynced(Epoch(1));
        assert_eq!(writer.state(), WriterState::Resyncing(Epoch(2)));
        writer.resynced(Epoch(2));
        assert_eq!(writer.epoch(), Ok(Epoch(2)));
        writer.follow();
        writer.resynced(Epoch(2));
        assert_eq!(writer.epoch(), Err(WriterState::Follower { redis: None }));
    }

    #[test]
    fn an_outage_of_redis_keeps_the_epoch_for_the_resync_after_it() {
        let writer = Writer::default();
        writer.elected(Epoch(1));
        writer.resynced(Epoch(1));
        writer.redis_health(Some(StoreError::Loading));
        assert!(writer.epoch().is_err());
        assert_eq!(writer.state().epoch(), Some(Epoch(1)));
        writer.redis_health(None);
        assert!(writer.epoch().is_err(), "what Redis holds is not known yet");
        writer.resynced(Epoch(1));
        assert_eq!(writer.epoch(), Ok(Epoch(1)));
    }

    #[test]
    fn a_follower_reports_an_outage_and_its_end() {
        let writer = Writer::default();
        writer.redis_health(Some(StoreError::Loading));
        writer.follow();
        assert_eq!(writer.state(), WriterState::Follower { redis: Some(StoreError::Loading) });
        writer.redis_health(None);
        assert_eq!(writer.state(), WriterState::Follower { redis: None });
    }
}
