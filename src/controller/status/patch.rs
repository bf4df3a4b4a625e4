//! Merge patches of statuses.

use serde_json::{Map, Value};

use crate::api::RuntimeTenantStatus;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
