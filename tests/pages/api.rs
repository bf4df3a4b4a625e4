//! `docs/api.md` is generated from the CRD.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

const HEADER: &str = "\
# API reference

<!-- Generated from crds/runtimetenants.yaml: `UPDATE=1 cargo test --test pages reference` writes it. -->

`RuntimeTenant`, `runtime.veralux.io/v1`, short name `rtenant`, category `veralux`. `kubectl explain rtenant.spec` shows the same. The
API server checks the rules of the column `must`; [conditions, reasons and events](reference.md) are in the reference.
";

/// Escapes text for a table's cell.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

fn kind(schema: &Value) -> String {
    match schema["type"].as_str().unwrap_or("any") {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!("map of {}", kind(&schema["additionalProperties"]))
        }
        kind => kind.to_owned(),
    }
}

fn number(value: &Value) -> String {
    value.as_f64().map_or_else(|| value.to_string(), |number| number.to_string())
}

/// Returns the constraints of a value's schema.
fn rules(schema: &Value) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> =
            values.iter().filter_map(Value::as_str).map(|one| format!("`{one}`")).collect();
        rules.push(values.join(", "));
    }
    for (member, words) in [
        ("minimum", if schema["exclusiveMinimum"] == true { "above" } else { "at least" }),
        ("maximum", "at most"),
    ] {
        if schema[member].is_number() && schema[member] != 2_147_483_647.0 {
            rules.push(format!("{words} {}", number(&schema[member])));
        }
    }
    for (least, most, unit) in [
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "members"),
    ] {
        match (schema[least].as_u64(), schema[most].as_u64()) {
            (Some(least), Some(most)) => rules.push(format!("{least} to {most} {unit}")),
            (None, Some(most)) => rules.push(format!("up to {most} {unit}")),
            (Some(least), None) => rules.push(format!("at least {least} {unit}")),
            (None, None) => {}
        }
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        rules.push(format!("matches `{pattern}`"));
    }
    for validation in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        rules.extend(validation["message"].as_str().map(str::to_owned));
    }
    if !schema["default"].is_null() {
        rules.push(format!("default `{}`", schema["default"].to_string().trim_matches('"')));
    }
    rules
}

/// Returns the schema of the contained object, if a value is an object or holds objects.
fn inside(schema: &Value) -> Option<(&Value, &'static str)> {
    if schema["properties"].is_object() {
        return Some((schema, ""));
    }
    [("items", "[]"), ("additionalProperties", ".*")]
        .into_iter()
        .find(|(member, _)| schema[*member]["properties"].is_object())
        .map(|(member, suffix)| (&schema[member], suffix))
}

fn section(page: &mut String, name: &str, schema: &Value) {
    write!(page, "\n## {name}\n\n").unwrap();
    if let Some(description) = schema["description"].as_str() {
        writeln!(page, "{}\n", description.trim()).unwrap();
    }
    for rule in rules(schema) {
        writeln!(page, "- {rule}").unwrap();
    }
    if !rules(schema).is_empty() {
        page.push('\n');
    }
    page.push_str("| field | type | must | what it is |\n| --- | --- | --- | --- |\n");
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = schema["properties"].as_object().unwrap();
    for (member, of) in members {
        let given = required.contains(&member.as_str()).then(|| "be given".to_owned());
        let own =
            if inside(of).is_some_and(|(_, suffix)| suffix.is_empty()) { Vec::new() } else { rules(of) };
        let must: Vec<String> = given.into_iter().chain(own).chain(rules(&of["items"])).collect();
        let description = of["description"].as_str().unwrap_or_default();
        writeln!(page, "| `{member}` | {} | {} | {} |", kind(of), cell(&must.join("; ")), cell(description))
            .unwrap();
    }
    for (member, of) in members {
        // The schema below `extensions` only forbids names.
        if let Some((of, suffix)) = inside(of).filter(|_| member != "extensions") {
            section(page, &format!("{name}.{member}{suffix}"), of);
        }
    }
}

#[test]
fn the_reference_of_the_api_is_the_generated_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let definition = fs::read_to_string(root.join("crds/runtimetenants.yaml")).unwrap();
    let definition: Value = serde_saphyr::from_str(&definition).unwrap();
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let mut page = HEADER.to_owned();
    section(&mut page, "spec", &schema["properties"]["spec"]);
    section(&mut page, "status", &schema["properties"]["status"]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root.join("docs/api.md"), &page).unwrap();
    }
    let is = fs::read_to_string(root.join("docs/api.md")).unwrap_or_default();
    assert!(is == page, "docs/api.md is stale: run `UPDATE=1 cargo test --test pages reference`");
}
