//! Writes the contract's table into the CRD's schema: the bounds of each field, and the CEL rules that depend on a mode.
//!
//! A field declares only what the contract leaves open and Kubernetes needs bounded: the greatest length of a long text, a
//! list or a map.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use serde_json::json;

use self::modes::mode_rules;
use self::shape::{json_type, widest_range};
use super::rules::{self, RuleWithMessage};
use crate::contract::{CONFIG, Member, Rule};

mod extensions;
mod modes;
mod shape;

pub use extensions::extensions;

/// The greatest length of a text whose field declares none.
const MAX_TEXT: i64 = 253;
/// The greatest length of a URL.
const MAX_URL: i64 = 2048;

/// Writes the table's rules into the schema of the spec.
pub fn write_rules(spec: &mut JSONSchemaProps) {
    write_members(spec, CONFIG);
    spec.x_kubernetes_validations.get_or_insert_default().push(extensions::objects_rule());
}

fn write_members(schema: &mut JSONSchemaProps, members: &[Member]) {
    for member in members {
        let property = schema.properties.as_mut().and_then(|properties| properties.get_mut(member.name));
        if let Some(property) = property {
            write_rule(property, &member.rule);
            if let Some((min, max)) = widest_range(members, member.name) {
                (property.minimum, property.maximum) = (Some(min), Some(max));
            }
        }
    }
    let rules = mode_rules(members);
    if !rules.is_empty() {
        schema.x_kubernetes_validations.get_or_insert_default().extend(rules);
    }
}

fn write_rule(schema: &mut JSONSchemaProps, rule: &Rule) {
    let kind = schema.type_.as_deref().unwrap_or_default();
    match rule {
        // The resource has an object in this place, as with `webhookSecretRef`.
        _ if kind != json_type(rule) => {}
        Rule::Literal(text) => schema.enum_ = Some(vec![JSON(json!(text))]),
        Rule::OneOf(names) => {
            let names = names.iter().map(|name| JSON(json!(name)));
            schema.enum_.get_or_insert_with(|| names.collect());
        }
        Rule::Text { min, max } => {
            schema.min_length = size(*min).filter(|min| *min > 0);
            // What the contract bounds is bounded alike.
            let declared = schema.max_length.or(size(*max)).unwrap_or(MAX_TEXT);
            schema.max_length = Some(size(*max).map_or(declared, |max| max.min(declared)));
        }
        Rule::HttpUrl | Rule::AudioUrl => {
            (schema.min_length, schema.max_length) = (Some(1), Some(MAX_URL));
            add_cel(schema, rules::HTTP_URL);
        }
        Rule::UrlText => {
            schema.min_length = Some(1);
            schema.max_length.get_or_insert(MAX_URL);
            add_cel(schema, rules::NOT_REDACTED);
        }
        Rule::LongDid | Rule::Zip | Rule::Email | Rule::DateTime => {
            if let Some((max, rule)) = form(rule) {
                schema.max_length = Some(max);
                add_cel(schema, rule);
            }
        }
        Rule::Destination => {
            schema.min_length = Some(1);
            add_cel(schema, rules::DESTINATION);
        }
        Rule::Integer { min, max } => {
            #[allow(
                clippy::cast_precision_loss,
                reason = "the CRD's integers are int32, which are exact as doubles"
            )]
            let bound = |bound: i64| Some(bound.clamp(i32::MIN.into(), i32::MAX.into()) as f64);
            (schema.minimum, schema.maximum) = (bound(*min), bound(*max));
        }
        Rule::NumberAbove(limit) => {
            (schema.minimum, schema.exclusive_minimum) = (Some(*limit), Some(true));
        }
        Rule::NumberAboveTo(limit, max) => {
            (schema.minimum, schema.exclusive_minimum) = (Some(*limit), Some(true));
            schema.maximum = Some(*max);
        }
        // The API server takes null for left out.
        Rule::Nullable(rule) => write_rule(schema, rule),
        Rule::Day(members) => {
            write_members(schema, members);
            add_cel(schema, rules::DAY);
        }
        Rule::List { item, min, max } => {
            schema.min_items = size(*min).filter(|min| *min > 0);
            let bounds = schema.max_items.into_iter().chain(size(*max));
            schema.max_items = bounds.min();
            schema.x_kubernetes_list_type.get_or_insert_with(|| "atomic".to_owned());
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
                write_rule(items, item);
            }
        }
        Rule::Map(rule) => {
            if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
                write_rule(values, rule);
            }
        }
        Rule::Object(members) | Rule::ByMode(members) => write_members(schema, members),
        // The spec has a rule of its own for DIDs, which allows white space; the row of a number adds its range.
        Rule::Did | Rule::Boolean | Rule::Number | Rule::NumberIn(..) => {}
    }
}

/// Returns the greatest length of a text of this form, and the form's CEL rule.
fn form(rule: &Rule) -> Option<(i64, RuleWithMessage)> {
    match rule {
        Rule::LongDid => Some((16, rules::LONG_DID)),
        Rule::Zip => Some((5, rules::ZIP)),
        Rule::Email => Some((254, rules::EMAIL)),
        Rule::DateTime => Some((64, rules::DATE_TIME)),
        _ => None,
    }
}

fn add_cel(schema: &mut JSONSchemaProps, (rule, message): RuleWithMessage) {
    let rule = ValidationRule {
        rule: rule.to_owned(),
        message: Some(message.to_owned()),
        ..ValidationRule::default()
    };
    schema.x_kubernetes_validations.get_or_insert_default().push(rule);
}

/// Returns a length or a number of items; none where the contract sets no limit.
fn size(bound: usize) -> Option<i64> {
    i64::try_from(bound).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::shape::is_limited;
    use super::*;
    use crate::api::crd;
    use crate::contract::{LAST_PUBLISHED_AT, Presence, WEBHOOK_SECRET, mode_names};

    /// Members of the contract that the operator sets itself, or takes from the extensions.
    const NOT_IN_THE_SPEC: [&str; 3] = ["contractVersion", WEBHOOK_SECRET, LAST_PUBLISHED_AT];
    /// Fields of the spec beside the contract.
    const BESIDE_THE_CONTRACT: [&str; 3] = ["extensions", "deletionPolicy", "suspend"];
    /// Fields whose presence or type differs from the contract's: the operator publishes `{}` for an `audio` that is left
    /// out, and refers to a Secret by an object.
    const DIFFERENT: [&str; 2] = ["spec.audio", "spec.webhookSecretRef"];

    fn spec() -> JSONSchemaProps {
        let crd = crd();
        let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        schema.properties.as_ref().unwrap()["spec"].clone()
    }

    /// Collects the differences between the Rust fields, as the schema shows them, and the table.
    fn compare(path: &str, schema: &JSONSchemaProps, members: &[Member], found: &mut Vec<String>) {
        let properties = schema.properties.as_ref().unwrap();
        for name in properties.keys() {
            let has_row = members.iter().any(|member| member.name == name);
            let is_own = path == "spec" && BESIDE_THE_CONTRACT.contains(&name.as_str());
            if !has_row && !is_own {
                found.push(format!("{path}.{name} has no row in the table"));
            }
        }
        let modes = mode_names(members);
        for member in members {
            let path = format!("{path}.{}", member.name);
            let Some(property) = properties.get(member.name) else {
                if !NOT_IN_THE_SPEC.contains(&member.name) {
                    found.push(format!("{path} has no Rust field"));
                }
                continue;
            };
            let required = schema.required.iter().flatten().any(|name| name == member.name);
            let must_be = member.presence == Presence::Required && !is_limited(member.modes, modes);
            if required != must_be && !DIFFERENT.contains(&path.as_str()) {
                found.push(format!("{path}: the field is required: {required}, the row: {must_be}"));
            }
            compare_value(&path, property, &member.rule, found);
        }
    }

    fn compare_value(path: &str, schema: &JSONSchemaProps, rule: &Rule, found: &mut Vec<String>) {
        if schema.type_.as_deref() != Some(json_type(rule)) {
            if !DIFFERENT.contains(&path) {
                found.push(format!("{path}: the field is of type {:?}, the row has {rule:?}", schema.type_));
            }
            return;
        }
        match rule {
            Rule::OneOf(names) => {
                let listed = schema.enum_.iter().flatten().map(|value| value.0.as_str().unwrap_or_default());
                if !listed.eq(names.iter().copied()) {
                    found.push(format!("{path}: the field's values are not {names:?}"));
                }
            }
            Rule::List { item, .. } => {
                let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else { panic!("{path}") };
                compare_value(&format!("{path}[]"), items, item, found);
            }
            Rule::Map(rule) => {
                let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties else {
                    panic!("{path}")
                };
                compare_value(&format!("{path}[]"), values, rule, found);
            }
            Rule::Object(members) | Rule::ByMode(members) | Rule::Day(members) => {
                compare(path, schema, members, found);
            }
            Rule::Nullable(rule) => return compare_value(path, schema, rule, found),
            _ => {}
        }
        if !is_within(schema, rule) {
            found.push(format!("{path}: the field's bounds are wider than {rule:?}"));
        }
    }

    /// Returns true if the bounds of the schema are those of the rule, or narrower.
    fn is_within(schema: &JSONSchemaProps, rule: &Rule) -> bool {
        let sizes = |least: Option<i64>, most: Option<i64>, min: usize, max: usize| {
            least.unwrap_or(0) >= i64::try_from(min).unwrap()
                && most.is_some_and(|most| usize::try_from(most).unwrap() <= max)
        };
        let has_rule = |(rule, _): RuleWithMessage| {
            schema.x_kubernetes_validations.iter().flatten().any(|there| there.rule == rule)
        };
        match rule {
            Rule::Text { min, max } => sizes(schema.min_length, schema.max_length, *min, *max),
            Rule::HttpUrl | Rule::AudioUrl => {
                sizes(schema.min_length, schema.max_length, 1, usize::MAX) && has_rule(rules::HTTP_URL)
            }
            Rule::UrlText => {
                sizes(schema.min_length, schema.max_length, 1, usize::MAX) && has_rule(rules::NOT_REDACTED)
            }
            Rule::LongDid | Rule::Zip | Rule::Email | Rule::DateTime => {
                let (max, rule) = form(rule).unwrap();
                schema.max_length == Some(max) && has_rule(rule)
            }
            Rule::Day(_) => has_rule(rules::DAY),
            Rule::NumberAboveTo(limit, max) => {
                (schema.minimum, schema.exclusive_minimum, schema.maximum)
                    == (Some(*limit), Some(true), Some(*max))
            }
            Rule::Destination => {
                sizes(schema.min_length, schema.max_length, 1, usize::MAX) && has_rule(rules::DESTINATION)
            }
            Rule::Did => has_rule(rules::DID),
            Rule::List { min, max, .. } => sizes(schema.min_items, schema.max_items, *min, *max),
            #[allow(
                clippy::cast_precision_loss,
                reason = "the table's bounds are below 2^53, which are exact as doubles"
            )]
            Rule::Integer { min, max } => {
                schema.minimum.is_some_and(|minimum| minimum >= *min as f64)
                    && schema.maximum.is_some_and(|maximum| maximum <= *max as f64)
            }
            Rule::NumberAbove(limit) => {
                schema.minimum == Some(*limit) && schema.exclusive_minimum == Some(true)
            }
            Rule::NumberIn(min, max) => {
                // A rule of the mode narrows the range further.
                schema.minimum.is_some_and(|minimum| minimum <= *min)
                    && schema.maximum.is_some_and(|maximum| maximum >= *max)
            }
            _ => true,
        }
    }

    #[test]
    fn the_table_and_the_rust_fields_agree() {
        let mut found = Vec::new();
        compare("spec", &spec(), CONFIG, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn the_committed_crd_has_the_cel_rules_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");
        let committed: Value = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let spec = &committed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        for (section, number) in [("stt", 2), ("tts", 3)] {
            let (Rule::Object(members) | Rule::ByMode(members)) =
                crate::contract::config_member(section).unwrap().rule
            else {
                panic!("{section} has no members")
            };
            let generated = serde_json::to_value(mode_rules(members)).unwrap();
            assert!(generated.as_array().unwrap().len() == number, "{section}: {generated}");
            assert_eq!(spec["properties"][section]["x-kubernetes-validations"], generated, "{section}");
        }
    }
}
