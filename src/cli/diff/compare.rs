//! Compares what is with what will be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{Action, Conflict, MemberChange, NumberChange, Plan, ResourceChange, Verdict};
use super::settle::{Object, State, Unmanaged, settle};
use crate::contract::Did;
use crate::domain::ResourceName;
use crate::domain::assessment::{Assessment, NotPublished};
use crate::domain::compile;

/// The change of an apply.
#[derive(Debug, Default)]
pub struct Change {
    /// All resources as they are.
    pub before: Vec<Object>,
    /// All resources as they will be.
    pub after: Vec<Object>,
    /// The names of those that the files have.
    pub in_files: BTreeSet<ResourceName>,
    /// The keys in Redis beside theirs.
    pub unmanaged: Unmanaged,
    /// False if other resources, or Redis, could not be read, so that no verdict on a number is certain.
    pub is_certain: bool,
}

/// Determines what the change brings.
#[must_use]
pub fn plan(change: &Change) -> (Plan, State) {
    let names: BTreeSet<&ResourceName> = change.after.iter().map(|object| &object.name).collect();
    let gone: Vec<Object> =
        change.before.iter().filter(|object| !names.contains(&object.name)).cloned().collect();
    let now = settle(&change.before, &[], &change.unmanaged);
    let then = settle(&change.after, &gone, &change.unmanaged);
    let mut plan = Plan::default();
    let before = mappings(&change.before, &change.unmanaged);
    plan.numbers = numbers(&before, &then);
    let affected: BTreeSet<String> = plan
        .numbers
        .iter()
        .flat_map(|number| number.from_resource.iter().chain(&number.to_resource))
        .cloned()
        .collect();
    let old: BTreeMap<&ResourceName, &Object> =
        change.before.iter().map(|object| (&object.name, object)).collect();
    for object in &change.after {
        let was = old.get(&object.name);
        let config = was.map(|was| members(&was.spec, &object.spec)).unwrap_or_default();
        let is_changed = was.is_some_and(|was| was.spec != object.spec && differs(&was.spec, &object.spec));
        let action = match was {
            None => Action::Create,
            Some(_) if is_changed => Action::Update,
            Some(_) if affected.contains(&object.name.to_string()) => Action::Affected,
            Some(_) => continue,
        };
        let verdict =
            then.assessments.get(&object.name).map(|assessment| verdict(change, &then, object, assessment));
        plan.resources.push(resource(&object.name, action, config, verdict));
    }
    plan.resources.extend(gone.iter().map(|object| resource(&object.name, Action::Delete, Vec::new(), None)));
    plan.resources.sort_by(|one, other| (&one.namespace, &one.name).cmp(&(&other.namespace, &other.name)));
    plan.conflicts = conflicts(&now, &then);
    (plan, then)
}

fn resource(
    name: &ResourceName,
    action: Action,
    config: Vec<MemberChange>,
    verdict: Option<Verdict>,
) -> ResourceChange {
    ResourceChange {
        namespace: name.namespace.to_string(),
        name: name.name.to_string(),
        action,
        config,
        verdict,
    }
}

fn verdict(change: &Change, then: &State, object: &Object, assessment: &Assessment) -> Verdict {
    let dids = compile::claimed(&object.spec).dids;
    let by_chance = dids.iter().any(|did| then.by_chance.contains(did));
    let is_certain = change.is_certain && !by_chance && assessment.failure_reason().is_none();
    let ready = match &assessment.not_published {
        None => assessment.unavailable.is_empty(),
        Some(NotPublished::Suspended) => true,
        Some(_) => false,
    };
    Verdict {
        ready: is_certain.then_some(ready),
        reason: assessment.reason().to_string(),
        message: assessment.message(),
    }
}

/// The mapping of each number now, with the resource that has it.
fn mappings(objects: &[Object], unmanaged: &Unmanaged) -> BTreeMap<Did, (String, Option<ResourceName>)> {
    let mut found: BTreeMap<Did, (String, Option<ResourceName>)> =
        unmanaged.mappings.iter().map(|(did, tenant)| (did.clone(), (tenant.clone(), None))).collect();
    for object in objects {
        let tenant =
            compile::claimed(&object.spec).tenant.map(|tenant| tenant.to_string()).unwrap_or_default();
        for did in &object.published {
            found.insert(did.clone(), (tenant.clone(), Some(object.name.clone())));
        }
    }
    found
}

fn numbers(before: &BTreeMap<Did, (String, Option<ResourceName>)>, then: &State) -> Vec<NumberChange> {
    let all: BTreeSet<&Did> = before.keys().chain(then.mappings.keys()).collect();
    let mut changes = Vec::new();
    for did in all {
        let (from, holder) = before.get(did).cloned().unzip();
        let to = then.mappings.get(did).cloned();
        if from != to {
            changes.push(NumberChange {
                number: did.to_string(),
                from,
                to,
                from_resource: holder.flatten().map(|name| name.to_string()),
                to_resource: then.holders.get(did).map(ToString::to_string),
            });
        }
    }
    changes
}

/// The conflicts that there are then and not now.
fn conflicts(now: &State, then: &State) -> Vec<Conflict> {
    let mut found = Vec::new();
    for (name, assessment) in &then.assessments {
        let known = now.assessments.get(name);
        let conflict = |number: Option<&Did>, reason: String, message: String| Conflict {
            namespace: name.namespace.to_string(),
            name: name.name.to_string(),
            number: number.map(ToString::to_string),
            reason,
            message,
        };
        let is_adoption =
            |why: &NotPublished| matches!(why, NotPublished::Tenant(_) | NotPublished::WouldUnmap(_));
        if let Some(why) = assessment.not_published.as_ref().filter(|why| is_adoption(why)) {
            if known.and_then(|known| known.not_published.as_ref()) != Some(why) {
                found.push(conflict(None, assessment.reason().to_string(), assessment.message()));
            }
            continue;
        }
        for unavailable in &assessment.unavailable {
            if known.is_some_and(|known| known.unavailable.contains(unavailable)) {
                continue;
            }
            let reason = Assessment {
                unavailable: vec![unavailable.clone()],
                not_published: None,
                ..assessment.clone()
            };
            let message = reason.claims_message();
            let reason = reason.unavailable_reason().map(|reason| reason.to_string()).unwrap_or_default();
            found.push(conflict(Some(&unavailable.did), reason, message));
        }
    }
    found
}

fn differs(old: &str, new: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    read(old) != read(new)
}

/// The members of a spec that differ, but its numbers.
fn members(old: &str, new: &str) -> Vec<MemberChange> {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let mut found = Vec::new();
    objects("", &read(old), &read(new), &mut found);
    found
}

fn objects(path: &str, old: &Map<String, Value>, new: &Map<String, Value>, found: &mut Vec<MemberChange>) {
    let added = new.keys().filter(|name| !old.contains_key(*name));
    for name in old.keys().chain(added) {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (old.get(name), new.get(name)) {
            _ if path == "dids" => {}
            (Some(old), Some(new)) if old == new => {}
            (Some(Value::Object(old)), Some(Value::Object(new))) => objects(&path, old, new, found),
            (from, to) => found.push(MemberChange { path, from: from.cloned(), to: to.cloned() }),
        }
    }
}
