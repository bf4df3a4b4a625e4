//! The contract's tables as JSON Schema (2020-12), for those who read no Rust.
//!
//! Two things it can't say: lengths are counted in UTF-16 units here and in code points there, and a document nests at
//! most [`MAX_DEPTH`](super::MAX_DEPTH) levels deep.

use serde_json::{Map, Value, json};

use super::rule::{MODE, Member, Rule, Variant};
use super::schema::{TENANT, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};

/// What a config must be to be taken.
#[must_use]
pub fn config_schema() -> Value {
    let mut schema = config_members_schema();
    schema["anyOf"] = json!([{ "required": [WEBHOOK_SECRET_REF] }, { "required": [WEBHOOK_SECRET] }]);
    schema
}

/// What a config is that is shown: its webhook secret may have been taken away.
#[must_use]
pub fn config_members_schema() -> Value {
    object(TENANT, &[])
}

/// A number in normalised E.164.
#[must_use]
pub fn did_schema() -> Value {
    json!({ "type": "string", "pattern": r"^\+[1-9][0-9]{1,14}$", "examples": ["+15551234567"] })
}

fn object(members: &[Member], more: &[(&'static str, Value)]) -> Value {
    let required = members.iter().filter(|member| member.required).map(|member| member.name);
    let required: Vec<_> = more.iter().map(|(name, _)| *name).chain(required).collect();
    let known = members.iter().map(|member| (member.name, schema(&member.rule)));
    let properties: Map<_, _> = more
        .iter()
        .map(|(name, schema)| (*name, schema.clone()))
        .chain(known)
        .map(|(name, schema)| (name.to_owned(), schema))
        .collect();
    let mut object = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        object["required"] = required.into();
    }
    object
}

fn schema(rule: &Rule) -> Value {
    match rule {
        Rule::OneOf(names) => json!({ "type": "string", "enum": names }),
        Rule::Text { min, max } => bounded("string", ["minLength", "maxLength"], *min, *max),
        Rule::Did => did_schema(),
        Rule::Destination => {
            let sip = r"^[sS][iI][pP][sS]?:[^\s\u0000-\u001f\u007f-\u009f\ufeff]+$";
            json!({ "anyOf": [did_schema(), { "type": "string", "pattern": sip }] })
        }
        Rule::Boolean => json!({ "type": "boolean" }),
        Rule::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Rule::Number => json!({ "type": "number" }),
        Rule::NumberAbove(limit) => json!({ "type": "number", "exclusiveMinimum": limit }),
        Rule::NumberIn(min, max) => json!({ "type": "number", "minimum": min, "maximum": max }),
        Rule::List { item, min, max } => {
            let mut list = bounded("array", ["minItems", "maxItems"], *min, *max);
            list["items"] = schema(item);
            list
        }
        Rule::Map(rule) => json!({ "type": "object", "additionalProperties": schema(rule) }),
        Rule::Object(members) => object(members, &[]),
        Rule::ByMode(variants) => {
            let variants = variants.iter().map(|Variant { mode, members }| {
                object(members, &[(MODE, json!({ "type": "string", "enum": [mode] }))])
            });
            json!({ "oneOf": variants.collect::<Vec<_>>() })
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
    use super::super::KNOWN_MEMBERS;
    use super::*;

    #[test]
    fn every_member_of_the_contract_is_described() {
        let schema = config_schema();
        let properties: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(properties, KNOWN_MEMBERS);
        assert_eq!(
            schema["required"],
            json!(["contractVersion", "tenantId", "dids", "caps", "stt", "tts", "audio"])
        );
        assert_eq!(schema["properties"]["quickReplies"]["maxItems"], 200);
        assert_eq!(schema["properties"]["tts"]["oneOf"][0]["required"], json!(["mode", "kokoroUrl"]));
    }
}
