//! A stored config, without its secrets.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest, Sha1};

use crate::contract::{
    DocumentPath, ParseConfigError, RuntimeTenantConfig, TenantId, Violation, WEBHOOK_SECRET,
    WEBHOOK_SECRET_REF, config_key, read_json,
};

/// The text that stands for a secret.
const HIDDEN: &str = "***";
/// The most faults of a config that are listed.
const MAX_FAULTS: usize = 20;

/// A stored config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigFacts {
    /// The key that the voice runtime reads.
    pub key: String,
    /// Its length.
    pub bytes: usize,
    /// The SHA-1 of its bytes; none of one that is too large to be read.
    pub sha1: Option<String>,
    /// True if the voice runtime accepts it; none where it is too large to be read.
    pub valid: Option<bool>,
    /// The faults for which the runtime refuses it.
    pub faults: Vec<Fault>,
    /// The DIDs that it lists.
    pub dids: Vec<String>,
    /// The tenant id in it; another than the key's is a mistake of its publisher.
    pub tenant_id: Option<String>,
    /// Its JSON, with `***` for secrets, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
}

/// A fault of a config. It never quotes the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// The kind of fault.
    pub code: String,
    /// The place, as in `dids[1]`; empty: the whole document.
    pub path: String,
    /// The rule that must hold there.
    pub message: String,
}

impl From<&Violation> for Fault {
    fn from(violation: &Violation) -> Self {
        let code = serde_json::to_value(violation.code).unwrap_or_default();
        Self {
            code: code.as_str().unwrap_or_default().to_owned(),
            path: violation.path.to_string(),
            message: violation.rule.clone(),
        }
    }
}

impl ConfigFacts {
    /// The facts of a config that is too large to be read.
    pub(super) fn unread(tenant: &TenantId, bytes: usize) -> Self {
        Self {
            key: config_key(tenant),
            bytes,
            sha1: None,
            valid: None,
            faults: Vec::new(),
            dids: Vec::new(),
            tenant_id: None,
            document: None,
        }
    }

    /// The facts of a config, by the contract's own reader.
    pub(super) fn of(tenant: &TenantId, bytes: &SecretSlice<u8>, document: bool) -> Self {
        let bytes = bytes.expose_secret();
        let mut facts = Self {
            sha1: Some(format!("{:x}", Sha1::digest(bytes))),
            document: document.then(|| shown(bytes)).flatten(),
            ..Self::unread(tenant, bytes.len())
        };
        match RuntimeTenantConfig::parse(bytes) {
            Ok(config) => {
                facts.valid = Some(true);
                facts.dids = config.dids().iter().map(ToString::to_string).collect();
                facts.tenant_id = Some(config.tenant_id().to_string());
            }
            Err(error) => {
                facts.valid = Some(false);
                facts.faults = match error {
                    ParseConfigError::Invalid(invalid) => {
                        invalid.violations.iter().take(MAX_FAULTS).map(Fault::from).collect()
                    }
                    ParseConfigError::NotJson(error) => vec![Fault {
                        code: "not_json".to_owned(),
                        path: DocumentPath::default().to_string(),
                        message: error.to_string(),
                    }],
                };
            }
        }
        facts
    }
}

/// The document with `***` for its secrets; none where it is no JSON object. A `webhookSecretRef` that is no reference is the secret
/// itself to the runtime.
fn shown(bytes: &[u8]) -> Option<Value> {
    let mut document = read_json(bytes).ok().filter(Value::is_object)?;
    let is_reference = |text: &str| text.starts_with("env:") || text.starts_with("secret://");
    if let Some(secret) = document.get_mut(WEBHOOK_SECRET) {
        *secret = HIDDEN.into();
    }
    if let Some(reference) = document.get_mut(WEBHOOK_SECRET_REF)
        && !reference.as_str().is_some_and(is_reference)
    {
        *reference = HIDDEN.into();
    }
    Some(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "whsec-canary";

    fn facts(json: &str) -> ConfigFacts {
        let tenant = TenantId::parse("acme").unwrap();
        ConfigFacts::of(&tenant, &json.as_bytes().to_vec().into(), true)
    }

    fn config(secrets: &str) -> String {
        format!(
            r#"{{"contractVersion":"v1","tenantId":"acme","dids":["+15551234567"],{secrets},
            "caps":{{"maxConcurrentCallsTenant":1,"maxCallsPerMinuteTenant":1}},"stt":{{"mode":"disabled","chunkMs":500}},
            "tts":{{"mode":"kokoro_http","kokoroUrl":"https://tts.example.com"}},"audio":{{}}}}"#
        )
    }

    #[test]
    fn a_valid_config_lists_its_dids_and_hides_its_secrets() {
        for secrets in [
            format!(r#""webhookSecret":"{CANARY}""#),
            format!(r#""webhookSecretRef":"{CANARY}""#),
            format!(r#""webhookSecretRef":"secret://hook/key","webhookSecret":"{CANARY}""#),
        ] {
            let facts = facts(&config(&secrets));
            assert_eq!((facts.valid, facts.dids.len(), facts.faults.len()), (Some(true), 1, 0));
            let text = serde_json::to_string(&facts).unwrap();
            assert!(text.contains("***") && !text.contains(CANARY), "{text}");
        }
        let shown = facts(&config(r#""webhookSecretRef":"env:HOOK""#)).document.unwrap();
        assert_eq!(shown[WEBHOOK_SECRET_REF], "env:HOOK");
    }

    #[test]
    fn a_config_that_the_runtime_refuses_has_faults_that_quote_nothing() {
        for json in [
            format!("{{\"webhookSecret\":\"{CANARY}\""),
            format!("\"{CANARY}\""),
            format!("{{\"webhookSecret\":\"{CANARY}\",\"dids\":[\"{CANARY}\"]}}"),
            format!("{{\"webhookSecret\":[\"{CANARY}\"]}}"),
        ] {
            let facts = facts(&json);
            assert_eq!(facts.valid, Some(false), "{json}");
            assert!(!facts.faults.is_empty());
            let faults = serde_json::to_string(&facts.faults).unwrap();
            assert!(!faults.contains(CANARY), "{faults}");
        }
    }
}
