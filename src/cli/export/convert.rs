//! The resource of a tenant's config: pure, from what was read.

use std::collections::{BTreeMap, HashSet};

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::super::validate::{check, normalised};
use super::problem::{Note, Problem};
use super::spec::{Divided, differences, divide};
use crate::api::{DEFAULT_SECRET_KEY, TAKE_OVER};
use crate::contract::{
    Did, PathSegment, REDACTED, RuntimeTenantConfig, TenantId, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, trim,
};
use crate::domain::{compile, secret};

/// The keys of one tenant in Redis.
#[derive(Debug)]
pub struct Stored<'a> {
    /// The tenant id of the key.
    pub tenant: &'a TenantId,
    /// The config.
    pub config: &'a RuntimeTenantConfig,
    /// The mapping of every number, by number.
    pub mappings: &'a BTreeMap<Did, String>,
    /// The numbers that are mapped to the tenant.
    pub mapped: &'a [Did],
}

/// A tenant as a resource.
#[derive(Debug)]
pub struct Converted {
    /// The resource.
    pub resource: Value,
    /// The name of its Secret.
    pub secret_name: String,
    /// The webhook secret, as the Secret must hold it.
    pub secret: SecretString,
    /// The numbers.
    pub dids: Vec<Did>,
    /// Notes for a reader of the file.
    pub notes: Vec<Note>,
}

/// Converts a tenant. `env` holds the values of the runtime's variables.
pub fn convert(
    stored: &Stored<'_>,
    name: &str,
    namespace: Option<&str>,
    env: &BTreeMap<String, SecretString>,
) -> Result<Converted, Vec<Problem>> {
    let document = stored.config.document();
    let (mut problems, mut notes) = (Vec::new(), Vec::new());
    if stored.config.tenant_id() != stored.tenant {
        let reason = "is another tenant id than that of the key: the runtime goes by the key";
        problems.push(Problem::at([member("tenantId")], reason));
    }
    let dids = dids(stored, &mut notes);
    if dids.is_empty() {
        problems.push(Problem::at([member("dids")], "no number is mapped to the tenant: it takes no call"));
    }
    let value = match webhook_secret(document, env, &mut notes) {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let Divided { fields, extensions, nulls, problems: inexpressible } = divide(document);
    problems.extend(inexpressible);
    notes.extend(
        nulls
            .into_iter()
            .map(|path| Note::Null(path.into_iter().collect::<crate::contract::DocumentPath>().to_string())),
    );
    let secret_name = format!("{name}-webhook");
    let mut spec = Map::new();
    spec.insert("tenantId".to_owned(), stored.tenant.as_str().into());
    spec.insert("dids".to_owned(), dids.iter().map(Did::as_str).collect());
    spec.insert("webhookSecretRef".to_owned(), json!({ "name": secret_name, "key": DEFAULT_SECRET_KEY }));
    spec.extend(fields);
    if !extensions.is_empty() {
        spec.insert("extensions".to_owned(), extensions.into());
    }
    let spec = Value::Object(spec);
    // Without a number the other faults are found too.
    let mut complete = spec.clone();
    if dids.is_empty() {
        complete["dids"] = json!(["+12"]);
    }
    problems.extend(check(complete).faults.into_iter().map(|place| {
        let path = std::iter::once(member("spec")).chain(place.path);
        Problem::at(path, format!("a resource can't have it: {}", place.rule))
    }));
    let Some(value) = value.filter(|_| problems.is_empty()) else { return Err(problems) };
    let problems = changes(stored, &spec, &dids, &value, &notes);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut metadata = Map::from_iter([("name".to_owned(), name.into())]);
    metadata.extend(namespace.map(|namespace| ("namespace".to_owned(), namespace.into())));
    if notes.iter().any(|note| matches!(note, Note::EnvSecret(_))) {
        metadata.insert("annotations".to_owned(), json!({ TAKE_OVER: "true" }));
    }
    let resource = json!({
        "apiVersion": format!("{}/v1", crate::api::GROUP),
        "kind": "RuntimeTenant",
        "metadata": metadata,
        "spec": spec,
    });
    Ok(Converted { resource, secret_name, secret: as_stored(&value), dids, notes })
}

fn member(name: &str) -> PathSegment {
    PathSegment::Member(name.to_owned())
}

/// The numbers that are mapped to the tenant: those of its config first, in their order.
fn dids(stored: &Stored<'_>, notes: &mut Vec<Note>) -> Vec<Did> {
    let mapped: HashSet<&Did> = stored.mapped.iter().collect();
    let (mut dids, mut seen) = (Vec::new(), HashSet::new());
    for did in stored.config.dids() {
        if !seen.insert(did) {
            notes.push(Note::ListedTwice(did.clone()));
        } else if mapped.contains(did) {
            dids.push(did.clone());
        } else {
            notes.push(match stored.mappings.get(did) {
                Some(other) => Note::ListedElsewhere(did.clone(), other.clone()),
                None => Note::ListedUnmapped(did.clone()),
            });
        }
    }
    for did in stored.mapped.iter().filter(|did| !seen.contains(did)) {
        notes.push(Note::MappedUnlisted(did.clone()));
        dids.push(did.clone());
    }
    dids
}

/// The webhook secret as the runtime uses it.
fn webhook_secret(
    document: &Map<String, Value>,
    env: &BTreeMap<String, SecretString>,
    notes: &mut Vec<Note>,
) -> Result<SecretString, Problem> {
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let is_blank = |text: &str| trim(text).is_empty();
    let at = |name: &str, reason: &str| Problem::at([member(name)], reason);
    if let Some(value) = text(WEBHOOK_SECRET) {
        return if is_blank(value) {
            Err(at(WEBHOOK_SECRET, "is blank, which the runtime takes for no secret"))
        } else {
            Ok(value.into())
        };
    }
    let reference = text(WEBHOOK_SECRET_REF).unwrap_or_default();
    if let Some(name) = trim(reference).strip_prefix("env:") {
        let value = env.get(name).filter(|value| !is_blank(value.expose_secret()));
        notes.push(Note::EnvSecret(name.to_owned()));
        return value.cloned().ok_or_else(|| {
            at(WEBHOOK_SECRET_REF, "names a variable of the runtime: give its value with --env-values")
        });
    }
    if reference.starts_with("secret://") {
        return Err(at(WEBHOOK_SECRET_REF, "names a secret whose value is not in Redis"));
    }
    if reference.starts_with(REDACTED) || is_blank(reference) {
        return Err(at(WEBHOOK_SECRET_REF, "is blank or redacted: it is no secret"));
    }
    notes.push(Note::LiteralSecret);
    Ok(reference.into())
}

/// A value as a Secret must hold it: the operator removes one line break at the end.
fn as_stored(value: &SecretString) -> SecretString {
    let text = value.expose_secret();
    let is_kept = secret::extract(Some(text.as_bytes())).is_ok_and(|read| read.expose_secret() == text);
    if is_kept { value.clone() } else { format!("{text}\n").into() }
}

/// The places at which the operator would publish something else than what is stored, beside what the notes name.
fn changes(
    stored: &Stored<'_>,
    spec: &Value,
    dids: &[Did],
    value: &SecretString,
    notes: &[Note],
) -> Vec<Problem> {
    let published = compile::read(&normalised(spec.clone()).to_string())
        .map_err(|why| vec![why])
        .and_then(|spec| compile::compile(&spec, dids))
        .and_then(|config| config.with_secret(value).map_err(|invalid| compile::violations(&invalid)));
    let published = match published {
        Ok(config) => RuntimeTenantConfig::parse(config.to_json().expose_secret()),
        Err(violations) => return violations.into_iter().map(Problem::of_all).collect(),
    };
    let Ok(published) = published else {
        return vec![Problem::of_all("the operator's config of it could not be read again")];
    };
    let nulls: HashSet<&str> = notes
        .iter()
        .filter_map(|note| match note {
            Note::Null(path) => Some(path.as_str()),
            _ => None,
        })
        .collect();
    let was_reference = stored.config.document().get(WEBHOOK_SECRET).is_none();
    let differences = differences(stored.config.document(), published.document());
    let is_meant = |path: &[PathSegment]| match path.first() {
        Some(PathSegment::Member(name)) => {
            name == "dids" || name == WEBHOOK_SECRET_REF || (name == WEBHOOK_SECRET && was_reference)
        }
        _ => false,
    };
    let problem = |path: Vec<PathSegment>| Problem::at(path, "would be published as another value");
    let differences = differences.into_iter().filter(|path| !is_meant(path)).map(problem);
    differences.filter(|problem| !nulls.contains(problem.path.as_str())).collect()
}
