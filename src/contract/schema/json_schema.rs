//! The contract's tables as JSON Schema (2020-12), for tools and readers that know no Rust.
//!
//! JSON Schema can't express three rules: lengths are counted in UTF-16 units here and in code points there, an `audioUrl`
//! must be a URL to JavaScript, and a document nests at most [`MAX_DEPTH`](crate::contract::MAX_DEPTH) levels deep.

use serde_json::{Map, Value, json};

use super::formats;
use super::rule::{MODE, Member, Presence, Rule, UNLIMITED, mode_names};
use super::tables::{CONFIG, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};

/// Returns the schema of a config that is accepted.
#[must_use]
pub fn config_schema() -> Value {
    let mut schema = config_members_schema();
    schema["anyOf"] = json!([{ "required": [WEBHOOK_SECRET_REF] }, { "required": [WEBHOOK_SECRET] }]);
    schema
}

/// Returns the schema of a config that is shown: its webhook secret may have been removed.
#[must_use]
pub fn config_members_schema() -> Value {
    object(CONFIG.iter(), None)
}

/// Returns the schema of a phone number in normalised E.164.
#[must_use]
pub fn did_schema() -> Value {
    json!({ "type": "string", "pattern": r"^\+[1-9][0-9]{1,14}$", "examples": ["+15551234567"] })
}

/// `mode`, where there is one, is the only value of the member `mode`.
fn object<'a>(members: impl Iterator<Item = &'a Member>, mode: Option<&str>) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for member in members {
        let rule = match mode {
            Some(mode) if member.name == MODE => json!({ "type": "string", "enum": [mode] }),
            _ => schema(&member.rule),
        };
        properties.insert(member.name.to_owned(), rule);
        if member.presence == Presence::Required {
            required.push(member.name);
        }
    }
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn schema(rule: &Rule) -> Value {
    match rule {
        Rule::Literal(text) => json!({ "type": "string", "enum": [text] }),
        Rule::OneOf(names) => json!({ "type": "string", "enum": names }),
        Rule::Text { min, max } => bounded("string", ["minLength", "maxLength"], *min, *max),
        Rule::HttpUrl | Rule::UrlText | Rule::Destination => {
            bounded("string", ["minLength", "maxLength"], 1, usize::MAX)
        }
        Rule::Did => did_schema(),
        Rule::AudioUrl => {
            json!({ "type": "string", "minLength": 2, "examples": ["https://example.com/hold.wav"] })
        }
        Rule::LongDid => {
            json!({ "type": "string", "pattern": formats::LONG_DID, "examples": ["+15551234567"] })
        }
        Rule::Zip => json!({ "type": "string", "pattern": formats::ZIP, "examples": ["90210"] }),
        Rule::Email => {
            json!({ "type": "string", "pattern": formats::EMAIL, "examples": ["desk@example.com"] })
        }
        Rule::DateTime => {
            json!({ "type": "string", "pattern": formats::DATE_TIME, "examples": ["2026-09-30T12:00:00Z"] })
        }
        Rule::Boolean => json!({ "type": "boolean" }),
        Rule::Integer { min, max: UNLIMITED } => json!({ "type": "integer", "minimum": min }),
        Rule::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Rule::Number => json!({ "type": "number" }),
        Rule::NumberAbove(limit) => json!({ "type": "number", "exclusiveMinimum": limit }),
        Rule::NumberIn(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Rule::NumberAboveTo(min, max) => {
            json!({ "type": "number", "exclusiveMinimum": min, "maximum": max })
        }
        Rule::Nullable(rule) => json!({ "anyOf": [schema(rule), { "type": "null" }] }),
        Rule::Day(members) => {
            let closed = json!({
                "type": "object", "properties": { "closed": { "enum": [true] } }, "required": ["closed"],
            });
            let mut open = object(members.iter().filter(|member| member.name != "closed"), None);
            open["required"] = json!(["open", "close"]);
            json!({ "anyOf": [closed, open] })
        }
        Rule::List { item, min, max } => {
            let mut list = bounded("array", ["minItems", "maxItems"], *min, *max);
            list["items"] = schema(item);
            list
        }
        Rule::Map(rule) => json!({ "type": "object", "additionalProperties": schema(rule) }),
        Rule::Object(members) => object(members.iter(), None),
        Rule::ByMode(members) => {
            let of_mode = |position| members.iter().filter(move |member| member.modes.contains(position));
            let modes = mode_names(members).iter().enumerate();
            let kinds: Vec<_> = modes.map(|(position, mode)| object(of_mode(position), Some(mode))).collect();
            json!({ "oneOf": kinds })
        }
    }
}

fn bounded(kind: &str, [least, most]: [&str; 2], min: usize, max: usize) -> Value {
    let mut schema = json!({ "type": kind });
    if min > 0 {
        schema[least] = min.into();
    }
    if max != usize::MAX {
        schema[most] = max.into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_schema_lists_the_members_of_the_table() {
        let schema = config_schema();
        let properties: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(properties, CONFIG.iter().map(|member| member.name).collect::<Vec<_>>());
        assert_eq!(
            schema["required"],
            json!(["contractVersion", "tenantId", "dids", "caps", "stt", "tts", "audio"])
        );
        assert_eq!(schema["properties"]["quickReplies"]["maxItems"], 200);
        assert_eq!(schema["properties"]["tts"]["oneOf"][0]["required"], json!(["mode", "kokoroUrl"]));
    }
}
