//! The spec of a config: its members, with those that the spec has no field for among the extensions.

use serde_json::{Map, Value};

use super::problem::Problem;
use crate::contract::{
    CONFIG, LAST_PUBLISHED_AT, Member, PathSegment, Rule, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, mode_of,
};

/// Members that a resource sets in another way.
const ELSEWHERE: [&str; 5] = ["contractVersion", "tenantId", "dids", WEBHOOK_SECRET_REF, WEBHOOK_SECRET];

/// A config, divided into what a spec has fields for and what it has not.
#[derive(Debug, Default)]
pub struct Divided {
    /// The fields, in the order of the contract.
    pub fields: Map<String, Value>,
    /// The extensions.
    pub extensions: Map<String, Value>,
    /// The places of null, which a resource can't hold; it means the same as leaving the member out.
    pub nulls: Vec<Vec<PathSegment>>,
    /// The places that neither can hold.
    pub problems: Vec<Problem>,
}

/// Divides the members of a config.
#[must_use]
pub fn divide(document: &Map<String, Value>) -> Divided {
    let mut divided = Divided::default();
    let mut path = Vec::new();
    for member in CONFIG.iter().filter(|member| !ELSEWHERE.contains(&member.name)) {
        let Some(value) = document.get(member.name) else { continue };
        if member.name == LAST_PUBLISHED_AT {
            divided.extensions.insert(member.name.to_owned(), value.clone());
            continue;
        }
        path.push(PathSegment::Member(member.name.to_owned()));
        let (field, extension) = divided.value(&mut path, &member.rule, value);
        path.pop();
        insert(&mut divided.fields, member.name, field);
        insert(&mut divided.extensions, member.name, extension);
    }
    let unknown =
        document.iter().filter(|(name, _)| CONFIG.iter().all(|member| member.name != name.as_str()));
    divided.extensions.extend(unknown.map(|(name, value)| (name.clone(), value.clone())));
    divided
}

fn insert(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), value);
    }
}

impl Divided {
    /// Divides a value under a rule into a field and an extension.
    fn value(
        &mut self,
        path: &mut Vec<PathSegment>,
        rule: &'static Rule,
        value: &Value,
    ) -> (Option<Value>, Option<Value>) {
        match (rule, value) {
            (Rule::Nullable(_), Value::Null) => {
                self.nulls.push(path.clone());
                (None, None)
            }
            (Rule::Nullable(rule), _) => self.value(path, rule, value),
            (Rule::Object(table) | Rule::ByMode(table) | Rule::Day(table), Value::Object(object)) => {
                let (field, extension) = self.object(path, table, object);
                (Some(field.into()), Some(extension).filter(|members| !members.is_empty()).map(Value::from))
            }
            (Rule::List { item, .. }, Value::Array(items)) => {
                let mut fields = Vec::new();
                for (index, value) in items.iter().enumerate() {
                    path.push(PathSegment::Item(index));
                    let (field, extension) = self.value(path, item, value);
                    if let Some(names) = extension.as_ref().and_then(Value::as_object) {
                        for name in names.keys() {
                            let member = path.iter().cloned().chain([PathSegment::Member(name.clone())]);
                            let reason = "items of a list can't be extended by members that the contract does not know";
                            self.problems.push(Problem::at(member, reason));
                        }
                    }
                    fields.extend(field);
                    path.pop();
                }
                (Some(fields.into()), None)
            }
            _ => (Some(value.clone()), None),
        }
    }

    fn object(
        &mut self,
        path: &mut Vec<PathSegment>,
        table: &'static [Member],
        object: &Map<String, Value>,
    ) -> (Map<String, Value>, Map<String, Value>) {
        let mode = mode_of(table, object);
        let (mut fields, mut extensions) = (Map::new(), Map::new());
        for (name, value) in object {
            let rows = table.iter().filter(|member| member.name == name);
            let mut of_mode = rows.filter(|member| mode.is_none_or(|mode| member.modes.contains(mode)));
            let Some(member) = of_mode.next() else {
                extensions.insert(name.clone(), value.clone());
                continue;
            };
            path.push(PathSegment::Member(name.clone()));
            let (field, extension) = self.value(path, &member.rule, value);
            path.pop();
            insert(&mut fields, name, field);
            insert(&mut extensions, name, extension);
        }
        (fields, extensions)
    }
}

/// Returns the places at which two documents differ, each as far as both have a value there. Numbers are compared as the
/// runtime reads them.
#[must_use]
pub fn differences(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Vec<PathSegment>> {
    let mut found = Vec::new();
    objects(old, new, &mut Vec::new(), &mut found);
    found
}

fn objects(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    path: &mut Vec<PathSegment>,
    found: &mut Vec<Vec<PathSegment>>,
) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        path.push(PathSegment::Member(name.clone()));
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => values(old, new, path, found),
            _ => found.push(path.clone()),
        }
        path.pop();
    }
}

fn values(old: &Value, new: &Value, path: &mut Vec<PathSegment>, found: &mut Vec<Vec<PathSegment>>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => objects(old, new, path, found),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                path.push(PathSegment::Item(index));
                values(old, new, path, found);
                path.pop();
            }
        }
        (Value::Number(old), Value::Number(new)) if old.as_f64() == new.as_f64() => {}
        _ if old == new => {}
        _ => found.push(path.clone()),
    }
}
