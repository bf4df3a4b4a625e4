//! The structural part of the CRD: types, required members, bounds, and members that a spec does not know.

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{Draft, JsonType, ValidationError, Validator};
use serde_json::{Map, Value};

use super::super::manifests::Place;
use crate::api::json_schema;
use crate::contract::PathSegment;

/// The CRD's schema of `spec`, in which each object with a fixed set of members is closed.
static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| json_schema().unwrap_or_default()["properties"]["spec"].take());

// The CRD's bounds that are excluded are those of the fourth draft. A schema that could not be read would accept everything,
// which the tests would report.
static VALIDATOR: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::options().with_draft(Draft::Draft4).build(&SCHEMA).ok());

/// Returns the spec as the API server reads it: a known member that is null counts as left out, and a number without a
/// fraction is an integer.
#[must_use]
pub fn normalised(mut spec: Value) -> Value {
    normalise(&mut spec, &SCHEMA);
    spec
}

fn normalise(value: &mut Value, schema: &Value) {
    match value {
        Value::Object(members) => {
            members.retain(|name, member| !(member.is_null() && member_schema(schema, name).is_some()));
            for (name, member) in members {
                if let Some(schema) = member_schema(schema, name) {
                    normalise(member, schema);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| normalise(item, &schema["items"])),
        Value::Number(number) if schema["type"] == "integer" => {
            // Below 2^53 each double without a fraction is one integer.
            let whole = number.as_f64().filter(|double| double.fract() == 0.0 && double.abs() < 9e15);
            if let Some(whole) = whole.filter(|_| number.is_f64()) {
                #[allow(clippy::cast_possible_truncation, reason = "it has no fraction and is small")]
                let whole = whole as i64;
                *value = whole.into();
            }
        }
        _ => {}
    }
}

/// The schema of a member of an object; none for a member that the object does not know.
fn member_schema<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let values = || schema.get("additionalProperties").filter(|values| values.is_object());
    schema.get("properties").and_then(|properties| properties.get(name)).or_else(values)
}

/// Returns the faults of a normalised spec, each with its path below `spec` and a clause that says what must hold.
#[must_use]
pub fn faults(spec: &Value) -> Vec<Place> {
    let Some(validator) = VALIDATOR.as_ref() else { return Vec::new() };
    let mut seen = HashSet::new();
    let places = validator.iter_errors(spec).flat_map(|error| places(spec, &error));
    // A value that breaks two rules has one message.
    places.filter(|place| seen.insert(place.path.clone())).collect()
}

fn places(spec: &Value, error: &ValidationError<'_>) -> Vec<Place> {
    let path = path_of(spec, error.instance_path().as_str());
    let inside = |name: &str| {
        let member = PathSegment::Member(name.to_owned());
        path.iter().cloned().chain([member]).collect::<Vec<_>>()
    };
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            vec![Place::value(inside(property.as_str().unwrap_or_default()), "must be given")]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| Place::key(inside(name), unknown(&path, name))).collect()
        }
        kind => vec![Place::value(path, clause(kind, error.instance()))],
    }
}

/// Puts a value that has the right structure at a path, if the objects and lists on the way are there.
pub fn mend(spec: &mut Value, path: &[PathSegment]) {
    let Some((last, parents)) = path.split_last() else {
        *spec = stand_in(&SCHEMA);
        return;
    };
    let (mut value, mut schema) = (spec, &*SCHEMA);
    for segment in parents {
        let next = match (segment, value) {
            (PathSegment::Member(name), Value::Object(members)) => members.get_mut(name),
            (PathSegment::Item(index), Value::Array(items)) => items.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return };
        let Some(inner) = schema_inside(schema, segment) else { return };
        (value, schema) = (next, inner);
    }
    let Some(schema) = schema_inside(schema, last) else { return };
    match (last, value) {
        (PathSegment::Member(name), Value::Object(members)) => {
            members.insert(name.clone(), stand_in(schema));
        }
        (PathSegment::Item(index), Value::Array(items)) => {
            if let Some(item) = items.get_mut(*index) {
                *item = stand_in(schema);
            }
        }
        _ => {}
    }
}

fn schema_inside<'s>(schema: &'s Value, segment: &PathSegment) -> Option<&'s Value> {
    match segment {
        PathSegment::Member(name) => member_schema(schema, name),
        PathSegment::Item(_) => schema.get("items"),
    }
}

/// The least value that has the structure of a schema.
fn stand_in(schema: &Value) -> Value {
    let count =
        |name: &str| schema[name].as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
    let least = schema["minimum"].as_f64().unwrap_or_default();
    match schema["type"].as_str() {
        // The last mode of each object needs the fewest members.
        _ if schema["enum"].is_array() => {
            schema["enum"].as_array().and_then(|names| names.last()).cloned().unwrap_or_default()
        }
        Some("object") => {
            let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            needed
                .map(|name| (name.to_owned(), stand_in(&schema["properties"][name])))
                .collect::<Map<_, _>>()
                .into()
        }
        Some("array") => vec![stand_in(&schema["items"]); count("minItems")].into(),
        Some("string") => "x".repeat(count("minLength")).into(),
        #[allow(clippy::cast_possible_truncation, reason = "the CRD's bounds are those of 32 bits")]
        Some("integer") => (least as i64).into(),
        Some("number") if schema["exclusiveMinimum"] == true => (least + 1.0).into(),
        Some("number") => least.into(),
        Some("boolean") => false.into(),
        _ => Value::Null,
    }
}

/// The path of a JSON pointer into a value.
fn path_of(value: &Value, pointer: &str) -> Vec<PathSegment> {
    let mut at = Some(value);
    let tokens = pointer.split('/').skip(1).map(|token| token.replace("~1", "/").replace("~0", "~"));
    tokens
        .map(|token| {
            let segment = match (at, token.parse()) {
                (Some(Value::Array(_)), Ok(index)) => PathSegment::Item(index),
                _ => PathSegment::Member(token),
            };
            at = at.and_then(|value| match &segment {
                PathSegment::Item(index) => value.get(index),
                PathSegment::Member(name) => value.get(name),
            });
            segment
        })
        .collect()
}

/// The clause for a member that its object does not know, with the member that may be meant.
fn unknown(object: &[PathSegment], name: &str) -> String {
    let schema = object.iter().try_fold(&*SCHEMA, schema_inside);
    let known =
        schema.and_then(|schema| schema["properties"].as_object()).map(Map::keys).into_iter().flatten();
    match similar(name, known.map(String::as_str)) {
        Some(meant) => format!("unknown field (did you mean {meant}?)"),
        None => "unknown field".to_owned(),
    }
}

/// Returns the name that a misspelt one most likely means, if one is near enough.
#[must_use]
pub fn similar<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    const NEAR: f64 = 0.85;
    let lower = name.to_lowercase();
    let rated = known.map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known));
    let best = rated.filter(|(rate, _)| *rate >= NEAR).max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.map(|(_, known)| known)
}

fn clause(kind: &ValidationErrorKind, value: &Value) -> String {
    match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(expected) } => wrong_type(*expected, value),
        ValidationErrorKind::Enum { options } => {
            let options = options.as_array().into_iter().flatten().map(Value::to_string);
            format!("must be {}", options.collect::<Vec<_>>().join(" or "))
        }
        ValidationErrorKind::Minimum { limit } => format!("must be at least {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("must be at most {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        ValidationErrorKind::MinLength { limit: 1 } => "must not be empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("must have at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("must have at most {limit} characters"),
        ValidationErrorKind::MinItems { limit } => format!("must have at least {}", items(*limit)),
        ValidationErrorKind::MaxItems { limit } => format!("must have at most {}", items(*limit)),
        ValidationErrorKind::MaxProperties { limit } => format!("must have at most {limit} members"),
        ValidationErrorKind::Pattern { pattern } => format!("must match {pattern}"),
        kind => format!("must keep the rule {:?} of the CRD", kind.keyword()),
    }
}

fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn wrong_type(expected: JsonType, value: &Value) -> String {
    let (expected, hint) = match expected {
        JsonType::String if value.is_number() || value.is_boolean() => ("a text", ": put it in quotes"),
        JsonType::String => ("a text", ""),
        JsonType::Integer => ("an integer", ""),
        JsonType::Number => ("a number", ""),
        JsonType::Boolean => ("true or false", ""),
        JsonType::Array => ("a list", ""),
        JsonType::Object => ("an object", ""),
        JsonType::Null => ("null", ""),
    };
    format!("must be {expected}{hint}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_schema_is_read_and_closed() {
        assert!(VALIDATOR.is_some());
        assert_eq!(SCHEMA["additionalProperties"], false);
    }

    #[test]
    fn a_null_is_left_out_and_a_whole_number_is_an_integer() {
        let spec = json!({ "audio": null, "caps": { "maxConcurrentCallsTenant": 2.0 }, "dids": [null], "x": null,
            "extensions": { "newer": null, "half": 2.0 } });
        let read = json!({ "caps": { "maxConcurrentCallsTenant": 2 }, "dids": [null], "x": null,
            "extensions": { "newer": null, "half": 2.0 } });
        assert_eq!(normalised(spec), read);
    }

    #[test]
    fn a_misspelt_member_is_recognised() {
        let known = ["maxConcurrentCallsTenant", "maxCallsPerMinuteTenant", "maxConcurrentCallsGlobal"];
        assert_eq!(similar("maxCallsPerMinute", known.into_iter()), Some("maxCallsPerMinuteTenant"));
        assert_eq!(similar("recording", known.into_iter()), None);
    }
}
