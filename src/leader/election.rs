//! Leader election by a Lease: competes for it, and leads one term after the other.

use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::watch_object;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use super::candidate::{Bid, Candidate};
use super::clock::Moment;
use super::epochs;
use super::installs::{Install, Installs};
use super::lease::{LeaseError, LeaseView, OwnLease, RENEW_EVERY};
use super::permissions;
use super::term::{Term, TermEnd};
use super::writer_state::{LeaseNotice, Writer};
use crate::store::Store;
use crate::telemetry::with_causes;

/// The interval at which a replica that lacks a permission checks again.
const PERMISSION_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// The time without an answer or a leader after which a follower says that no replica can lead.
const LEADERLESS: Duration = Duration::from_secs(15);
/// The difference of two clocks of which is warned.
const CLOCK_DIFFERENCE: Duration = Duration::from_secs(5);

/// Leadership was lost: the process must exit and start again as a follower.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Another replica holds the Lease.
    #[error("lost the Lease {0} to another replica")]
    Lost(String),
}

/// Leads without an election, until dropped. Epochs are acquired all the same.
pub async fn without_election(install: Install, store: &Store, writer: &Writer) {
    writer.needs_no_lease();
    let installs = Installs::new(install, store, writer);
    tokio::select! {
        () = epochs::lead_without_lease(store, writer) => {}
        () = installs.watch() => {}
    }
}

/// Leads whenever this replica holds the Lease. Ends with an error when another replica took it unasked, and without one when
/// `stop` is done: then the Lease is released.
pub async fn with_lease(
    client: Client,
    install: Install,
    identity: &str,
    store: &Store,
    writer: &Writer,
    stop: impl Future<Output = ()>,
) -> Result<(), LeaderError> {
    let lease = OwnLease::new(client.clone(), &install.lease, identity, &install.namespaces);
    let installs = Installs::new(install, store, writer);
    let mut election =
        Election { client, lease: &lease, writer, candidate: Candidate::default(), clocks_differ: false };
    tokio::pin!(stop);
    loop {
        let held = tokio::select! {
            held = election.acquire() => held,
            () = &mut stop => return Ok(()),
        };
        info!(identity, mark = held.mark, "acquired lease");
        let term = Term::new(&lease, writer, held);
        let end = tokio::select! {
            end = term.renew() => end,
            end = epochs::lead(&term, store, writer) => end,
            () = installs.watch() => TermEnd::Stopped,
            () = &mut stop => TermEnd::Stopped,
        };
        match end {
            TermEnd::Superseded if term.is_marked() => {
                warn!("relieved of the lease by a replica that can work; following");
                election.candidate.stand_back(Moment::now());
                writer.follow();
            }
            TermEnd::Superseded => {
                writer.follow();
                return Err(LeaderError::Lost(lease.name.clone()));
            }
            TermEnd::Stopped => {
                writer.follow();
                installs.leave().await;
                term.release().await;
                return Ok(());
            }
            TermEnd::Expired { outage } => {
                warn!(why = outage, "lease not renewed in time; stepping down");
                match outage {
                    Some(why) => writer.cut_off(why),
                    None => writer.follow(),
                }
            }
        }
        // What was seen before the term says nothing of the Lease.
        election.candidate.forget();
    }
}

/// A replica that competes for the Lease.
struct Election<'a> {
    client: Client,
    lease: &'a OwnLease,
    writer: &'a Writer,
    candidate: Candidate,
    /// True after it was warned of clocks that differ, until they don't.
    clocks_differ: bool,
}

impl Election<'_> {
    /// Waits until this replica holds the Lease, however long that takes.
    async fn acquire(&mut self) -> LeaseView {
        self.wait_until_permitted().await;
        // The watch only saves time: what counts is what is read.
        let mut changes = watch_object(self.lease.leases.clone(), &self.lease.name).default_backoff().boxed();
        let mut ability = self.writer.abilities();
        let mut polls = interval(RENEW_EVERY);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut answered = Moment::now();
        loop {
            let due = self.candidate.due(&self.lease.identity, Moment::now());
            tokio::select! {
                _ = polls.tick() => {}
                Some(Ok(_)) = changes.next() => {}
                Ok(()) = ability.changed() => {}
                () = until(due), if due.is_some() => {}
            }
            match self.try_to_acquire().await {
                Ok(Some(held)) => return held,
                Ok(None) => answered = Moment::now(),
                Err(error) => {
                    debug!(error = with_causes(&error), "lease not read or taken");
                    if error.is_forbidden() {
                        self.wait_until_permitted().await;
                    }
                    if error.is_outage() && Moment::now().since(answered) >= LEADERLESS {
                        self.writer.no_leader(format!(
                            "the API server does not answer, so no replica can lead and nothing is repaired: {}",
                            with_causes(&error)
                        ));
                    }
                }
            }
        }
    }

    /// Reads the Lease, and takes it if it may. Returns it where this replica holds it now.
    async fn try_to_acquire(&mut self) -> Result<Option<LeaseView>, LeaseError> {
        let read = self.lease.read().await?;
        let now = Moment::now();
        let first = self.candidate.lease().is_none();
        if self.candidate.see(read, now) {
            self.compare_clocks(first);
        }
        let me = &self.lease.identity;
        let ability = self.writer.ability();
        let Bid::Take { mark } = self.candidate.bid(me, &ability, now) else {
            self.report(now, &ability);
            return Ok(None);
        };
        match self.lease.take(self.candidate.lease(), mark.as_deref()).await {
            Ok(held) => Ok(Some(held)),
            Err(LeaseError::Changed) => {
                debug!("lease is held by another replica");
                self.candidate.forget();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says whom this replica follows, or that no replica leads.
    fn report(&self, now: Moment, ability: &super::Ability) {
        let me = &self.lease.identity;
        if self.candidate.lease().and_then(|lease| lease.holder.as_ref()).is_some_and(|holder| holder != me) {
            self.writer.end_cut_off();
        }
        if self.candidate.is_led(me, now) {
            self.writer.follow();
        } else if self.candidate.unheld(me, now).is_some_and(|time| time >= LEADERLESS)
            && let Some(why) = ability.why_not()
        {
            self.writer.no_leader(format!("no replica leads, and this one can't: {why}"));
        }
        let theirs = self.candidate.lease().filter(|lease| lease.holder.is_some());
        let theirs = theirs.and_then(|lease| lease.namespaces.as_deref());
        let notice = theirs.filter(|theirs| *theirs != self.lease.namespaces).map(|theirs| {
            format!(
                "the Lease {} is held by an operator that watches other namespaces ({theirs}) than this one ({}): give \
                 each operator of a namespace its own --lease-name",
                self.lease.name, self.lease.namespaces
            )
        });
        if self.writer.notice(LeaseNotice::OtherNamespaces, notice.clone())
            && let Some(why) = notice
        {
            warn!(why, "not serving the namespaces of this replica");
        }
    }

    /// Warns once of a holder whose clock differs. It does not matter for the election; it does for people. Of a Lease that
    /// is seen for the `first` time, only a renewal in the future says something.
    fn compare_clocks(&mut self, first: bool) {
        let renewed =
            self.candidate.lease().filter(|lease| lease.holder.is_some()).and_then(|lease| lease.renewed);
        let Some(renewed) = renewed else { return };
        let difference = Timestamp::now().duration_since(renewed);
        let differ = difference.unsigned_abs() > CLOCK_DIFFERENCE && (!first || difference.is_negative());
        if differ && !self.clocks_differ {
            let seconds = difference.as_secs();
            warn!(
                seconds,
                "the clocks of this node and of the leader's differ; the election does not depend on them"
            );
        }
        self.clocks_differ = differ;
        self.writer.clock_skew(if differ { difference.as_secs() } else { 0 });
    }

    /// Waits until this replica has the permissions that an election needs, and reports those that are missing. An API
    /// server that does not answer denies nothing.
    async fn wait_until_permitted(&self) {
        loop {
            let missing = permissions::missing(&self.client, &self.lease.name);
            let Ok(Ok(Some(why))) = tokio::time::timeout(Duration::from_secs(5), missing).await else {
                break;
            };
            if self.writer.not_permitted(why.clone()) {
                warn!(why, "not taking part in leader election");
            }
            sleep(PERMISSION_CHECK_INTERVAL.mul_f64(rand::random_range(0.5..1.5))).await;
        }
        self.writer.permitted();
    }
}

/// Waits until a moment; not at all without one.
async fn until(due: Option<Moment>) {
    if let Some(due) = due {
        sleep(due.since(Moment::now())).await;
    }
}
