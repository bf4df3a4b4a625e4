//! Merge patches of statuses.

use serde_json::{Map, Value};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::api::RuntimeTenantStatus;
use crate::domain::status::PUBLISHED;

/// The merge patch that makes a status exactly `next`: members that it no longer has are set to null.
#[must_use]
pub fn merge_patch(previous: Option<&RuntimeTenantStatus>, next: &RuntimeTenantStatus) -> Value {
    let members = |status: &RuntimeTenantStatus| match serde_json::to_value(status) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut patch = members(next);
    for name in previous.map(members).unwrap_or_default().into_iter().map(|(name, _)| name) {
        patch.entry(name).or_insert(Value::Null);
    }
    Value::Object(patch)
}

/// The status `next` with all that says what Redis holds as it is in `previous`: the members about the last publish, and a
/// condition `Published` that would become False.
#[must_use]
pub fn without_published(
    previous: Option<&RuntimeTenantStatus>,
    next: &RuntimeTenantStatus,
) -> RuntimeTenantStatus {
    let before = previous.cloned().unwrap_or_default();
    let mut conditions = next.conditions.clone();
    let denies = |condition: &Condition| condition.type_ == PUBLISHED && condition.status == "False";
    if conditions.iter().any(denies) {
        conditions.retain(|condition| condition.type_ != PUBLISHED);
        conditions.extend(before.conditions.iter().find(|condition| condition.type_ == PUBLISHED).cloned());
    }
    RuntimeTenantStatus {
        conditions,
        published_dids: before.published_dids,
        published_did_count: before.published_did_count,
        published_hash: before.published_hash,
        last_published_time: before.last_published_time,
        held_elsewhere: before.held_elsewhere,
        ..next.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_without_an_epoch_says_nothing_new_of_what_is_published() {
        let condition = |status: &str| {
            json!({ "type": "Published", "status": status, "reason": "r", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z" })
        };
        let status = |value| serde_json::from_value::<RuntimeTenantStatus>(value).unwrap();
        let previous = status(json!({
            "publishedDids": ["+1555"], "publishedDidCount": 1, "publishedHash": "a", "conditions": [condition("True")],
        }));
        let next = status(json!({ "observedGeneration": 2, "conditions": [condition("False")] }));
        let kept = without_published(Some(&previous), &next);
        assert_eq!(kept, RuntimeTenantStatus { observed_generation: Some(2), ..previous });
        assert!(without_published(None, &next).conditions.is_empty());
    }

    #[test]
    fn members_that_are_gone_are_set_to_null() {
        let status = |value| serde_json::from_value::<RuntimeTenantStatus>(value).unwrap();
        let previous = status(json!({ "observedGeneration": 1, "publishedHash": "a", "conditions": [] }));
        let next = status(json!({ "observedGeneration": 2, "conditions": [] }));
        let patch = merge_patch(Some(&previous), &next);
        assert_eq!((&patch["observedGeneration"], &patch["publishedHash"]), (&json!(2), &Value::Null));
        assert!(patch.as_object().unwrap().contains_key("publishedHash"));
    }
}
