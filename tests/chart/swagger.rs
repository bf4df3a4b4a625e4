//! Makes JSON schemas for kubeconform from the published definitions of Kubernetes and of other projects.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

/// Writes a schema for each kind of a Kubernetes' `swagger.json`, as `<kind>-<group>-<version>.json`.
pub fn kubernetes(swagger: &Path, into: &Path) {
    let swagger: Value = serde_json::from_slice(&fs::read(swagger).unwrap()).unwrap();
    let definitions = swagger["definitions"].as_object().unwrap();
    for (name, definition) in definitions {
        let Some(kinds) = definition["x-kubernetes-group-version-kind"].as_array() else { continue };
        // Kinds of many groups, such as DeleteOptions, are no manifests.
        let [kind] = kinds.as_slice() else { continue };
        let mut needed = BTreeSet::new();
        collect(definitions, name, &mut needed);
        let closure: Map<_, _> =
            needed.iter().map(|name| (name.clone(), strict(&definitions[name]))).collect();
        let schema = json!({ "$ref": format!("#/definitions/{name}"), "definitions": closure });
        write(into, kind["group"].as_str().unwrap(), kind, &schema);
    }
}

/// Writes a schema for each version of a custom resource definition.
pub fn custom(definition: &Value, into: &Path) {
    let spec = &definition["spec"];
    for version in spec["versions"].as_array().unwrap() {
        let kind = json!({ "kind": spec["names"]["kind"], "version": version["name"] });
        let mut schema = strict(&version["schema"]["openAPIV3Schema"]);
        // The API server defines these.
        for (name, shape) in
            [("apiVersion", "string"), ("kind", "string"), ("metadata", "object"), ("status", "object")]
        {
            schema["properties"][name] = json!({ "type": shape });
        }
        write(into, spec["group"].as_str().unwrap(), &kind, &schema);
    }
}

fn write(into: &Path, group: &str, kind: &Value, schema: &Value) {
    // kubeconform uses the first part of the group.
    let group = group.split('.').next().unwrap();
    let group = if group.is_empty() { String::new() } else { format!("-{group}") };
    let (kind, version) = (kind["kind"].as_str().unwrap(), kind["version"].as_str().unwrap());
    let name = format!("{}{group}-{version}.json", kind.to_lowercase());
    fs::write(into.join(name), schema.to_string()).unwrap();
}

/// Returns the definitions to which a definition refers.
fn collect(definitions: &Map<String, Value>, name: &str, needed: &mut BTreeSet<String>) {
    if needed.insert(name.to_owned()) {
        references(&definitions[name], &mut |reference| collect(definitions, reference, needed));
    }
}

fn references(schema: &Value, found: &mut impl FnMut(&str)) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member.as_str().filter(|_| name == "$ref") {
                    Some(reference) => found(reference.trim_start_matches("#/definitions/")),
                    None => references(member, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Makes a schema as strict as the API server about unknown fields, and translates its extensions into JSON schema.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => {
            let int_or_string = members.get("x-kubernetes-int-or-string") == Some(&json!(true))
                || members.get("format") == Some(&json!("int-or-string"));
            if int_or_string {
                return json!({ "type": ["integer", "string"] });
            }
            let mut strict: Map<_, _> = members
                .iter()
                .filter_map(|(name, member)| Some((name.clone(), strict_member(name, member)?)))
                .collect();
            let open = members.contains_key("x-kubernetes-preserve-unknown-fields")
                || members.contains_key("additionalProperties");
            if members.get("properties").is_some_and(Value::is_object)
                && members.get("type") == Some(&json!("object"))
                && !open
            {
                strict.insert("additionalProperties".into(), json!(false));
            }
            Value::Object(strict)
        }
        other => other.clone(),
    }
}

fn strict_member(name: &str, member: &Value) -> Option<Value> {
    Some(match (name, member) {
        // Each member is a schema, whose name may be "type" or "properties".
        ("properties", Value::Object(members)) => {
            members.iter().map(|(name, member)| (name.clone(), strict(member))).collect()
        }
        ("allOf" | "anyOf" | "oneOf", Value::Array(items)) => items.iter().map(strict).collect(),
        ("items" | "additionalProperties" | "not", member) => strict(member),
        // Formats and patterns are those of Go; API servers check them at install time.
        ("format" | "pattern", _) => return None,
        (_, member) => member.clone(),
    })
}
