//! Each mode with each member of its object: the API server and the operator accept exactly what the contract's table
//! allows.

use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::contract::{MODE, Member, Presence, Rule, config_member, mode_names};
use runtime_operator::domain::compile;
use serde_json::{Map, Value, json};

use crate::cluster::{client, create, namespace, object};
use test_support::specs::with;

/// Returns the members of the table for `stt` or `tts`.
pub fn section(name: &str) -> &'static [Member] {
    match config_member(name).unwrap().rule {
        Rule::Object(members) | Rule::ByMode(members) => members,
        _ => panic!("{name} has no members"),
    }
}

/// Returns the row of a member that counts in a mode.
pub fn row<'a>(members: &'a [Member], name: &str, mode: usize) -> Option<&'a Member> {
    members.iter().find(|member| member.name == name && member.modes.contains(mode))
}

/// Returns a value that keeps the rule.
fn value(rule: &Rule) -> Value {
    match rule {
        Rule::Literal(text) => json!(text),
        Rule::OneOf(names) => json!(names[0]),
        Rule::Text { min, .. } => json!("x".repeat(*min)),
        Rule::HttpUrl | Rule::AudioUrl | Rule::UrlText => json!("http://example.com"),
        Rule::Did | Rule::LongDid | Rule::Destination => json!("+15550002222"),
        Rule::Zip => json!("90210"),
        Rule::Email => json!("desk@example.com"),
        Rule::DateTime => json!("2026-09-30T12:00:00Z"),
        Rule::Nullable(rule) => value(rule),
        Rule::Day(_) => json!({ "closed": true }),
        Rule::NumberAboveTo(_, max) => json!(max),
        Rule::Boolean => json!(true),
        Rule::Integer { min, .. } => json!(min),
        Rule::Number => json!(1),
        Rule::NumberAbove(limit) => json!(limit + 1.0),
        Rule::NumberIn(min, _) => json!(min),
        Rule::List { item, min, .. } => json!(vec![value(item); *min]),
        Rule::Map(_) => json!({}),
        Rule::Object(members) => {
            let members = members.iter().map(|member| (member.name.to_owned(), value(&member.rule)));
            members.collect::<Map<_, _>>().into()
        }
        Rule::ByMode(members) => least(members, 0),
    }
}

/// Returns the section with the members that it must have in this mode.
fn least(members: &[Member], mode: usize) -> Value {
    let mut section = Map::new();
    for member in members.iter().filter(|member| member.modes.contains(mode)) {
        if member.presence != Presence::Optional {
            section.insert(member.name.to_owned(), value(&member.rule));
        }
    }
    section.insert(MODE.to_owned(), json!(mode_names(members)[mode]));
    section.into()
}

/// Returns all specs of a section, each with the answer that it must get.
fn cases(name: &str) -> Vec<(String, Value, bool)> {
    let members = section(name);
    let mut cases = Vec::new();
    for (mode, mode_name) in mode_names(members).iter().enumerate() {
        let least = least(members, mode);
        cases.push((format!("{mode_name} with its own members"), least.clone(), true));
        for member in members.iter().filter(|member| member.name != MODE) {
            let of_mode = row(members, member.name, mode);
            let mut section = least.clone();
            section[member.name] = value(&of_mode.unwrap_or(member).rule);
            cases.push((format!("{mode_name} with {}", member.name), section, of_mode.is_some()));
            if least.get(member.name).is_some() {
                let mut section = least.clone();
                section.as_object_mut().unwrap().remove(member.name);
                cases.push((format!("{mode_name} without {}", member.name), section, false));
            }
        }
    }
    cases
}

#[tokio::test]
async fn a_member_is_accepted_exactly_in_the_modes_of_its_row() {
    let client = client().await;
    namespace(&client, "modes").await;
    let mut wrong = Vec::new();
    let mut refused = 0;
    for name in ["stt", "tts"] {
        for (case, section, accepted) in cases(name) {
            let mut spec = with(&json!({}));
            spec[name] = section;
            let created = create(&client, "modes", &object("a", &spec), true).await;
            if created.is_ok() != accepted {
                wrong.push(format!("{case}: {created:?}"));
            }
            if let Ok(spec) = serde_json::from_value::<RuntimeTenantSpec>(spec) {
                let violations = compile::check(&spec);
                if violations.is_empty() != accepted {
                    wrong.push(format!("{case}: the operator finds {violations:?}"));
                }
            }
            refused += usize::from(!accepted);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused > 50, "only {refused} cases are refused");
}
