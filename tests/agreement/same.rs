//! The config that a resource must become.

use runtime_operator::contract::Did;
use serde_json::{Map, Value, json};

/// Returns the document as it is published: without `null`, with normalised numbers, and with an `audio`. The members of the
/// secret are left out.
pub fn published(document: &Value) -> Value {
    let mut document = document.clone();
    for name in ["webhookSecret", "webhookSecretRef"] {
        document.as_object_mut().unwrap().shift_remove(name);
    }
    without_null(&mut document);
    for number in document["dids"].as_array_mut().into_iter().flatten() {
        if let Some(did) = number.as_str().and_then(|text| Did::parse(text).ok()) {
            *number = json!(did.as_str());
        }
    }
    let members: &mut Map<String, Value> = document.as_object_mut().unwrap();
    members.entry("audio").or_insert_with(|| json!({}));
    document
}

/// Removes members that are null, but for those of members that no field is for.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members
                .iter_mut()
                .filter(|(name, _)| !name.starts_with("newer"))
                .for_each(|(_, member)| without_null(member));
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// Returns true if two values are the same to JavaScript, whatever the order of members.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}
