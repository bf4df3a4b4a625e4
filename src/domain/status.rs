//! What a status says: made of a assessment alone, and of the status before it where a time must not move.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::assessment::{Assessment, NotPublished};
use super::reason::Reason;
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

/// The status that `assessment` calls for. `wrote` says that Redis was written to for it just now.
///
/// A condition's transition time moves only when its status does.
#[must_use]
pub fn next(
    previous: Option<&RuntimeTenantStatus>,
    assessment: &Assessment,
    wrote: bool,
    now: Timestamp,
) -> RuntimeTenantStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let conditions = conditions(assessment)
        .into_iter()
        .map(|(type_, status, reason, message)| {
            let since = before.iter().find(|old| old.type_ == type_ && old.status == status);
            Condition {
                last_transition_time: since.map_or(Time(now), |old| old.last_transition_time.clone()),
                message: truncate_message(message, 32_768),
                observed_generation: Some(assessment.generation),
                reason: reason.as_str().to_owned(),
                status: status.to_owned(),
                type_: type_.to_owned(),
            }
        })
        .collect();
    let published = assessment.published.as_ref();
    let last = previous.and_then(|status| status.last_published_time.clone());
    RuntimeTenantStatus {
        observed_generation: Some(assessment.generation),
        conditions,
        published_dids: published
            .map(|published| published.dids.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        published_did_count: Some(
            published.map_or(0, |published| u32::try_from(published.dids.len()).unwrap_or(u32::MAX)),
        ),
        published_hash: published.map(|published| published.hash.clone()),
        last_published_time: if wrote && published.is_some() { Some(Time(now)) } else { last },
    }
}

/// The first status of a resource whose first reconcile failed for `why`.
#[must_use]
pub fn pending_status(generation: i64, why: NotPublished, now: Timestamp) -> RuntimeTenantStatus {
    next(None, &Assessment::not_published(generation, why), false, now)
}

type Row = (&'static str, &'static str, Reason, String);

fn conditions(assessment: &Assessment) -> Vec<Row> {
    let reason = assessment.reason();
    let message = assessment.message();
    let mut rows = vec![(READY, ready(assessment), reason, message.clone())];
    rows.push(secret_resolved(assessment));
    rows.push(dids_claimed(assessment));
    rows.push(published(assessment));
    if reason == Reason::Published || reason == Reason::Suspended {
        return rows;
    }
    let kind = if reason.is_transient() { RECONCILING } else { STALLED };
    rows.push((kind, "True", reason, message));
    rows
}

fn ready(assessment: &Assessment) -> &'static str {
    match (&assessment.not_published, assessment.unavailable.is_empty()) {
        (Some(NotPublished::Suspended | NotPublished::Redis(_)), _) => "Unknown",
        (None, true) => "True",
        _ => "False",
    }
}

fn secret_resolved(assessment: &Assessment) -> Row {
    match &assessment.not_published {
        None => (SECRET_RESOLVED, "True", Reason::Resolved, "the webhook secret was read".to_owned()),
        Some(NotPublished::Secret(_)) => {
            (SECRET_RESOLVED, "False", assessment.reason(), assessment.message())
        }
        Some(_) => (
            SECRET_RESOLVED,
            "Unknown",
            assessment.reason(),
            "the webhook secret was not looked at".to_owned(),
        ),
    }
}

fn dids_claimed(assessment: &Assessment) -> Row {
    let message = assessment.claims_message();
    match &assessment.not_published {
        Some(NotPublished::Tenant(_) | NotPublished::NoDids | NotPublished::WouldUnmap(_)) => {
            (DIDS_CLAIMED, "False", assessment.reason(), message)
        }
        Some(NotPublished::Invalid(_) | NotPublished::Unreadable(_) | NotPublished::Redis(_)) => {
            (DIDS_CLAIMED, "Unknown", assessment.reason(), "the numbers were not looked at".to_owned())
        }
        _ => match assessment.unavailable_reason() {
            Some(reason) => (DIDS_CLAIMED, "False", reason, message),
            None => (DIDS_CLAIMED, "True", Reason::Claimed, message),
        },
    }
}

fn published(assessment: &Assessment) -> Row {
    let published = assessment.published.is_some();
    match &assessment.not_published {
        None => (PUBLISHED, "True", Reason::Published, "Redis holds what the spec says".to_owned()),
        Some(_) if assessment.current && published => {
            (PUBLISHED, "True", Reason::Published, "Redis holds what the spec says".to_owned())
        }
        Some(NotPublished::Redis(_)) => (PUBLISHED, "Unknown", assessment.reason(), assessment.message()),
        Some(_) if published => {
            let message = "Redis holds what was published before".to_owned();
            (PUBLISHED, "False", assessment.reason(), message)
        }
        Some(_) => {
            (PUBLISHED, "False", assessment.reason(), "Redis holds nothing of this resource".to_owned())
        }
    }
}

/// At most `most` bytes of a text, cut between characters: the API server refuses longer messages.
#[must_use]
pub fn truncate_message(mut text: String, most: usize) -> String {
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
    use crate::domain::assessment::{Holder, PublishedConfig, SecretFault, SecretFaultKind, UnavailableDid};

    fn ready(generation: i64) -> Assessment {
        let dids = vec![Did::parse("+15551234567").unwrap()];
        let published = Some(PublishedConfig { dids, hash: "abc".to_owned() });
        Assessment { generation, not_published: None, published, current: true, unavailable: Vec::new() }
    }

    fn without_secret(generation: i64) -> Assessment {
        let fault = SecretFault {
            secret: ResourceName::new("ns", "hook"),
            key: "webhookSecret".to_owned(),
            what: SecretFaultKind::NotFound,
        };
        Assessment { not_published: Some(NotPublished::Secret(fault)), ..ready(generation) }
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
        let lost = UnavailableDid {
            did: Did::parse("+15550000000").unwrap(),
            holder: Holder::Resource(ResourceName::new("other", "acme")),
        };
        let assessment = Assessment { unavailable: vec![lost], ..ready(1) };
        let status = next(None, &assessment, false, at(1));
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
        let assessment = Assessment { not_published: Some(NotPublished::Suspended), ..ready(1) };
        let status = next(None, &assessment, false, at(1));
        assert_eq!(condition(&status, READY).unwrap().status, "Unknown");
        assert_eq!(condition(&status, READY).unwrap().reason, "Suspended");
        assert_eq!(status.conditions.len(), 4);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(truncate_message("äääää".to_owned(), 8), "ää...");
    }
}
