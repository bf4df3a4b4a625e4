//! The epochs of a leader: acquires one after the other, for as long as this replica may lead.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::clock::Moment;
use super::term::{Term, TermEnd};
use super::writer_state::{LeaseNotice, Writer};
use crate::domain::Epoch;
use crate::store::Store;

/// The pause before Redis is asked again for an epoch.
const RETRY: Duration = Duration::from_secs(1);
/// Two epochs of this scope that other processes took within this time are a second install.
const CONTEST_WINDOW: Duration = Duration::from_secs(60);
/// The shortest time that this replica waits before it takes the next epoch from a second install; it doubles each time.
const MIN_BACKOFF: Duration = Duration::from_secs(5);
/// The longest time that this replica waits before it takes the next epoch from a second install.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Leads with one epoch after the other, without a Lease.
pub(super) async fn lead_without_lease(store: &Store, writer: &Writer) {
    let mut contest = Contest::new(store, writer);
    loop {
        let epoch = acquire(store, writer, None).await;
        info!(epoch = epoch.0, "became leader (leader election disabled)");
        writer.elected(epoch);
        contest.wait_until_lost(epoch).await;
        contest.back_off_if_contested().await;
    }
}

/// Leads with one epoch after the other. Ends when another replica holds the Lease.
pub(super) async fn lead(term: &Term<'_>, store: &Store, writer: &Writer) -> TermEnd {
    let mut contest = Contest::new(store, writer);
    loop {
        let epoch = acquire(store, writer, Some(term)).await;
        // Read after the epoch: a replica that takes the Lease from now on acquires a higher one.
        if !term.holds().await {
            return TermEnd::Superseded;
        }
        term.epoch_given();
        info!(epoch = epoch.0, "became leader");
        writer.elected(epoch);
        contest.wait_until_lost(epoch).await;
        if !term.holds().await {
            return TermEnd::Superseded;
        }
        contest.back_off_if_contested().await;
    }
}

/// Acquires an epoch, however long that takes, and reports why Redis gives none.
async fn acquire(store: &Store, writer: &Writer, term: Option<&Term<'_>>) -> Epoch {
    let mut reported = None;
    loop {
        match store.acquire_epoch().await {
            Ok(epoch) => return epoch,
            Err(error) => {
                if reported.as_ref() != Some(&error) {
                    warn!(%error, "failed to acquire an epoch from Redis; not writing until it succeeds");
                    reported = Some(error.clone());
                }
                // Before anything is said of it: a Lease without an epoch is a marked one.
                if let Some(term) = term {
                    term.epoch_missing(error.to_string()).await;
                }
                writer.no_epoch(error);
                sleep(RETRY).await;
            }
        }
    }
}

/// The epochs of this scope that other processes take, although this one may lead.
struct Contest<'a> {
    store: &'a Store,
    writer: &'a Writer,
    refused: Option<Moment>,
    backoff: Option<Duration>,
}

impl<'a> Contest<'a> {
    fn new(store: &'a Store, writer: &'a Writer) -> Self {
        Self { store, writer, refused: None, backoff: None }
    }

    async fn wait_until_lost(&mut self, epoch: Epoch) {
        let quiet = CONTEST_WINDOW + MAX_BACKOFF;
        if self.backoff.is_some() && timeout(quiet, self.writer.wait_until_lost(epoch)).await.is_err() {
            self.backoff = None;
            let _ = self.writer.notice(LeaseNotice::Contested, None);
        }
        self.writer.wait_until_lost(epoch).await;
        warn!(epoch = epoch.0, "epoch no longer usable (write fenced or in doubt); acquiring a new epoch");
    }

    /// Waits before the next epoch where another process has taken this scope's epoch twice: two installs that take it from
    /// each other would write all keys in turn.
    async fn back_off_if_contested(&mut self) {
        let Ok(Some(other)) = self.store.epoch_of_another().await else { return };
        let now = Moment::now();
        let window = CONTEST_WINDOW + self.backoff.unwrap_or_default();
        if self.refused.replace(now).is_none_or(|before| now.since(before) >= window) {
            return;
        }
        let backoff = self.backoff.map_or(MIN_BACKOFF, |backoff| (backoff * 2).min(MAX_BACKOFF));
        self.backoff = Some(backoff);
        let why = format!(
            "another install ({other}) writes for the same cluster, namespace and Lease: run one of them only, or give \
             each its own --lease-name or --cluster-id"
        );
        warn!(why, seconds = backoff.as_secs(), "second install; waiting before the next epoch");
        let _ = self.writer.notice(LeaseNotice::Contested, Some(why.clone()));
        self.writer.contested(why);
        sleep(backoff.mul_f64(rand::random_range(0.8..1.2))).await;
    }
}
