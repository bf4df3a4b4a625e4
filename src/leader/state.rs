//! The one state of this replica as a writer. The election and the controller both move it on; everything else reads it.

use tokio::sync::watch;

use crate::domain::Epoch;
use crate::store::StoreError;

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
}

impl WriterState {
    /// The epoch that this replica has acquired as the leader.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Writing(epoch) | Self::Resyncing(epoch) => Some(*epoch),
            Self::RedisUnavailable { epoch, .. } => *epoch,
            Self::Follower { .. } | Self::NotPermitted(_) => None,
        }
    }
}

/// Reads and moves the writer state. Clones share it.
#[derive(Clone, Debug)]
pub struct Writer {
    state: watch::Sender<WriterState>,
    /// The highest epoch that was lost. A report that comes late, for an epoch that was replaced meanwhile, must not cost
    /// the present one too: its writes would be rejected, and so on for ever.
    lost: watch::Sender<Epoch>,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(WriterState::Follower { redis: None }),
            lost: watch::Sender::new(Epoch(0)),
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
            (WriterState::NotPermitted(_), _) | (_, None) => None,
            (leading, Some(error)) => Some(WriterState::RedisUnavailable { epoch: leading.epoch(), error }),
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
