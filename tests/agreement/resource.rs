//! A document as a resource, on a real API server with the CRD.

use std::collections::BTreeSet;

use kube::Client;
use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::contract::{CONFIG, Did, Member, Rule, mode_of};
use runtime_operator::domain::compile;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use test_support::World;
use test_support::specs::{create, resource};

use super::cases::Case;
use super::differences::Difference::{self, OfModeInExtensions, OtherMode, Unknown};
use super::predict::Prediction;
use super::same::{published, same};

/// Members that a resource does not have: the operator writes the first, and takes the others from the Secret.
const NOT_IN_A_RESOURCE: [&str; 3] = ["contractVersion", "webhookSecret", "webhookSecretRef"];

pub struct Resource {
    client: Client,
    namespace: String,
}

impl Resource {
    pub fn of(world: &World) -> Self {
        Self { client: world.client(), namespace: world.namespace().to_owned() }
    }

    /// Returns the differences that the document shows; an error describes one without a name.
    pub async fn judge(&self, case: &Case) -> Result<BTreeSet<Difference>, String> {
        if case.changed.iter().any(|name| NOT_IN_A_RESOURCE.contains(&name.as_str())) {
            return Ok(BTreeSet::new());
        }
        let prediction = Prediction::of(&case.document);
        let spec = spec_of(&case.document);
        match (self.create(&spec).await, prediction.is_accepted()) {
            (Ok(stored), true) => check(&stored, &case.document, prediction.is_invalid_spec())?,
            (Err(_), false) => {}
            (Ok(_), false) => {
                return Err(format!(
                    "the API server accepts it; the contract finds {:?}, and the list {:?}",
                    texts(&prediction),
                    prediction.refusals
                ));
            }
            (Err(refusal), true) => return Err(format!("the API server refuses it: {refusal}")),
        }
        let mut shown = prediction.shown();
        shown.extend(self.judge_extensions(&case.document, spec, &prediction).await?);
        Ok(shown)
    }

    /// Members that are no fields of the spec are accepted among the extensions, and published as they are.
    async fn judge_extensions(
        &self,
        document: &Value,
        mut spec: Value,
        prediction: &Prediction,
    ) -> Result<Option<Difference>, String> {
        let only_these = prediction.refusals.iter().all(|reason| [OtherMode, Unknown].contains(reason));
        if prediction.refusals.is_empty() || !only_these {
            return Ok(None);
        }
        let mut extensions = spec["extensions"].as_object().cloned().unwrap_or_default();
        let mut moved = Vec::new();
        extensions.extend(take_unknown(spec.as_object_mut().unwrap(), CONFIG, "", &mut moved));
        spec["extensions"] = extensions.into();
        let is_moved =
            |path: &str| moved.iter().any(|moved| path == moved || path.starts_with(&format!("{moved}.")));
        let all_moved = prediction.violations.iter().all(|violation| is_moved(&violation.path.to_string()));
        // Items of lists can't be extended.
        if !all_moved || has_unknown_item(&spec) {
            return Ok(None);
        }
        let is_invalid_spec = prediction.is_invalid_spec() || !prediction.violations.is_empty();
        match self.create(&spec).await {
            Ok(stored) => check(&stored, document, is_invalid_spec)
                .map_err(|fault| format!("in extensions: {fault}"))?,
            Err(refusal) => return Err(format!("in extensions, the API server refuses it: {refusal}")),
        }
        Ok((!prediction.violations.is_empty()).then_some(OfModeInExtensions))
    }

    async fn create(&self, spec: &Value) -> Result<Value, String> {
        create(&self.client, &self.namespace, &resource("any", spec), true).await
    }
}

fn texts(prediction: &Prediction) -> Vec<String> {
    prediction.violations.iter().map(ToString::to_string).collect()
}

/// Returns the spec that says what the document says, with a reference to a Secret.
fn spec_of(document: &Value) -> Value {
    let mut spec = document.as_object().unwrap().clone();
    for name in NOT_IN_A_RESOURCE {
        spec.shift_remove(name);
    }
    spec.insert("webhookSecretRef".to_owned(), json!({ "name": "webhook" }));
    if let Some(time) = spec.shift_remove("lastRuntimePublishedAt") {
        spec.insert("extensions".to_owned(), json!({ "lastRuntimePublishedAt": time }));
    }
    spec.into()
}

/// Takes the members that are no fields out of an object and of all objects inside it, and returns them with their places.
fn take_unknown(
    object: &mut Map<String, Value>,
    members: &'static [Member],
    path: &str,
    moved: &mut Vec<String>,
) -> Map<String, Value> {
    let mode = mode_of(members, object);
    let mut taken = Map::new();
    for name in object.keys().cloned().collect::<Vec<_>>() {
        let is_own = path.is_empty() && ["extensions", "webhookSecretRef"].contains(&name.as_str());
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let row =
            members.iter().find(|row| row.name == name && mode.is_none_or(|mode| row.modes.contains(mode)));
        match (row.map(|row| &row.rule), object.get_mut(&name)) {
            (
                Some(Rule::Object(inner) | Rule::ByMode(inner) | Rule::Day(inner)),
                Some(Value::Object(value)),
            ) => {
                let unknown = take_unknown(value, inner, &at, moved);
                if !unknown.is_empty() {
                    taken.insert(name, unknown.into());
                }
            }
            (None, Some(_)) if !is_own => {
                taken.extend(object.shift_remove(&name).map(|value| (name, value)));
                moved.push(at);
            }
            _ => {}
        }
    }
    taken
}

/// Returns true if an item of a list has the member that no field is for.
fn has_unknown_item(value: &Value) -> bool {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| *name != "extensions")
            .any(|(_, member)| has_unknown_item(member)),
        Value::Array(items) => items.iter().any(|item| item.get("newer").is_some() || has_unknown_item(item)),
        _ => false,
    }
}

/// Checks what the operator makes of a resource that the API server has accepted.
fn check(stored: &Value, document: &Value, is_invalid_spec: bool) -> Result<(), String> {
    let spec: RuntimeTenantSpec = serde_json::from_value(stored["spec"].clone())
        .map_err(|error| format!("the operator can't read it: {error}"))?;
    let violations = compile::check(&spec);
    if violations.is_empty() == is_invalid_spec {
        return Err(format!("the operator finds {violations:?}"));
    }
    if is_invalid_spec {
        return Ok(());
    }
    let dids: Vec<Did> = spec.dids.iter().map(|text| Did::parse(text).unwrap()).collect();
    let config = compile::compile(&spec, &dids).map_err(|violations| violations.join("; "))?;
    let config: Value = serde_json::from_str(config.to_json().expose_secret()).unwrap();
    let (is, expected) = (published(&config), published(document));
    if same(&is, &expected) { Ok(()) } else { Err(format!("it is published as {is}")) }
}
