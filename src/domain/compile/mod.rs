//! Compiles the spec of a resource to the config that the voice runtime reads.

mod validate;

use serde_json::{Map, Value};

use super::claims::Eligibility;
use crate::api::{DeletionPolicy, RuntimeTenantSpec};
use crate::contract::{
    CONFIG, CONTRACT_VERSION, Did, InvalidConfig, LAST_PUBLISHED_AT, Member, RuntimeTenantConfig, TenantId,
    WEBHOOK_SECRET_REF,
};

/// The claim of a spec, as far as it can be determined, whatever else is wrong with the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The tenant id, if it is one.
    pub tenant: Option<TenantId>,
    /// The DIDs that are valid, normalised, each once, in the order of the spec.
    pub dids: Vec<Did>,
    /// The part of the claim that the resource may take and keep.
    pub eligibility: Eligibility,
    /// The hash of the config with all these DIDs and without a secret; `None` if it must not be published.
    pub hash: Option<String>,
    /// The name of the Secret to which the spec refers.
    pub secret: Option<String>,
    /// The policy that decides whether the keys outlive the resource.
    pub deletion_policy: DeletionPolicy,
}

/// Decodes a spec. The error names the field that can't be decoded.
pub fn read(json: &str) -> Result<RuntimeTenantSpec, String> {
    // Tracking the path of an error takes as long as decoding, and hardly any spec has an error.
    if let Ok(spec) = serde_json::from_str(json) {
        return Ok(spec);
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let text = error.inner().to_string();
        // The line and the column are those of JSON that no person has written.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        format!("spec.{} {what}", error.path())
    })
}

/// Determines what a spec claims.
#[must_use]
pub fn claimed(json: &str) -> Claimed {
    if let Ok(spec) = read(json) {
        let dids = valid_dids(spec.dids.iter().map(String::as_str));
        let (eligibility, config) = match (checked(&spec, &dids), spec.suspend) {
            (Err(_), _) => (Eligibility::Invalid, None),
            (Ok(_), true) => (Eligibility::Suspended, None),
            (Ok(config), false) => (Eligibility::Active, config),
        };
        Claimed {
            tenant: TenantId::parse(&spec.tenant_id).ok(),
            dids,
            eligibility,
            hash: config.map(|config| config.hash_without_secret()),
            secret: Some(spec.webhook_secret_ref.name),
            deletion_policy: spec.deletion_policy,
        }
    } else {
        let spec: Value = serde_json::from_str(json).unwrap_or_default();
        let dids = spec["dids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Claimed {
            tenant: spec["tenantId"].as_str().and_then(|tenant| TenantId::parse(tenant).ok()),
            dids: valid_dids(dids),
            eligibility: Eligibility::Unreadable,
            hash: None,
            secret: spec["webhookSecretRef"]["name"].as_str().map(str::to_owned),
            deletion_policy: if spec["deletionPolicy"] == "Retain" {
                DeletionPolicy::Retain
            } else {
                DeletionPolicy::Delete
            },
        }
    }
}

/// The valid DIDs among `texts`, normalised, each once, in their order.
fn valid_dids<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Did> {
    let mut dids = Vec::new();
    for did in texts.filter_map(|text| Did::parse(text).ok()) {
        if !dids.contains(&did) {
            dids.push(did);
        }
    }
    dids
}

/// Compiles a spec with the DIDs that the resource holds. The config contains a reference to the secret and not its
/// value, so it may be shown.
///
/// Deterministic: members in the contract's order, then the extensions by name. The error lists all violations, each
/// with the field of the spec and the rule.
pub fn compile(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<RuntimeTenantConfig, Vec<String>> {
    RuntimeTenantConfig::from_document(document(spec, dids)).map_err(|invalid| violations(&invalid))
}

/// The members of the contract in the table's order, then the extensions by name.
fn document(spec: &RuntimeTenantSpec, dids: &[Did]) -> Map<String, Value> {
    // The API's types hold JSON, so that this conversion can't fail. If it did, the contract's check would report the
    // missing members.
    let mut written = match serde_json::to_value(spec) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    let mut document = Map::new();
    for Member { name, .. } in CONFIG {
        let value = match *name {
            "contractVersion" => Some(CONTRACT_VERSION.into()),
            "dids" => Some(dids.iter().map(Did::as_str).collect()),
            WEBHOOK_SECRET_REF => {
                let reference = &spec.webhook_secret_ref;
                Some(format!("secret://{}/{}", reference.name, reference.key).into())
            }
            "audio" => Some(written.remove("audio").unwrap_or_else(|| Map::new().into())),
            name => written.remove(name),
        };
        if let Some(value) = value {
            document.insert((*name).to_owned(), value);
        }
    }
    if let Some(Value::Object(extensions)) = written.remove("extensions") {
        let mut extensions: Vec<_> =
            extensions.into_iter().filter(|(name, _)| !validate::is_known(name)).collect();
        // The time of a control plane's last publish is the last member, where the drift comparison looks for it.
        extensions.sort_by(|(one, _), (other, _)| {
            (one == LAST_PUBLISHED_AT, one).cmp(&(other == LAST_PUBLISHED_AT, other))
        });
        for (name, mut value) in extensions {
            value.sort_all_objects();
            document.insert(name, value);
        }
    }
    document
}

/// The violations of a config, as paths into the spec.
#[must_use]
pub fn violations(invalid: &InvalidConfig) -> Vec<String> {
    invalid.violations.iter().map(|violation| format!("spec.{violation}")).collect()
}

/// Returns all violations of a spec. The API server may not have checked them: with an older CRD, for an object that was
/// stored before a rule existed, or for lengths, which the runtime counts differently.
#[must_use]
pub fn check(spec: &RuntimeTenantSpec) -> Vec<String> {
    checked(spec, &valid_dids(spec.dids.iter().map(String::as_str))).err().unwrap_or_default()
}

/// Checks a spec like [`check`], and compiles it with the DIDs that the resource holds; `Ok(None)` if it holds none.
pub fn checked(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<Option<RuntimeTenantConfig>, Vec<String>> {
    let all;
    let some = if dids.is_empty() {
        all = valid_dids(spec.dids.iter().map(String::as_str));
        &all
    } else {
        dids
    };
    let document = document(spec, some);
    let mut violations = validate::rules_beside_the_contract(spec, &document);
    if some.is_empty() {
        // A spec without a valid DID violates a rule that was checked above.
        return if violations.is_empty() { Ok(None) } else { Err(violations) };
    }
    match RuntimeTenantConfig::from_document(document) {
        Ok(config) if violations.is_empty() => Ok(Some(config).filter(|_| !dids.is_empty())),
        Ok(_) => Err(violations),
        Err(invalid) => {
            violations.extend(self::violations(&invalid));
            Err(violations)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_cant_be_decoded_is_named() {
        let error = read(r#"{"tenantId": "acme", "dids": ["+15550001111", 7]}"#).unwrap_err();
        assert!(error.starts_with("spec.dids[1] invalid type"), "{error}");
        assert!(!error.contains("line"), "{error}");
    }
}
