//! The status of a resource: it follows from the assessment, and from the status before it where a time must not change.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::assessment::{Assessment, NotPublished};
use super::reason::Reason;
use super::warnings;
use crate::api::{RuntimeTenantStatus, TakeOverStatus};

/// The condition that sums up all others.
pub const READY: &str = "Ready";
/// The condition for the webhook secret: True once it was read.
pub const SECRET_RESOLVED: &str = "SecretResolved";
/// The condition for the DIDs: True while the resource holds all DIDs of its spec.
pub const DIDS_CLAIMED: &str = "DidsClaimed";
/// The condition for Redis: True while it matches the spec.
pub const PUBLISHED: &str = "Published";
/// Present, and True, only while the operator writes nothing for the resource.
pub const SUSPENDED: &str = "Suspended";
/// Present, and True, only while there are warnings.
pub const WARNINGS: &str = "Warnings";
/// Present, and True, only while the resource may become Ready without a person's help (kstatus).
pub const RECONCILING: &str = "Reconciling";
/// Present, and True, only while the resource waits for a person (kstatus).
pub const STALLED: &str = "Stalled";

/// The longest message of a condition, in bytes: the API server rejects longer ones.
const LONGEST_MESSAGE: usize = 32_768;

/// Everything beside the assessment from which a status follows.
#[derive(Clone, Debug)]
pub struct StatusDetails {
    /// True if Redis was written to for the resource since its last status.
    pub published_now: bool,
    /// True if the writer has read what Redis holds. Otherwise the status keeps what it says of that: it decides who
    /// owns a number once Redis has lost its keys.
    pub redis_read: bool,
    /// Warnings, one line each, in the order of the spec.
    pub warnings: Vec<String>,
    /// The past effect of the annotation `take-over`.
    pub take_over: Option<TakeOverStatus>,
}

impl StatusDetails {
    /// The details of a resource without warnings, of which Redis was read.
    #[must_use]
    pub const fn read(published_now: bool) -> Self {
        Self { published_now, redis_read: true, warnings: Vec::new(), take_over: None }
    }
}

/// Returns the status that follows from an assessment.
///
/// The transition time of a condition changes only with its status.
#[must_use]
pub fn next(
    previous: Option<&RuntimeTenantStatus>,
    assessment: &Assessment,
    details: &StatusDetails,
    now: Timestamp,
) -> RuntimeTenantStatus {
    let before = previous.map_or(&[][..], |status| &status.conditions);
    let conditions = rows(assessment, details)
        .into_iter()
        .map(|row| row.condition(before, assessment.generation, now))
        .collect();
    let next = RuntimeTenantStatus {
        observed_generation: Some(assessment.generation),
        dids: Some(format!("{}/{}", assessment.live, assessment.wanted)),
        take_over: details.take_over.clone(),
        conditions,
        ..RuntimeTenantStatus::default()
    };
    let previous = previous.cloned().unwrap_or_default();
    if !details.redis_read {
        return RuntimeTenantStatus {
            published_dids: previous.published_dids,
            published_did_count: previous.published_did_count,
            published_hash: previous.published_hash,
            last_published_time: previous.last_published_time,
            held_elsewhere: previous.held_elsewhere,
            ..next
        };
    }
    let published = assessment.published.as_ref();
    let dids = published.map_or(&[][..], |published| &published.dids);
    RuntimeTenantStatus {
        published_dids: dids.iter().map(ToString::to_string).collect(),
        published_did_count: Some(u32::try_from(dids.len()).unwrap_or(u32::MAX)),
        published_hash: published.map(|published| published.hash.clone()),
        last_published_time: if details.published_now && published.is_some() {
            Some(Time(now))
        } else {
            previous.last_published_time
        },
        held_elsewhere: if assessment.names_holders() {
            assessment.held_elsewhere()
        } else {
            previous.held_elsewhere
        },
        ..next
    }
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

fn rows(assessment: &Assessment, details: &StatusDetails) -> Vec<Row> {
    let reason = assessment.reason();
    let message = assessment.message();
    let mut rows = vec![
        Row::new(READY, ready(assessment), reason, message.clone()),
        secret_resolved(assessment),
        dids_claimed(assessment, details),
        published(assessment, details),
    ];
    if reason == Reason::Suspended {
        rows.push(Row::new(SUSPENDED, ConditionStatus::True, reason, message));
    } else if reason != Reason::Published {
        let type_ = if reason.is_transient() { RECONCILING } else { STALLED };
        rows.push(Row::new(type_, ConditionStatus::True, reason, message));
    }
    if !details.warnings.is_empty() {
        let message = warnings::message(&details.warnings);
        rows.push(Row::new(WARNINGS, ConditionStatus::True, Reason::SpecWarnings, message));
    }
    rows
}

fn ready(assessment: &Assessment) -> ConditionStatus {
    match &assessment.not_published {
        Some(NotPublished::Failed { .. }) => ConditionStatus::Unknown,
        Some(NotPublished::Secret(fault)) if !fault.clears_with_secret() => ConditionStatus::Unknown,
        // It is what was asked for.
        Some(NotPublished::Suspended) => ConditionStatus::True,
        None if assessment.unavailable.is_empty() => ConditionStatus::True,
        _ => ConditionStatus::False,
    }
}

fn secret_resolved(assessment: &Assessment) -> Row {
    let (status, reason, message) = match &assessment.not_published {
        None => (ConditionStatus::True, Reason::Resolved, "the webhook secret was read".to_owned()),
        Some(NotPublished::Secret(fault)) if fault.clears_with_secret() => {
            (ConditionStatus::False, assessment.reason(), assessment.message())
        }
        Some(NotPublished::Secret(_)) => {
            (ConditionStatus::Unknown, assessment.reason(), assessment.message())
        }
        Some(_) => {
            let message = "the webhook secret was not read".to_owned();
            (ConditionStatus::Unknown, assessment.reason(), message)
        }
    };
    Row::new(SECRET_RESOLVED, status, reason, message)
}

fn dids_claimed(assessment: &Assessment, details: &StatusDetails) -> Row {
    let message = assessment.claims_message();
    let unknown = |reason| (ConditionStatus::Unknown, reason, "the numbers were not evaluated".to_owned());
    let (status, reason, message) = match &assessment.not_published {
        Some(
            NotPublished::Tenant(_)
            | NotPublished::NoDids
            | NotPublished::WouldUnmap(_)
            | NotPublished::WouldChangeSecret
            | NotPublished::TooLarge(_),
        ) => (ConditionStatus::False, assessment.reason(), message),
        Some(NotPublished::Invalid(_) | NotPublished::Unreadable(_)) => unknown(assessment.reason()),
        // Who holds a number follows from what Redis holds.
        Some(NotPublished::Failed { reason, .. }) if !details.redis_read => unknown(*reason),
        _ => match assessment.unavailable_reason() {
            Some(reason) => (ConditionStatus::False, reason, message),
            None => (ConditionStatus::True, Reason::Claimed, message),
        },
    };
    Row::new(DIDS_CLAIMED, status, reason, message)
}

fn published(assessment: &Assessment, details: &StatusDetails) -> Row {
    let holds_something = assessment.published.is_some();
    let count = assessment.live_of_wanted();
    let (status, reason, message) = match &assessment.not_published {
        Some(NotPublished::Failed { reason, .. }) => {
            (ConditionStatus::Unknown, *reason, format!("Redis may hold another version: {count}"))
        }
        Some(_) if !(assessment.current && holds_something) => {
            let message = if holds_something {
                format!("Redis holds another version: {count}")
            } else {
                "Redis holds no keys of this resource".to_owned()
            };
            let unread = !details.redis_read;
            let status = if unread { ConditionStatus::Unknown } else { ConditionStatus::False };
            (status, assessment.reason(), message)
        }
        _ if assessment.unavailable.is_empty() => {
            (ConditionStatus::True, Reason::Published, format!("Redis matches the spec: {count}"))
        }
        _ => (ConditionStatus::True, Reason::Published, format!("Redis holds {count}; others hold the rest")),
    };
    Row::new(PUBLISHED, status, reason, message)
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

    fn next_read(
        previous: Option<&RuntimeTenantStatus>,
        assessment: &Assessment,
        published_now: bool,
        now: Timestamp,
    ) -> RuntimeTenantStatus {
        next(previous, assessment, &StatusDetails::read(published_now), now)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn condition<'a>(status: &'a RuntimeTenantStatus, type_: &str) -> Option<&'a Condition> {
        status.conditions.iter().find(|condition| condition.type_ == type_)
    }

    #[test]
    fn a_published_resource_is_ready_and_neither_reconciling_nor_stalled() {
        let status = next_read(None, &ready(3), true, at(10));
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
        let status = next_read(None, &ready(3), true, at(10));
        assert_eq!(next_read(Some(&status), &ready(3), false, at(99)), status);
    }

    #[test]
    fn a_transition_time_changes_only_with_the_status_of_its_condition() {
        let first = next_read(None, &ready(1), true, at(10));
        let second = next_read(Some(&first), &without_secret(2), false, at(20));
        assert_eq!(condition(&second, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(condition(&second, DIDS_CLAIMED).unwrap().last_transition_time, Time(at(10)));
        let third = next_read(Some(&second), &without_secret(3), false, at(30));
        assert_eq!(condition(&third, READY).unwrap().last_transition_time, Time(at(20)));
        assert_eq!(third.last_published_time, Some(Time(at(10))));
    }

    #[test]
    fn a_transient_reason_is_reconciling_and_any_other_is_stalled() {
        let status = next_read(None, &without_secret(1), false, at(1));
        assert!(condition(&status, RECONCILING).is_some() && condition(&status, STALLED).is_none());
        let contested = UnavailableDid {
            did: Did::parse("+15550000000").unwrap(),
            holder: Holder::Resource(ResourceName::new("other", "acme")),
        };
        let assessment = Assessment { unavailable: vec![contested], ..ready(1) };
        let status = next_read(None, &assessment, false, at(1));
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
    fn a_suspended_resource_is_ready_and_says_what_is_live() {
        let assessment = Assessment { not_published: Some(NotPublished::Suspended), ..ready(1) };
        let status = next_read(None, &assessment, false, at(1));
        let types: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
        assert_eq!(types[0], (READY, "True"));
        assert_eq!(types[3..], [(PUBLISHED, "True"), (SUSPENDED, "True")]);
        let suspended = condition(&status, READY).unwrap();
        assert_eq!(suspended.reason, "Suspended");
        assert_eq!(suspended.message, "suspended (spec.suspend); 1 number stays live");
        let nothing = Assessment::not_published(1, NotPublished::Suspended);
        let status = next_read(None, &nothing, false, at(1));
        let message = &condition(&status, READY).unwrap().message;
        assert_eq!(message, "suspended (spec.suspend); nothing is live");
    }

    #[test]
    fn a_failure_is_unknown_and_names_its_cause_and_what_is_live() {
        let message = "Redis is out of memory: raise maxmemory or remove keys".to_owned();
        let why = NotPublished::Failed { reason: Reason::RedisOutOfMemory, message };
        let assessment =
            Assessment { not_published: Some(why), current: false, wanted: 2, live: 1, ..ready(2) };
        let before = next_read(None, &ready(1), true, at(1));
        let status = next_read(Some(&before), &assessment, false, at(2));
        let rows: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.status.as_str())).collect();
        assert_eq!(rows[..2], [(READY, "Unknown"), (SECRET_RESOLVED, "Unknown")]);
        assert_eq!(rows[2..], [(DIDS_CLAIMED, "True"), (PUBLISHED, "Unknown"), (RECONCILING, "True")]);
        let ready = condition(&status, READY).unwrap();
        assert_eq!(ready.reason, "RedisOutOfMemory");
        assert_eq!(
            ready.message,
            "Redis is out of memory: raise maxmemory or remove keys; 1 number stays live"
        );
        assert_eq!(status.dids.as_deref(), Some("1/2"));
    }

    #[test]
    fn a_writer_that_has_not_read_redis_leaves_what_the_status_says_of_it() {
        let before = next_read(None, &ready(1), true, at(1));
        let why = NotPublished::Invalid(vec!["spec.dids must list at least one number".to_owned()]);
        let assessment = Assessment::not_published(2, why);
        let details = StatusDetails { redis_read: false, ..StatusDetails::read(false) };
        let status = next(Some(&before), &assessment, &details, at(2));
        assert_eq!(condition(&status, READY).unwrap().status, "False");
        assert_eq!(condition(&status, PUBLISHED).unwrap().status, "Unknown");
        assert_eq!(status.published_dids, before.published_dids);
        assert_eq!(status.published_hash, before.published_hash);
        assert_eq!(status.last_published_time, before.last_published_time);
    }

    #[test]
    fn a_part_of_the_numbers_is_published_and_counted() {
        let contested = UnavailableDid {
            did: Did::parse("+15550000000").unwrap(),
            holder: Holder::Resource(ResourceName::new("other", "acme")),
        };
        let assessment = Assessment { unavailable: vec![contested], wanted: 2, ..ready(1) };
        let status = next_read(None, &assessment, true, at(1));
        let published = condition(&status, PUBLISHED).unwrap();
        assert_eq!(published.status, "True");
        assert!(published.message.contains("1 of 2"), "{}", published.message);
        assert_eq!(status.dids.as_deref(), Some("1/2"));
    }

    #[test]
    fn warnings_prevent_nothing() {
        let warnings = vec!["spec.tts.mode: is odd".to_owned(), "spec.stt.mode: is odd".to_owned()];
        let details = StatusDetails { warnings, ..StatusDetails::read(true) };
        let status = next(None, &ready(1), &details, at(1));
        assert_eq!(condition(&status, READY).unwrap().status, "True");
        let listed = condition(&status, WARNINGS).unwrap();
        assert_eq!((listed.status.as_str(), listed.reason.as_str()), ("True", "SpecWarnings"));
        assert_eq!(listed.message.lines().count(), 2);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(truncate_message("äääää".to_owned(), 8), "ää...");
    }
}
