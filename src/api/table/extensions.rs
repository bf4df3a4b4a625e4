//! The schema of `spec.extensions`: a free object, and free objects below the fields of the spec that are objects, without
//! the members that the spec has fields for.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::super::rules;
use super::shape::{is_limited, json_type};
use crate::contract::{CONFIG, LAST_PUBLISHED_AT, Member, Rule, WEBHOOK_SECRET, mode_names};

/// Returns the schema of `spec.extensions`.
pub fn extensions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": known("", CONFIG),
        "maxProperties": 64,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// Returns the schemas of the members that an object of the spec knows in every mode. The controller refuses the others in
/// the modes that know them.
fn known(path: &str, members: &[Member]) -> Map<String, Value> {
    let modes = mode_names(members);
    let members = members.iter().filter(|member| !is_limited(member.modes, modes));
    members
        .map(|member| (member.name.to_owned(), known_member(&format!("{path}{}", member.name), member)))
        .collect()
}

/// Declares the member with its type, since CEL can refuse, with a message, only a field of a declared type.
fn known_member(path: &str, member: &Member) -> Value {
    match (path, &member.rule) {
        (LAST_PUBLISHED_AT, _) => last_published_at(),
        (_, Rule::Object(members) | Rule::ByMode(members)) => json!({
            "type": "object",
            "description": format!("Members of {path} that are not fields of the spec."),
            "properties": known(&format!("{path}."), members),
            "x-kubernetes-preserve-unknown-fields": true,
        }),
        // The controller looks into the days.
        (_, Rule::Day(_)) => json!({
            "type": "object",
            "description": format!("Members of {path} that are not fields of the spec."),
            "x-kubernetes-preserve-unknown-fields": true,
        }),
        _ => forbidden(path, member),
    }
}

/// The one member of the contract that is no field: a control plane sets it with every publish.
fn last_published_at() -> Value {
    let (rule, message) = rules::DATE_TIME;
    json!({
        "type": "string",
        "maxLength": 64,
        "description": "The time at which a control plane last published the config, which no call reads. It is published as given, and never compared.",
        "x-kubernetes-validations": [{ "rule": rule, "message": message }],
    })
}

fn forbidden(path: &str, member: &Member) -> Value {
    let instead = match path {
        "contractVersion" => "the operator sets it".to_owned(),
        WEBHOOK_SECRET => "put the value into a Secret, and refer to it in spec.webhookSecretRef".to_owned(),
        _ => format!("{path} is a field of spec: move it there"),
    };
    let kind = json_type(&member.rule);
    let mut schema = json!({
        "type": kind,
        "description": format!("Must be left out: {instead}."),
        "x-kubernetes-validations": [{
            "rule": "false",
            "message": format!("must be left out: {instead}"),
            "reason": "FieldValueForbidden",
        }],
    });
    let rest = match &member.rule {
        Rule::List { item, .. } => json!({
            "items": if json_type(item) == "string" {
                json!({ "type": "string", "maxLength": 65536 })
            } else {
                json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
            },
            "maxItems": 500,
            "x-kubernetes-list-type": "atomic",
        }),
        _ if kind == "string" => json!({ "maxLength": 65536 }),
        _ if kind == "object" => json!({ "x-kubernetes-preserve-unknown-fields": true }),
        _ => json!({}),
    };
    if let (Some(schema), Value::Object(rest)) = (schema.as_object_mut(), rest) {
        schema.extend(rest);
    }
    schema
}

/// Returns the rule that each object among the extensions is one that the spec has.
pub fn objects_rule() -> ValidationRule {
    let mut paths = Vec::new();
    objects("", CONFIG, &mut paths);
    let there = |root: &str, path: &str| {
        let names: Vec<_> = path.split('.').collect();
        let steps = (1..=names.len()).map(|end| format!("has({root}.{})", names[..end].join(".")));
        steps.collect::<Vec<_>>().join(" && ")
    };
    // Each access to a member costs, and hardly any spec extends an object.
    let names: BTreeSet<_> = paths.iter().filter_map(|path| path.split('.').next()).collect();
    let names = names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    let is_missing =
        |path: &String| format!("({} && !({}))", there("self.extensions", path), there("self", path));
    let any = paths.iter().map(is_missing).collect::<Vec<_>>().join(" || ");
    let cases: Vec<_> = paths.iter().map(|path| format!("{} ? '{path}' : ", is_missing(path))).collect();
    let first = cases.concat();
    ValidationRule {
        rule: format!(
            "!has(self.extensions) || dyn(self.extensions).all(name, !(name in [{names}])) || !({any})"
        ),
        message_expression: Some(format!("({first}'it') + ' is a field of spec: move it there'")),
        message: Some("each object in extensions must be one that the spec has: move it there".to_owned()),
        field_path: Some(".extensions".to_owned()),
        reason: Some("FieldValueForbidden".to_owned()),
        ..ValidationRule::default()
    }
}

/// Collects the paths of the objects that the spec may have or not.
fn objects(path: &str, members: &[Member], paths: &mut Vec<String>) {
    let modes = mode_names(members);
    for member in members.iter().filter(|member| !is_limited(member.modes, modes)) {
        let path = format!("{path}{}", member.name);
        let is_optional = member.presence != crate::contract::Presence::Required || path == "audio";
        match member.rule {
            Rule::Object(inner) | Rule::ByMode(inner) => {
                paths.extend(is_optional.then(|| path.clone()));
                objects(&format!("{path}."), inner, paths);
            }
            Rule::Day(_) => paths.push(path),
            _ => {}
        }
    }
}
