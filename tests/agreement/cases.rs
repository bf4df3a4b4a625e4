//! The documents: each member alone with each value of its pool, then several members together.

use std::collections::BTreeMap;

use runtime_operator::contract::{CONFIG, Member, Presence, Rule, mode_names, mode_of};
use serde_json::{Map, Value, json};

use super::pool::{good, values};
use super::predict::Prediction;
use super::schema::{self, member};
use super::texts;

/// The number of documents with several changes, beside the sweep over single ones.
const SEVERAL: usize = 600;
/// The number of documents that are tried by default.
const CASES: usize = 2500;
/// The number of documents among them that show one difference.
const OF_EACH: usize = 8;

pub struct Case {
    pub name: String,
    pub document: Value,
    /// The top-level members that were changed.
    pub changed: Vec<String>,
}

/// A valid document, and all changes of one of its top-level members.
struct Base {
    section: &'static str,
    document: Value,
    changes: Vec<Change>,
}

/// A member or an item that gets another value, or is removed.
struct Change {
    pointer: String,
    value: Option<Value>,
}

/// Returns `CASES` documents, the same in each run.
pub fn cases() -> Vec<Case> {
    let bases = bases();
    let mut cases: Vec<Case> = bases.iter().map(|base| base.case(&[])).collect();
    for base in &bases {
        cases.extend(base.changes.iter().map(|change| base.case(&[change])));
    }
    let mut random = Random(1);
    for _ in 0..SEVERAL {
        let [one, other] = [&bases[random.below(bases.len())], &bases[random.below(bases.len())]];
        let mut pair = Base { section: one.section, document: one.document.clone(), changes: Vec::new() };
        pair.document[other.section] = other.document[other.section].clone();
        let mut changes = Vec::new();
        for base in [one, other, other] {
            changes.push(&base.changes[random.below(base.changes.len())]);
        }
        changes.truncate(2 + random.below(2));
        cases.push(pair.case(&changes));
    }
    let most = std::env::var("CASES").ok().map(|text| text.parse().expect("CASES is a number"));
    picked(cases, most.unwrap_or(CASES), &mut random)
}

/// Returns `most` of the cases, of which some show each difference.
fn picked(mut cases: Vec<Case>, most: usize, random: &mut Random) -> Vec<Case> {
    if most >= cases.len() {
        return cases;
    }
    for place in 0..cases.len() {
        let other = place + random.below(cases.len() - place);
        cases.swap(place, other);
    }
    let mut times = BTreeMap::new();
    let mut is_wanted = |case: &Case| {
        let shown = Prediction::of(&case.document).may_show();
        let counts = shown.into_iter().map(|difference| {
            let count: &mut usize = times.entry(difference).or_default();
            *count += 1;
            *count
        });
        counts.collect::<Vec<_>>().into_iter().any(|count| count <= OF_EACH)
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = cases.into_iter().partition(|case| is_wanted(case));
    first.extend(rest);
    first.truncate(most);
    first
}

impl Base {
    fn case(&self, changes: &[&Change]) -> Case {
        let mut document = self.document.clone();
        let mut name = self.section.to_owned();
        let mut sections = Vec::new();
        for change in changes {
            if change.apply(&mut document) {
                let value = change.value.as_ref().map_or("left out".to_owned(), Value::to_string);
                let start: String = value.chars().take(40).collect();
                name = format!("{name}, {} = {start}", change.pointer);
                sections.extend(change.pointer.split('/').nth(1).map(str::to_owned));
            }
        }
        Case { name, document, changed: sections }
    }
}

impl Change {
    /// Returns false if the document has no such place.
    fn apply(&self, document: &mut Value) -> bool {
        let (parent, name) = self.pointer.rsplit_once('/').unwrap();
        match (document.pointer_mut(parent), &self.value) {
            (Some(Value::Object(object)), Some(value)) => {
                object.insert(name.to_owned(), value.clone());
                true
            }
            (Some(Value::Object(object)), None) => object.shift_remove(name).is_some(),
            (Some(Value::Array(items)), value) => {
                let index = name.parse::<usize>().unwrap();
                if index < items.len() {
                    match value {
                        Some(value) => items[index] = value.clone(),
                        None => drop(items.remove(index)),
                    }
                    return true;
                }
                false
            }
            _ => false,
        }
    }
}

fn bases() -> Vec<Base> {
    let mut bases = Vec::new();
    for member in CONFIG {
        let modes = match member.rule {
            Rule::Object(members) | Rule::ByMode(members) => mode_names(members).len().max(1),
            _ => 1,
        };
        // Members of `llmRouting` do not depend on its mode.
        let modes = if matches!(member.name, "stt" | "tts") { modes } else { 1 };
        bases.extend((0..modes).map(|mode| base(member, mode)));
    }
    bases
}

fn base(section: &'static Member, mode: usize) -> Base {
    let value = match section.name {
        "tenantId" => json!("acme"),
        _ => good(&section.rule, mode),
    };
    let mut document = Map::new();
    for member in CONFIG {
        if member.name == section.name {
            document.insert(member.name.to_owned(), value.clone());
        } else if member.presence == Presence::Required || member.name == "webhookSecret" {
            document.insert(member.name.to_owned(), least(member));
        }
    }
    let mut changes = Vec::new();
    let field = match section.name {
        "lastRuntimePublishedAt" => member(member(schema::spec(), "extensions"), section.name),
        name => member(schema::spec(), name),
    };
    collect(&format!("/{}", section.name), &value, &section.rule, field, &mut changes);
    if section.name == "tenantId" {
        let ids = texts::TENANT_IDS.iter().map(|id| Some(json!(id)));
        changes.extend(ids.map(|value| Change { pointer: "/tenantId".to_owned(), value }));
    }
    changes.push(Change {
        pointer: format!("/newer-{}", section.name),
        value: Some(json!({ "a": [1.5, null] })),
    });
    Base { section: section.name, document: document.into(), changes }
}

/// The least value of a member that must be there.
fn least(member: &Member) -> Value {
    let needed = |members: &[Member], mode: usize| {
        let needed =
            members.iter().filter(|row| row.modes.contains(mode) && row.presence != Presence::Optional);
        let mut object: Map<_, _> = needed.map(|row| (row.name.to_owned(), good(&row.rule, mode))).collect();
        if let Some(name) = mode_names(members).get(mode) {
            object.insert("mode".to_owned(), json!(name));
        }
        Value::Object(object)
    };
    match (member.name, &member.rule) {
        ("tenantId", _) => json!("acme"),
        // Without speech recognition, it needs no endpoint.
        ("stt", Rule::Object(members)) => {
            needed(members, mode_names(members).iter().position(|name| *name == "disabled").unwrap())
        }
        (_, Rule::Object(members) | Rule::ByMode(members)) => needed(members, 0),
        (_, rule) => good(rule, 0),
    }
}

/// Collects the changes of a value and of everything inside it.
fn collect(pointer: &str, value: &Value, rule: &'static Rule, schema: &Value, changes: &mut Vec<Change>) {
    let place = changes.len();
    let mut set = |pointer: String, value: Value| changes.push(Change { pointer, value: Some(value) });
    for value in values(rule, schema, place) {
        set(pointer.to_owned(), value);
    }
    match (rule, value) {
        (Rule::Object(members) | Rule::ByMode(members) | Rule::Day(members), Value::Object(object)) => {
            set(format!("{pointer}/newer"), json!({ "a": [1.5, null] }));
            let mode = mode_of(members, object);
            for row in *members {
                let at = format!("{pointer}/{}", row.name);
                match (object.get(row.name), mode.is_none_or(|mode| row.modes.contains(mode))) {
                    (Some(value), true) => collect(&at, value, &row.rule, member(schema, row.name), changes),
                    (None, true) => changes.push(Change { pointer: at, value: Some(good(&row.rule, 0)) }),
                    (None, false) => {
                        changes.push(Change { pointer: at.clone(), value: Some(good(&row.rule, 0)) });
                        changes.push(Change { pointer: at, value: Some(json!([5])) });
                    }
                    (Some(_), false) => {}
                }
            }
        }
        (Rule::List { item, .. }, Value::Array(items)) => {
            collect(&format!("{pointer}/0"), &items[0], item, &schema["items"], changes);
        }
        (Rule::Map(rule), Value::Object(object)) => {
            let (name, value) = object.iter().next().unwrap();
            collect(&format!("{pointer}/{name}"), value, rule, member(schema, name), changes);
        }
        _ => {}
    }
    changes.push(Change { pointer: pointer.to_owned(), value: None });
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    /// The next number of `SplitMix64`, below a bound.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}
