//! Events that follow from the change of a status.

use crate::api::RuntimeTenantStatus;
use crate::domain::assessment::Assessment;
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::reason::Reason;
use crate::domain::status::{DIDS_CLAIMED, READY};

/// The events of the change from one status to the next.
#[must_use]
pub fn transition_events(
    previous: Option<&RuntimeTenantStatus>,
    next: &RuntimeTenantStatus,
    assessment: &Assessment,
) -> Vec<EventDraft> {
    let condition = |status: Option<&RuntimeTenantStatus>, type_: &str| {
        status?.conditions.iter().find(|condition| condition.type_ == type_).cloned()
    };
    let (before, after) = (condition(previous, READY), condition(Some(next), READY));
    let mut events = Vec::new();
    let reason = assessment.reason();
    let same = before.as_ref().zip(after.as_ref()).is_some_and(|(before, after)| {
        before.reason == after.reason && (reason == Reason::Suspended || before.message == after.message)
    });
    // A failure has the event `PublishDelayed`, once, whatever its reasons.
    if reason != Reason::Published && !same && assessment.failure_reason().is_none() {
        events.push(EventDraft::new(EventReason::Condition(reason), assessment.message()));
    }
    let was_suspended = before.is_some_and(|before| before.reason == Reason::Suspended.as_str());
    if was_suspended && reason != Reason::Suspended {
        events.push(EventDraft::new(EventReason::Resumed, "spec.suspend is false: publishing resumed"));
    }
    let waited = condition(previous, DIDS_CLAIMED).is_some_and(|condition| {
        let conflicts = [Reason::DidConflict.as_str(), Reason::TenantIdConflict.as_str()];
        condition.status == "False" && conflicts.contains(&condition.reason.as_str())
    });
    let had = previous.map(|status| &status.published_dids[..]).unwrap_or_default();
    let gained: Vec<&str> =
        next.published_dids.iter().filter(|did| !had.contains(did)).map(String::as_str).collect();
    if waited && !gained.is_empty() {
        let message = format!("claimed numbers released by another tenant: {}", gained.join(", "));
        events.push(EventDraft::new(EventReason::Promoted, message));
    }
    events
}
