//! Documents to check, and functions that change them at any place.

use runtime_operator::contract::{
    InvalidConfig, ParseConfigError, RuntimeTenantConfig, Violation, config_schema,
};
use serde_json::{Map, Value, json};

pub const KOKORO: &str = include_str!("../fixtures/tenant-kokoro.json");
pub const CHATTERBOX: &str = include_str!("../fixtures/tenant-chatterbox.json");

/// A document with every member of the contract, and this `tts`.
pub fn full(tts: &Value) -> Value {
    let mut document = sample(&config_schema());
    document["tts"] = tts.clone();
    document
}

/// A `tts` of each mode with all of its members, in the contract's order of modes.
pub fn every_tts() -> Vec<Value> {
    config_schema()["properties"]["tts"]["oneOf"].as_array().unwrap().iter().map(sample).collect()
}

/// The least value that the schema accepts, with every member.
fn sample(schema: &Value) -> Value {
    if let Some(choices) = ["examples", "enum"].iter().find_map(|list| schema[list].as_array()) {
        return choices[0].clone();
    }
    if let Some(kinds) = ["anyOf", "oneOf"].iter().find_map(|list| schema[list].as_array())
        && schema["properties"].is_null()
    {
        return sample(&kinds[0]);
    }
    match schema["type"].as_str().unwrap() {
        "string" => json!("x".repeat(schema["minLength"].as_u64().unwrap_or(0).try_into().unwrap())),
        "boolean" => json!(true),
        "integer" => schema["minimum"].clone(),
        "number" => match schema["exclusiveMinimum"].as_f64() {
            Some(limit) => json!(limit + 0.1),
            None => schema.get("maximum").cloned().unwrap_or(json!(-1.5)),
        },
        "array" => json!([sample(&schema["items"])]),
        _ => match schema["properties"].as_object() {
            Some(members) => members
                .iter()
                .map(|(name, schema)| (name.clone(), sample(schema)))
                .collect::<Map<_, _>>()
                .into(),
            None => json!({ "hours": sample(&schema["additionalProperties"]) }),
        },
    }
}

pub fn check(document: &Value) -> Result<RuntimeTenantConfig, InvalidConfig> {
    match RuntimeTenantConfig::parse(document.to_string()) {
        Ok(config) => Ok(config),
        Err(ParseConfigError::Invalid(invalid)) => Err(invalid),
        Err(ParseConfigError::NotJson(error)) => panic!("{error}"),
    }
}

pub fn violations(document: &Value) -> Vec<Violation> {
    check(document).map_or_else(|invalid| invalid.violations, |_| Vec::new())
}

pub fn paths(document: &Value) -> Vec<String> {
    violations(document).iter().map(|violation| violation.path.to_string()).collect()
}

/// Collects the JSON pointers of all members and items inside `value`.
pub fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (segment, value) in inner {
        let at = format!("{at}/{segment}");
        pointers(value, &at, found);
        found.push(at);
    }
}

/// Writes the pointer `/dids/1` as a violation does: `dids[1]`.
pub fn path(pointer: &str) -> String {
    let segments = pointer.split('/').skip(1).map(|segment| match segment.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{segment}"),
    });
    segments.collect::<String>().trim_start_matches('.').to_owned()
}

pub fn every_place() -> Vec<(Value, String)> {
    let of = |document: Value| {
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        found.into_iter().map(move |pointer| (document.clone(), pointer))
    };
    every_tts().into_iter().flat_map(|tts| of(full(&tts))).collect()
}

pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, segment) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[segment.parse::<usize>().unwrap()] = value,
        parent => parent[segment] = value,
    }
}
