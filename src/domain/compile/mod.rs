//! Compiles the spec of a resource to the config that the voice runtime reads.

mod extend;
mod lenient;
mod validate;

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::claims::Eligibility;
use super::warnings::{self, Warning};
use crate::api::{DeletionPolicy, Extensions, RuntimeTenantSpec};
use crate::contract::{
    CONFIG, CONTRACT_VERSION, Did, InvalidConfig, LAST_PUBLISHED_AT, Member, PathSegment,
    RuntimeTenantConfig, TenantId, Violation, WEBHOOK_SECRET_REF, submitted_violations,
};

use extend::{Extended, extend};
use lenient::LenientSpec;

/// The greatest length of a spec in bytes, as the API server sends it. It is well above any real tenant's, and leaves room
/// for a status and a finalizer in what etcd takes (1.5 MB).
pub const MAX_SPEC_BYTES: usize = 1 << 20;

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
    /// The key in that Secret.
    pub secret_key: Option<String>,
    /// The policy that decides whether the keys outlive the resource.
    pub deletion_policy: DeletionPolicy,
    /// The warnings about the spec, one line each, in the order of the spec.
    pub warnings: Vec<String>,
}

impl Claimed {
    /// The claim of the same spec where it is larger than what is read: what is live stays, whatever it lists.
    #[must_use]
    pub fn of_too_large(self) -> Self {
        Self { dids: Vec::new(), eligibility: Eligibility::Unreadable, hash: None, ..self }
    }
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

/// Determines what a spec claims. Of one with more than [`MAX_SPEC_BYTES`], only what [`too_large`] keeps.
#[must_use]
pub fn claimed(json: &str) -> Claimed {
    claimed_within(json, MAX_SPEC_BYTES)
}

/// Determines what a spec of at most `max_bytes` claims.
#[must_use]
pub fn claimed_within(json: &str, max_bytes: usize) -> Claimed {
    let is_too_large = json.len() > max_bytes;
    if let Some(spec) = (!is_too_large).then(|| read(json).ok()).flatten() {
        let dids = valid_dids(spec.dids.iter().map(String::as_str));
        let (eligibility, config) = match (checked(&spec, &dids), spec.suspend) {
            (Err(_), _) => (Eligibility::Invalid, None),
            (Ok(config), true) => (Eligibility::Suspended, config),
            (Ok(config), false) => (Eligibility::Active, config),
        };
        let odd = config.as_ref().map(warnings::of).unwrap_or_default();
        let config = config.filter(|_| eligibility == Eligibility::Active);
        return Claimed {
            tenant: TenantId::parse(&spec.tenant_id).ok(),
            dids,
            eligibility,
            hash: config.map(|config| config.hash_without_secret()),
            secret: Some(spec.webhook_secret_ref.name),
            secret_key: Some(spec.webhook_secret_ref.key),
            deletion_policy: spec.deletion_policy,
            warnings: odd.iter().map(Warning::line).collect(),
        };
    }
    let LenientSpec { tenant, dids, secret, secret_key, deletion_policy } = LenientSpec::read(json);
    Claimed {
        tenant: tenant.and_then(|tenant| TenantId::parse(&tenant).ok()),
        // What is live stays, whatever numbers a spec lists that is too large to be read.
        dids: if is_too_large { Vec::new() } else { valid_dids(dids.iter().map(String::as_str)) },
        eligibility: Eligibility::Unreadable,
        hash: None,
        secret,
        secret_key,
        deletion_policy: match deletion_policy.as_deref() {
            Some("Retain") => DeletionPolicy::Retain,
            _ => DeletionPolicy::Delete,
        },
        warnings: Vec::new(),
    }
}

/// The violation of a spec that has more bytes than are read.
#[must_use]
pub fn too_large(bytes: usize, max_bytes: usize) -> String {
    format!("spec must be at most {max_bytes} bytes long as JSON, and has {bytes}")
}

/// The valid DIDs among `texts`, normalised, each once, in their order.
fn valid_dids<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Did> {
    let mut seen = HashSet::new();
    texts.filter_map(|text| Did::parse(text).ok()).filter(|did| seen.insert(did.clone())).collect()
}

/// Compiles a spec with the DIDs that the resource holds. The config contains a reference to the secret and not its
/// value, so it may be shown.
///
/// Deterministic: members in the contract's order, then the extensions by name. The error lists all violations, each
/// with the field of the spec and the rule.
pub fn compile(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<RuntimeTenantConfig, Vec<String>> {
    let document = document(spec, dids);
    let extended = extend(spec, &document);
    config(document, extended)
}

/// The config of a document and its extensions.
fn config(
    mut document: Map<String, Value>,
    extended: Extended<'_>,
) -> Result<RuntimeTenantConfig, Vec<String>> {
    let Extended { additions, known, mut violations } = extended;
    let mut places: Vec<Vec<&str>> = vec![vec![LAST_PUBLISHED_AT]];
    places.extend(additions.iter().map(|addition| [addition.path.as_slice(), &[&addition.name]].concat()));
    for (path, value) in known {
        if let Some((name, path)) = path.split_last() {
            let object =
                path.iter().try_fold(&mut document, |object, name| object.get_mut(*name)?.as_object_mut());
            object.map(|object| object.insert((*name).to_owned(), value));
        }
        places.push(path);
    }
    violations.extend(submitted_violations(&document).iter().map(|violation| place(violation, &places)));
    match RuntimeTenantConfig::with_additions(document, &additions) {
        Ok(config) if violations.is_empty() => Ok(config),
        Ok(_) => Err(violations),
        Err(invalid) => {
            violations.extend(invalid.violations.iter().map(|violation| place(violation, &places)));
            Err(violations)
        }
    }
}

/// The violation of a config as a path into the spec: `places` are those of the extensions.
fn place(violation: &Violation, places: &[Vec<&str>]) -> String {
    let is_in = |place: &Vec<&str>| {
        let mut segments = violation.path.segments().iter();
        place
            .iter()
            .all(|name| matches!(segments.next(), Some(PathSegment::Member(member)) if member == name))
    };
    if places.iter().any(is_in) {
        format!("spec.extensions.{violation}")
    } else {
        format!("spec.{violation}")
    }
}

/// The members of the contract in the table's order, without the extensions.
fn document(spec: &RuntimeTenantSpec, dids: &[Did]) -> Map<String, Value> {
    // The API's types hold JSON, so that this conversion can't fail. If it did, the contract's check would report the
    // missing members.
    let known = if spec.extensions.is_empty() {
        Cow::Borrowed(spec)
    } else {
        Cow::Owned(RuntimeTenantSpec { extensions: Extensions::default(), ..spec.clone() })
    };
    let mut written = match serde_json::to_value(&*known) {
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
    let extended = extend(spec, &document);
    let mut violations = validate::rules_beside_the_contract(spec, &document);
    if some.is_empty() {
        // A spec without a valid DID violates a rule that was checked above.
        violations.extend(extended.violations);
        return if violations.is_empty() { Ok(None) } else { Err(violations) };
    }
    match config(document, extended) {
        Ok(config) if violations.is_empty() => Ok(Some(config).filter(|_| !dids.is_empty())),
        Ok(_) => Err(violations),
        Err(more) => {
            violations.extend(more);
            Err(violations)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: &str = r#"{"tenantId": "acme", "dids": ["+15551234567"], "webhookSecretRef": {"name": "hook"},
        "caps": {"maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1},
        "stt": {"mode": "disabled", "chunkMs": 500},
        "tts": {"mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts"}, "extensions": EXTENSIONS}"#;

    fn published(extensions: &str) -> String {
        use secrecy::ExposeSecret;
        let spec = read(&SPEC.replace("EXTENSIONS", extensions)).unwrap();
        let config = compile(&spec, &valid_dids(["+15551234567"].into_iter())).unwrap();
        config.to_json().expose_secret().to_owned()
    }

    #[test]
    fn extensions_are_published_byte_for_byte() {
        for value in [
            r#"{"$serde_json::private::RawValue":"[1]"}"#,
            r#"{"$serde_json::private::RawValue":"not JSON"}"#,
            r#"{"$serde_json::private::Number":"7"}"#,
            r#"[{"":0},{"b":1.50,"a":1e2},"\u003c"]"#,
        ] {
            let json = published(&format!(r#"{{"z":0,"x":{value}}}"#));
            assert!(json.ends_with(&format!(r#","x":{value},"z":0}}"#)), "{json}");
        }
        for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
            let json = published(&format!(r#"{{"{name}":"[1]"}}"#));
            assert!(json.ends_with(&format!(r#","{name}":"[1]"}}"#)), "{json}");
        }
    }

    #[test]
    fn a_spec_with_reserved_names_that_cant_be_decoded_keeps_its_claim() {
        let json = r#"{"tenantId":"acme","dids":["+15551234567",7],"x":{"$serde_json::private::RawValue":"{"},
            "webhookSecretRef":{"name":"hook","key":["k"]},"deletionPolicy":"Retain"}"#;
        let claimed = claimed(json);
        assert_eq!(claimed.tenant.unwrap().as_str(), "acme");
        assert_eq!(claimed.dids.len(), 1);
        assert_eq!((claimed.secret.as_deref(), claimed.secret_key), (Some("hook"), None));
        assert_eq!(claimed.deletion_policy, DeletionPolicy::Retain);
        assert_eq!(claimed.eligibility, Eligibility::Unreadable);
    }

    #[test]
    fn of_a_spec_that_is_too_large_nothing_is_claimed_but_what_is_live() {
        let json = SPEC.replace("EXTENSIONS", &format!(r#"{{"x":"{}"}}"#, "x".repeat(1000)));
        assert_eq!(claimed_within(&json, json.len()).eligibility, Eligibility::Active);
        let claimed = claimed_within(&json, json.len() - 1);
        assert_eq!(claimed.tenant.unwrap().as_str(), "acme");
        assert_eq!(
            (claimed.dids, claimed.eligibility, claimed.hash),
            (vec![], Eligibility::Unreadable, None)
        );
    }

    #[test]
    fn a_field_that_cant_be_decoded_is_named() {
        let error = read(r#"{"tenantId": "acme", "dids": ["+15550001111", 7]}"#).unwrap_err();
        assert!(error.starts_with("spec.dids[1] invalid type"), "{error}");
        assert!(!error.contains("line"), "{error}");
    }
}
