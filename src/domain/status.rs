//! The status of a resource: it follows from the assessment, and from the status before it where a time must not change.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::assessment::{Assessment, NotPublished};
use super::reason::Reason;
use crate::api::RuntimeTenantStatus;

/// The condition that sums up all others.
pub const READY: &str = "Ready";
/// The condition for the webhook secret: True once it was read.
pub const SECRET_RESOLVED: &str = "SecretResolved";
/// The condition for the DIDs: True while the resource holds all DIDs of its spec.
pub const DIDS_CLAIMED: &str = "DidsClaimed";
/// The condition for Redis: True while it matches the spec.
pub const PUBLISHED: &str = "Published";
/// Present, and True, only while the resource may become Ready without a person's help (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Present, and True, only while the resource waits for a person (kstatus).
pub const STALLED: &str = "Stalled";

/// The longest message of a condition, in bytes: the API server rejects longer ones.
const LONGEST_MESSAGE: usize = 32_768;

/// Returns the status that follows from an assessment. `published_now` is true if Redis was written to for the resource
/// since its last status.
///
/// The transition time of a condition changes only with its status.
#[must_use]
pub fn next(
    previous: Option<&RuntimeTenantStatus>,
    assessment: &Assessment,
    published_now: bool,
    now: Timestamp,
) -> RuntimeTenantStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let conditions =
        rows(assessment).into_iter().map(|row| row.condition(before, assessment.generation, now)).collect();
    let published = assessment.published.as_ref();
    let dids = published.map_or(&[][..], |published| &published.dids);
    let last_published = previous.and_then(|status| status.last_published_time.clone());
    RuntimeTenantStatus {
        observed_generation: Some(assessment.generation),
        conditions,
        published_dids: dids.iter().map(ToString::to_string).collect(),
        published_did_count: Some(u32::try_from(dids.len()).unwrap_or(u32::MAX)),
        published_hash: published.map(|published| published.hash.clone()),
        last_published_time: if published_now && published.is_some() {
            Some(Time(now))
        } else {
            last_published
        },
    }
}

/// Returns the first status of a resource whose first reconcile failed for a transient reason. Without a status, the
/// resource would pass for done.
#[must_use]
pub fn pending(generation: i64, reason: Reason, message: &str, now: Timestamp) -> RuntimeTenantStatus {
    let failed = NotPublished::Failed { reason, message: message.to_owned() };
    next(None, &Assessment::not_published(generation, failed), false, now)
}

/// The status of a condition.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ConditionStatus {
    True,
    False,
    Unknown,
}

/// A condition, all but its generation and its time.
struct Row {
    type_: &'static str,
    status: ConditionStatus,
    reason: Reason,
    message: String,
}

impl ConditionStatus {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl Row {
    fn new(type_: &'static str, status: ConditionStatus, reason: Reason, message: impl Into<String>) -> Self {
        Self { type_, status, reason, message: message.into() }
    }

    fn condition(self, before: &[Condition], generation: i64, now: Timestamp) -> Condition {
        let status = self.status.as_str();
        let unchanged = before.iter().find(|old| old.type_ == self.type_ && old.status == status);
        Condition {
            last_transition_time: unchanged.map_or(Time(now), |old| old.last_transition_time.clone()),
            message: truncate_message(self.message, LONGEST_MESSAGE),
            observed_generation: Some(generation),
            reason: self.reason.as_str().to_owned(),
            status: status.to_owned(),
            type_: self.type_.to_owned(),
        }
    }
}

fn rows(assessment: &Assessment) -> Vec<Row> {
    let reason = assessment.reason();
    let message = assessment.message();
    let mut rows = vec![
        Row::new(READY, ready(assessment), reason, message.clone()),
        secret_resolved(assessment),
        dids_claimed(assessment),
        published(assessment),
    ];
    if reason != Reason::Published && reason != Reason::Suspended {
        let type_ = if reason.is_transient() { RECONCILING } else { STALLED };
        rows.push(Row::new(type_, ConditionStatus::True, reason, message));
    }
    rows
}

fn ready(assessment: &Assessment) -> ConditionStatus {
    match &assessment.not_published {
        Some(NotPublished::Suspended | NotPublished::Failed { .. }) => ConditionStatus::Unknown,
        None if assessment.unavailable.is_empty() => ConditionStatus::True,
        _ => ConditionStatus::False,
    }
}

fn secret_resolved(assessment: &Assessment) -> Row {
    let (status, reason, message) = match &assessment.not_published {
        None => (ConditionStatus::True, Reason::Resolved, "the webhook secret was read".to_owned()),
        Some(NotPublished::Secret(_)) => (ConditionStatus::False, assessment.reason(), assessment.message()),
        Some(_) => {
            let message = "the webhook secret was not read".to_owned();
            (ConditionStatus::Unknown, assessment.reason(), message)
        }
    };
    Row::new(SECRET_RESOLVED, status, reason, message)
}

fn dids_claimed(assessment: &Assessment) -> Row {
    let message = assessment.claims_message();
    let (status, reason, message) = match &assessment.not_published {
        Some(
            NotPublished::Tenant(_)
            | NotPublished::NoDids
            | NotPublished::WouldUnmap(_)
            | NotPublished::WouldChangeSecret
            | NotPublished::TooLarge(_),
        ) => (ConditionStatus::False, assessment.reason(), message),
        Some(NotPublished::Invalid(_) | NotPublished::Unreadable(_) | NotPublished::Failed { .. }) => {
            let message = "the numbers were not evaluated".to_owned();
            (ConditionStatus::Unknown, assessment.reason(), message)
        }
        _ => match assessment.unavailable_reason() {
            Some(reason) => (ConditionStatus::False, reason, message),
            None => (ConditionStatus::True, Reason::Claimed, message),
        },
    };
    Row::new(DIDS_CLAIMED, status, reason, message)
}

fn published(assessment: &Assessment) -> Row {
    let holds_something = assessment.published.is_some();
    let matches_spec = assessment.not_published.is_none() || (assessment.current && holds_something);
    if matches_spec {
        return Row::new(PUBLISHED, ConditionStatus::True, Reason::Published, "Redis matches the spec");
    }
    if let Some(NotPublished::Failed { .. }) = &assessment.not_published {
        return Row::new(PUBLISHED, ConditionStatus::Unknown, assessment.reason(), assessment.message());
    }
    let message = if holds_something {
        "Redis holds the previously published version"
    } else {
        "Redis holds no keys of this resource"
    };
    Row::new(PUBLISHED, ConditionStatus::False, assessment.reason(), message)
}

/// Cuts a message to at most `longest` bytes, between two characters.
#[must_use]
pub fn truncate_message(mut message: String, longest: usize) -> String {
    const ELLIPSIS: &str = "...";
    if message.len() > longest {
        let end = (0..=longest - ELLIPSIS.len()).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
        message.truncate(end);
        message.push_str(ELLIPSIS);
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Did;
    use crate::domain::ResourceName;
    use crate::domain::assessment::{Holder, PublishedConfig, SecretFault, SecretFaultKind, UnavailableDid};

    fn ready(generation: i64) -> Assessment {
        let dids = vec![Did::parse("+15551234567").unwrap()];
        Assessment::published(generation, PublishedConfig { dids, hash: "abc".to_owned() })
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
    fn a_published_resource_is_ready_and_neither_reconciling_nor_stalled() {
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
    fn an_equal_assessment_changes_no_status() {
        let status = next(None, &ready(3), true, at(10));
        assert_eq!(next(Some(&status), &ready(3), false, at(99)), status);
    }

    #[test]
    fn a_transition_time_changes_only_with_the_status_of_its_condition() {
        let first = next(None, &ready(1), true, at(10));
        let second = next(Some(&first), &without_secret(2), false, at(20));
        assert_eq!(condition(&second, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(condition(&second, DIDS_CLAIMED).unwrap().last_transition_time, Time(at(10)));
        let third = next(Some(&second), &without_secret(3), false, at(30));
        assert_eq!(condition(&third, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(third.last_published_time, Some(Time(at(10))));
    }

    #[test]
    fn a_transient_reason_is_reconciling_and_any_other_is_stalled() {
        let status = next(None, &without_secret(1), false, at(1));
        assert!(condition(&status, RECONCILING).is_some() && condition(&status, STALLED).is_none());
        let contested = UnavailableDid {
            did: Did::parse("+15550000000").unwrap(),
            holder: Holder::Resource(ResourceName::new("other", "acme")),
        };
        let assessment = Assessment { unavailable: vec![contested], ..ready(1) };
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
    fn a_failed_first_reconcile_reports_its_cause_and_nothing_else() {
        let status = pending(1, Reason::SecretUnreadable, "503 from the API server; retrying", at(1));
        let rows: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
        let unknown = ["Ready", "SecretResolved", "DidsClaimed", "Published"].map(|type_| (type_, "Unknown"));
        assert_eq!(rows[..4], unknown);
        assert_eq!(rows[4..], [("Reconciling", "True")]);
        let ready = condition(&status, READY).unwrap();
        assert_eq!(ready.reason, "SecretUnreadable");
        assert_eq!(ready.message, "503 from the API server; retrying");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(truncate_message("äääää".to_owned(), 8), "ää...");
    }
}
