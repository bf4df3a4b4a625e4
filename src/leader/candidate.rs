//! When a candidate may take the Lease: a pure decision from what it has seen, by its own clock alone.

use std::time::Duration;

use super::ability::Ability;
use super::clock::Moment;
use super::lease::{DURATION, LeaseView};

/// How long a Lease must be free before a replica takes it that can't use Redis, or that stands back.
const UNWANTED: Duration = Duration::from_secs(10);
/// The shortest time for which a replica stands back after it was relieved of a marked Lease; it doubles each time.
const STAND_BACK: Duration = Duration::from_secs(30);
/// The longest time for which a replica stands back.
const MAX_STAND_BACK: Duration = Duration::from_secs(600);

/// A candidate's view of the Lease, and its own state.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    seen: Option<Seen>,
    stands_back: Option<Moment>,
    last_stand_back: Option<(Moment, Duration)>,
}

/// The Lease, or that there is none, and since when it has been as it is.
#[derive(Debug)]
struct Seen {
    lease: Option<LeaseView>,
    since: Moment,
}

/// The decision of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bid {
    Wait,
    /// Takes the Lease as it was seen, marked with this reason if there is one.
    Take {
        mark: Option<String>,
    },
}

impl Candidate {
    /// Records the Lease as it was read. Returns true where it differs from what was seen before.
    pub(super) fn see(&mut self, lease: Option<LeaseView>, now: Moment) -> bool {
        let version = |lease: &LeaseView| (lease.uid.clone(), lease.version.clone());
        let same = |seen: &Seen| seen.lease.as_ref().map(version) == lease.as_ref().map(version);
        if self.seen.as_ref().is_some_and(same) {
            return false;
        }
        self.seen = Some(Seen { lease, since: now });
        true
    }

    /// Forgets the Lease, which has changed: silence counts from scratch.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// The Lease as it was seen last.
    pub(super) fn lease(&self) -> Option<&LeaseView> {
        self.seen.as_ref()?.lease.as_ref()
    }

    /// True where another replica holds the Lease and renews it.
    pub(super) fn is_led(&self, me: &str, now: Moment) -> bool {
        self.seen.is_some() && self.unheld(me, now).is_none()
    }

    /// The time for which the Lease has had no living holder; none where it has one, or was not seen yet.
    pub(super) fn unheld(&self, me: &str, now: Moment) -> Option<Duration> {
        let seen = self.seen.as_ref()?;
        let silent = now.since(seen.since);
        match seen.lease.as_ref().and_then(|lease| lease.holder.as_deref()) {
            None => Some(silent),
            // Its own Lease, which it could not renew for a while: it has no other holder.
            Some(holder) if holder == me => Some(silent.max(UNWANTED)),
            Some(_) => silent.checked_sub(DURATION),
        }
    }

    /// Decides by what was seen and by what this replica can do.
    pub(super) fn bid(&self, me: &str, ability: &Ability, now: Moment) -> Bid {
        let unheld = self.unheld(me, now);
        let unwanted = unheld.is_some_and(|time| time >= UNWANTED);
        let stands_back = self.stands_back.is_some_and(|until| now < until);
        let relieves = self.lease().is_some_and(|lease| lease.mark.is_some()) && !stands_back;
        match ability {
            Ability::Able if relieves || unwanted || (unheld.is_some() && !stands_back) => {
                Bid::Take { mark: None }
            }
            Ability::WithoutRedis(error) if unwanted => Bid::Take { mark: Some(error.to_string()) },
            _ => Bid::Wait,
        }
    }

    /// The next moment at which time alone may change the decision.
    pub(super) fn due(&self, me: &str, now: Moment) -> Option<Moment> {
        let seen = self.seen.as_ref()?;
        let held =
            self.lease().is_some_and(|lease| lease.holder.as_deref().is_some_and(|holder| holder != me));
        let free = if held { seen.since.after(DURATION) } else { seen.since };
        let moments = [Some(free), Some(free.after(UNWANTED)), self.stands_back];
        moments.into_iter().flatten().filter(|moment| *moment > now).min()
    }

    /// Notes that another replica relieved this one of a marked Lease.
    pub(super) fn stand_back(&mut self, now: Moment) {
        let again = |(when, time): (Moment, Duration)| {
            // One that has worked well since starts from scratch.
            (now.since(when) < time + MAX_STAND_BACK).then(|| (time * 2).min(MAX_STAND_BACK))
        };
        let time = self.last_stand_back.and_then(again).unwrap_or(STAND_BACK);
        self.last_stand_back = Some((now, time));
        self.stands_back = Some(now.after(time));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::StoreError;

    const ME: &str = "me";
    const SECOND: Duration = Duration::from_secs(1);

    fn lease(version: &str, holder: Option<&str>, mark: Option<&str>) -> LeaseView {
        let mut lease = LeaseView::from(k8s_openapi::api::coordination::v1::Lease::default());
        lease.version = version.to_owned();
        lease.holder = holder.map(str::to_owned);
        lease.mark = mark.map(str::to_owned);
        lease
    }

    fn take() -> Bid {
        Bid::Take { mark: None }
    }

    fn without_redis() -> Ability {
        Ability::WithoutRedis(StoreError::Loading)
    }

    /// A candidate that has seen this Lease, and the moment at which it did.
    fn seen(lease: impl Into<Option<LeaseView>>) -> (Candidate, Moment) {
        let (mut candidate, now) = (Candidate::default(), Moment::now());
        assert!(candidate.see(lease.into(), now));
        (candidate, now)
    }

    #[test]
    fn a_silent_lease_is_taken_after_its_duration_and_not_before() {
        let (candidate, now) = seen(lease("1", Some("other"), None));
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(DURATION.saturating_sub(SECOND))), Bid::Wait);
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(DURATION)), take());
        assert_eq!(candidate.due(ME, now), Some(now.after(DURATION)));
    }

    #[test]
    fn a_renewal_restarts_the_silence_whatever_time_it_names() {
        let (mut candidate, now) = seen(lease("1", Some("other"), None));
        let renewed = now.after(DURATION.saturating_sub(SECOND));
        assert!(candidate.see(Some(lease("2", Some("other"), None)), renewed));
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(DURATION)), Bid::Wait);
        assert!(!candidate.see(Some(lease("2", Some("other"), None)), renewed.after(DURATION)));
        assert_eq!(candidate.bid(ME, &Ability::Able, renewed.after(DURATION)), take());
    }

    #[test]
    fn a_lease_that_was_not_seen_or_changed_is_not_taken() {
        assert_eq!(Candidate::default().bid(ME, &Ability::Able, Moment::now()), Bid::Wait);
        let (mut candidate, now) = seen(lease("1", Some("other"), None));
        candidate.forget();
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(DURATION)), Bid::Wait);
    }

    #[test]
    fn a_free_or_missing_lease_is_taken_immediately_by_who_can_work() {
        for free in [Some(lease("1", None, None)), None] {
            let (candidate, now) = seen(free);
            assert_eq!(candidate.bid(ME, &Ability::Able, now), take());
            assert_eq!(candidate.bid(ME, &Ability::Unknown, now.after(UNWANTED)), Bid::Wait);
            let unable = Ability::Unable("no Role".to_owned());
            assert_eq!(candidate.bid(ME, &unable, now.after(UNWANTED)), Bid::Wait);
        }
    }

    #[test]
    fn without_redis_only_a_lease_that_no_replica_wanted_is_taken_and_marked() {
        let (candidate, now) = seen(lease("1", None, None));
        assert_eq!(
            candidate.bid(ME, &without_redis(), now.after(UNWANTED.saturating_sub(SECOND))),
            Bid::Wait
        );
        let bid = candidate.bid(ME, &without_redis(), now.after(UNWANTED));
        assert_eq!(bid, Bid::Take { mark: Some(StoreError::Loading.to_string()) });
        let (candidate, now) = seen(lease("1", Some("other"), Some("no Redis")));
        assert_eq!(candidate.bid(ME, &without_redis(), now.after(DURATION)), Bid::Wait, "it may be relieved");
    }

    #[test]
    fn a_marked_lease_is_taken_over_by_who_can_work() {
        let (candidate, now) = seen(lease("1", Some("other"), Some("no Redis")));
        assert_eq!(candidate.bid(ME, &Ability::Able, now), take());
        assert_eq!(candidate.bid(ME, &without_redis(), now), Bid::Wait);
    }

    #[test]
    fn who_was_relieved_stands_back_for_longer_each_time_while_another_competes() {
        let (mut candidate, now) = seen(lease("1", Some("other"), Some("no Redis")));
        candidate.stand_back(now);
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(SECOND)), Bid::Wait);
        let (mut candidate, now) = seen(lease("1", None, None));
        candidate.stand_back(now);
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(SECOND)), Bid::Wait);
        assert_eq!(candidate.bid(ME, &Ability::Able, now.after(UNWANTED)), take(), "no other competes");
        let (mut candidate, mut now) = seen(lease("1", Some("other"), Some("no Redis")));
        let times = [30, 60, 120, 240, 480, 600, 600].map(|seconds| {
            candidate.stand_back(now);
            let until = now.after(Duration::from_secs(seconds));
            assert_eq!(candidate.stands_back, Some(until));
            now = until;
            seconds
        });
        assert_eq!(times.len(), 7);
        candidate.stand_back(now.after(3 * MAX_STAND_BACK));
        assert_eq!(candidate.stands_back, Some(now.after(3 * MAX_STAND_BACK).after(STAND_BACK)));
    }
}
