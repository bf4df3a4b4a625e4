//! The messages with which the API server refuses a resource.

use std::collections::BTreeMap;
use std::fmt::Write;

use runtime_operator::api;
use serde_json::Value;

/// Renders each message with the fields whose rules have it.
pub fn messages() -> String {
    let crd = serde_json::to_value(api::crd()).unwrap();
    let mut found = BTreeMap::new();
    for version in crd["spec"]["versions"].as_array().unwrap() {
        collect("", &version["schema"]["openAPIV3Schema"], &mut found);
    }
    let mut text = String::new();
    for (message, paths) in found {
        writeln!(text, "{message}\n    {}", paths.join(" ")).unwrap();
    }
    text
}

fn collect(path: &str, schema: &Value, found: &mut BTreeMap<String, Vec<String>>) {
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        for member in ["message", "messageExpression"] {
            if let Some(message) = rule[member].as_str() {
                found.entry(message.to_owned()).or_default().push(path.to_owned());
            }
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        collect(&path, property, found);
    }
    for (member, suffix) in [("items", "[]"), ("additionalProperties", "[*]")] {
        if schema[member].is_object() {
            collect(&format!("{path}{suffix}"), &schema[member], found);
        }
    }
}
