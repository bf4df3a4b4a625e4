//! What a status says: made of a verdict alone, and of the status before it where a time must not move.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::reason::Reason;
use super::verdict::{Blocker, Verdict};
use crate::api::RuntimeTenantStatus;

/// The type of the condition that sums all others up.
pub const READY: &str = "Ready";
/// Whether the webhook secret could be read.
pub const SECRET_RESOLVED: &str = "SecretResolved";
/// Whether every number of the spec is held.
pub const DIDS_CLAIMED: &str = "DidsClaimed";
/// Whether Redis holds what the spec says.
pub const PUBLISHED: &str = "Published";
/// Only while True: it may become Ready without a person's help (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Only while True: it waits for a person (kstatus).
pub const STALLED: &str = "Stalled";

/// The status that `verdict` calls for. `wrote` says that Redis was written to for it just now.
///
/// A condition's transition time moves only when its status does.
#[must_use]
pub fn next(
    previous: Option<&RuntimeTenantStatus>,
    verdict: &Verdict,
    wrote: bool,
    now: Timestamp,
) -> RuntimeTenantStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let conditions = conditions(verdict)
        .into_iter()
        .map(|(type_, status, reason, message)| {
            let since = before.iter().find(|old| old.type_ == type_ && old.status == status);
            Condition {
                last_transition_time: since.map_or(Time(now), |old| old.last_transition_time.clone()),
                message: bounded(message, 32_768),
                observed_generation: Some(verdict.generation),
                reason: reason.as_str().to_owned(),
                status: status.to_owned(),
                type_: type_.to_owned(),
            }
        })
        .collect();
    let live = verdict.live.as_ref();
    let last = previous.and_then(|status| status.last_published_time.clone());
    RuntimeTenantStatus {
        observed_generation: Some(verdict.generation),
        conditions,
        published_dids: live
            .map(|live| live.dids.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        published_did_count: Some(live.map_or(0, |live| u32::try_from(live.dids.len()).unwrap_or(u32::MAX))),
        published_hash: live.map(|live| live.hash.clone()),
        last_published_time: if wrote && live.is_some() { Some(Time(now)) } else { last },
    }
}

/// The status of a resource that was seen for the first time and can't be dealt with yet.
#[must_use]
pub fn first_sight(generation: i64, why: &str, now: Timestamp) -> RuntimeTenantStatus {
    let blocker = Some(Blocker::Redis(why.to_owned()));
    let verdict = Verdict { generation, blocker, live: None, current: false, lacking: Vec::new() };
    next(None, &verdict, false, now)
}

type Row = (&'static str, &'static str, Reason, String);

fn conditions(verdict: &Verdict) -> Vec<Row> {
    let reason = verdict.reason();
    let message = verdict.message();
    let mut rows = vec![(READY, ready(verdict), reason, message.clone())];
    rows.push(secret_resolved(verdict));
    rows.push(dids_claimed(verdict));
    rows.push(published(verdict));
    if reason == Reason::Published || reason == Reason::Suspended {
        return rows;
    }
    let kind = if reason.may_pass() { RECONCILING } else { STALLED };
    rows.push((kind, "True", reason, message));
    rows
}

fn ready(verdict: &Verdict) -> &'static str {
    match (&verdict.blocker, verdict.lacking.is_empty()) {
        (Some(Blocker::Suspended | Blocker::Redis(_)), _) => "Unknown",
        (None, true) => "True",
        _ => "False",
    }
}

fn secret_resolved(verdict: &Verdict) -> Row {
    match &verdict.blocker {
        None => (SECRET_RESOLVED, "True", Reason::Resolved, "the webhook secret was read".to_owned()),
        Some(Blocker::Secret(_)) => (SECRET_RESOLVED, "False", verdict.reason(), verdict.message()),
        Some(_) => {
            (SECRET_RESOLVED, "Unknown", verdict.reason(), "the webhook secret was not looked at".to_owned())
        }
    }
}

fn dids_claimed(verdict: &Verdict) -> Row {
    let message = verdict.claims_message();
    match &verdict.blocker {
        Some(Blocker::Tenant(_) | Blocker::NoNumbers | Blocker::WouldUnmap(_)) => {
            (DIDS_CLAIMED, "False", verdict.reason(), message)
        }
        Some(Blocker::Invalid(_) | Blocker::Unreadable(_) | Blocker::Redis(_)) => {
            (DIDS_CLAIMED, "Unknown", verdict.reason(), "the numbers were not looked at".to_owned())
        }
        _ => match verdict.lacking_reason() {
            Some(reason) => (DIDS_CLAIMED, "False", reason, message),
            None => (DIDS_CLAIMED, "True", Reason::Claimed, message),
        },
    }
}

fn published(verdict: &Verdict) -> Row {
    let live = verdict.live.is_some();
    match &verdict.blocker {
        None => (PUBLISHED, "True", Reason::Published, "Redis holds what the spec says".to_owned()),
        Some(_) if verdict.current && live => {
            (PUBLISHED, "True", Reason::Published, "Redis holds what the spec says".to_owned())
        }
        Some(Blocker::Redis(_)) => (PUBLISHED, "Unknown", verdict.reason(), verdict.message()),
        Some(_) if live => {
            let message = "Redis holds what was published before".to_owned();
            (PUBLISHED, "False", verdict.reason(), message)
        }
        Some(_) => (PUBLISHED, "False", verdict.reason(), "Redis holds nothing of this resource".to_owned()),
    }
}

/// At most `most` bytes of a text, cut between characters: the API server refuses longer messages.
#[must_use]
pub fn bounded(mut text: String, most: usize) -> String {
    if text.len() > most {
        let end = (0..=most - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Did;
    use crate::domain::ResourceName;
    use crate::domain::verdict::{Holder, Lacking, Published, SecretFault, SecretFaultKind};

    fn ready(generation: i64) -> Verdict {
        let dids = vec![Did::parse("+15551234567").unwrap()];
        let live = Some(Published { dids, hash: "abc".to_owned() });
        Verdict { generation, blocker: None, live, current: true, lacking: Vec::new() }
    }

    fn without_secret(generation: i64) -> Verdict {
        let fault = SecretFault {
            secret: ResourceName::new("ns", "hook"),
            key: "webhookSecret".to_owned(),
            what: SecretFaultKind::NotFound,
        };
        Verdict { blocker: Some(Blocker::Secret(fault)), ..ready(generation) }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition<'a>(status: &'a RuntimeTenantStatus, type_: &str) -> Option<&'a Condition> {
        status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    #[test]
    fn what_is_published_is_ready_and_nothing_else() {
        let status = next(None, &ready(3), true, at(10));
        let types: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
        assert_eq!(
            types,
            [("Ready", "True"), ("SecretResolved", "True"), ("DidsClaimed", "True"), ("Published", "True")]
        );
        assert!(status.conditions.iter().all(|c| c.observed_generation == Some(3)));
        assert_eq!(status.published_did_count, Some(1));
        assert_eq!(status.last_published_time, Some(Time(at(10))));
    }

    #[test]
    fn a_look_that_changes_nothing_changes_no_status() {
        let status = next(None, &ready(3), true, at(10));
        assert_eq!(next(Some(&status), &ready(3), false, at(99)), status);
    }

    #[test]
    fn a_transition_time_moves_only_on_a_flip() {
        let first = next(None, &ready(1), true, at(10));
        let second = next(Some(&first), &without_secret(2), false, at(20));
        assert_eq!(condition(&second, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(condition(&second, DIDS_CLAIMED).unwrap().last_transition_time, Time(at(10)));
        let third = next(Some(&second), &without_secret(3), false, at(30));
        assert_eq!(condition(&third, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(third.last_published_time, Some(Time(at(10))));
    }

    #[test]
    fn what_may_pass_reconciles_and_what_waits_for_a_person_is_stalled() {
        let status = next(None, &without_secret(1), false, at(1));
        assert!(condition(&status, RECONCILING).is_some() && condition(&status, STALLED).is_none());
        let lost = Lacking {
            did: Did::parse("+15550000000").unwrap(),
            holder: Holder::Resource(ResourceName::new("other", "acme")),
        };
        let verdict = Verdict { lacking: vec![lost], ..ready(1) };
        let status = next(None, &verdict, false, at(1));
        assert!(condition(&status, RECONCILING).is_none() && condition(&status, STALLED).is_some());
        let ready = condition(&status, READY).unwrap();
        assert_eq!((ready.status.as_str(), ready.reason.as_str()), ("False", "DidConflict"));
        assert!(
            ready.message.contains("+15550000000") && ready.message.contains("other/acme"),
            "{}",
            ready.message
        );
    }

    #[test]
    fn a_suspended_resource_is_neither_ready_nor_failed() {
        let verdict = Verdict { blocker: Some(Blocker::Suspended), ..ready(1) };
        let status = next(None, &verdict, false, at(1));
        assert_eq!(condition(&status, READY).unwrap().status, "Unknown");
        assert_eq!(condition(&status, READY).unwrap().reason, "Suspended");
        assert_eq!(status.conditions.len(), 4);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(bounded("äääää".to_owned(), 8), "ää...");
    }
}
