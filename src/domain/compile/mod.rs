//! From a resource to the config that the runtime reads.

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;

use super::claims::Eligibility;
use crate::api::{DeletionPolicy, RuntimeTenantSpec};
use crate::contract::{
    CONTRACT_VERSION, Did, InvalidConfig, KNOWN_MEMBERS, RuntimeTenantConfig, SttMode, TenantId, TtsMode,
    WEBHOOK_SECRET_REF, is_white_space, stt_members, trim, tts_members,
};

/// What a spec asks for, as far as it can be made out, whatever else is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The tenant id, where there is one.
    pub tenant: Option<TenantId>,
    /// The numbers that are numbers, normalised, each once, in the order of the spec.
    pub dids: Vec<Did>,
    /// What they are worth.
    pub eligibility: Eligibility,
    /// The hash of its config without a secret while it has all these numbers; none while it is not to be published.
    pub hash: Option<String>,
    /// The name of the Secret that it refers to.
    pub secret: Option<String>,
    /// Whether the keys outlive the resource.
    pub retain: bool,
}

/// Reads a spec. The error says what can't be read.
pub fn read(json: &str) -> Result<RuntimeTenantSpec, String> {
    // To know the place of a fault costs as much as the reading; hardly any has one.
    if let Ok(spec) = serde_json::from_str(json) {
        return Ok(spec);
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let text = error.inner().to_string();
        // Where in the JSON, which nobody has seen in that form.
        let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
        format!("spec.{} {what}", error.path())
    })
}

/// What a spec claims.
#[must_use]
pub fn claimed(json: &str) -> Claimed {
    if let Ok(spec) = read(json) {
        let dids = numbers(spec.dids.iter().map(String::as_str));
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
            retain: spec.deletion_policy == DeletionPolicy::Retain,
        }
    } else {
        let spec: Value = serde_json::from_str(json).unwrap_or_default();
        let dids = spec["dids"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Claimed {
            tenant: spec["tenantId"].as_str().and_then(|tenant| TenantId::parse(tenant).ok()),
            dids: numbers(dids),
            eligibility: Eligibility::Unreadable,
            hash: None,
            secret: spec["webhookSecretRef"]["name"].as_str().map(str::to_owned),
            retain: spec["deletionPolicy"] == "Retain",
        }
    }
}

/// The numbers among `texts`, normalised, each once, in their order.
fn numbers<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Did> {
    let mut dids = Vec::new();
    for did in texts.filter_map(|text| Did::parse(text).ok()) {
        if !dids.contains(&did) {
            dids.push(did);
        }
    }
    dids
}

/// The config of a spec with the numbers that it holds, and without a secret's value: it may be shown.
///
/// Deterministic: members in the contract's order, then the extensions by name. The errors are everything that is
/// wrong, each naming the place in the spec and what must hold there.
pub fn compile(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<RuntimeTenantConfig, Vec<String>> {
    let mut document = Map::new();
    document.insert("contractVersion".to_owned(), CONTRACT_VERSION.into());
    document.insert("tenantId".to_owned(), spec.tenant_id.as_str().into());
    document.insert("dids".to_owned(), dids.iter().map(Did::as_str).collect());
    let reference = format!("secret://{}/{}", spec.webhook_secret_ref.name, spec.webhook_secret_ref.key);
    document.insert(WEBHOOK_SECRET_REF.to_owned(), reference.into());
    put(&mut document, "caps", Some(&spec.caps));
    put(&mut document, "stt", Some(&spec.stt));
    put(&mut document, "tts", Some(&spec.tts));
    put(&mut document, "audio", Some(&spec.audio.clone().unwrap_or_default()));
    put(&mut document, "llmContext", spec.llm_context.as_ref());
    put(&mut document, "callForwarding", spec.call_forwarding.as_ref());
    put(&mut document, "transferProfiles", spec.transfer_profiles.as_ref());
    put(&mut document, "assistantContext", spec.assistant_context.as_ref());
    put(&mut document, "quickReplies", spec.quick_replies.as_ref());
    let mut extensions: Vec<_> = spec.extensions.iter().filter(|(name, _)| !is_known(name)).collect();
    extensions.sort_by_key(|(name, _)| *name);
    for (name, value) in extensions {
        let mut value = value.clone();
        value.sort_all_objects();
        document.insert(name.clone(), value);
    }
    RuntimeTenantConfig::from_document(document).map_err(|invalid| violations(&invalid))
}

/// What is wrong with a config, as whoever wrote the spec reads it.
#[must_use]
pub fn faults(invalid: &InvalidConfig) -> Vec<String> {
    invalid.violations.iter().map(|violation| format!("spec.{violation}")).collect()
}

fn put<T: Serialize>(document: &mut Map<String, Value>, name: &str, value: Option<&T>) {
    // What the API's types hold is JSON: turning it into a value can't fail. A member that did would be missed by
    // the contract's check.
    if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
        document.insert(name.to_owned(), value);
    }
}

/// Everything in a spec that breaks a rule, which the API server may not have checked: an older CRD, an object stored
/// before a rule, lengths as the runtime counts them.
#[must_use]
pub fn check(spec: &RuntimeTenantSpec) -> Vec<String> {
    checked(spec, &numbers(spec.dids.iter().map(String::as_str))).err().unwrap_or_default()
}

/// What [`compile`] gives for a spec that was checked, none without a number; or everything that [`check`] finds.
pub fn checked(spec: &RuntimeTenantSpec, dids: &[Did]) -> Result<Option<RuntimeTenantConfig>, Vec<String>> {
    let mut faults = rules_beside_the_contract(spec);
    let all;
    let some = if dids.is_empty() {
        all = numbers(spec.dids.iter().map(String::as_str));
        &all
    } else {
        dids
    };
    // A spec without one good number has been told so by the rules.
    let compiled = if some.is_empty() { None } else { Some(compile(spec, some)) };
    match compiled.transpose() {
        Ok(config) if faults.is_empty() => Ok(config.filter(|_| !dids.is_empty())),
        Ok(_) => Err(faults),
        Err(more) => {
            faults.extend(more);
            Err(faults)
        }
    }
}

fn rules_beside_the_contract(spec: &RuntimeTenantSpec) -> Vec<String> {
    let mut faults = Vec::new();
    tenant_id(spec, &mut faults);
    dids(spec, &mut faults);
    endpoints(spec, &mut faults);
    modes(spec, &mut faults);
    for name in spec.extensions.keys().filter(|name| is_known(name)) {
        faults.push(format!("spec.extensions.{name} must not be a field that the contract knows"));
    }
    faults
}

fn is_known(extension: &str) -> bool {
    KNOWN_MEMBERS.contains(&extension)
}

fn tenant_id(spec: &RuntimeTenantSpec, faults: &mut Vec<String>) {
    let id = &spec.tenant_id;
    if !(1..=253).contains(&id.chars().count()) {
        faults.push("spec.tenantId must have 1 to 253 characters".to_owned());
    }
    if id.chars().any(char::is_control) {
        faults.push("spec.tenantId must not contain control characters".to_owned());
    }
    if trim(id) != id {
        faults.push("spec.tenantId must not begin or end with white space".to_owned());
    }
}

fn dids(spec: &RuntimeTenantSpec, faults: &mut Vec<String>) {
    let mut seen = Vec::new();
    for (place, text) in spec.dids.iter().enumerate() {
        match Did::parse(text) {
            Err(error) => faults.push(format!("spec.dids[{place}] {error}")),
            Ok(did) if seen.contains(&did) => {
                faults.push(format!(
                    "spec.dids[{place}] must not be listed twice (as {did}, without white space)"
                ));
            }
            Ok(did) => seen.push(did),
        }
    }
    if spec.dids.is_empty() {
        faults.push("spec.dids must list at least one number".to_owned());
    }
}

fn endpoints(spec: &RuntimeTenantSpec, faults: &mut Vec<String>) {
    let tts = &spec.tts;
    let mut urls = vec![
        ("spec.stt.whisperUrl".to_owned(), spec.stt.whisper_url.as_ref()),
        ("spec.stt.config.url".to_owned(), spec.stt.config.as_ref().and_then(|config| config.url.as_ref())),
        ("spec.tts.kokoroUrl".to_owned(), tts.kokoro_url.as_ref()),
        ("spec.tts.coquiXttsUrl".to_owned(), tts.coqui_xtts_url.as_ref()),
        ("spec.tts.chatterboxUrl".to_owned(), tts.chatterbox_url.as_ref()),
        ("spec.tts.qwen3TtsUrl".to_owned(), tts.qwen3_tts_url.as_ref()),
    ];
    let forwarding = spec.call_forwarding.as_ref();
    urls.push(("spec.callForwarding.audioUrl".to_owned(), forwarding.and_then(|to| to.audio_url.as_ref())));
    for (place, profile) in spec.transfer_profiles.iter().flatten().enumerate() {
        urls.push((format!("spec.transferProfiles[{place}].audioUrl"), profile.audio_url.as_ref()));
    }
    for (path, url) in urls {
        if url.is_some_and(|url| !is_absolute_http(url)) {
            faults.push(format!("{path} must be an absolute http or https URL"));
        }
    }
}

fn is_absolute_http(text: &str) -> bool {
    // The URL standard repairs what is not absolute ("http:host"), so the form is looked at first.
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
        && !text.contains(is_white_space)
        && Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

/// Members that another mode owns are refused: the runtime would ignore them in silence.
fn modes(spec: &RuntimeTenantSpec, faults: &mut Vec<String>) {
    let stt = serde_json::to_value(&spec.stt).unwrap_or_default();
    let tts = serde_json::to_value(&spec.tts).unwrap_or_default();
    let mode = |section: &Value| section["mode"].as_str().unwrap_or_default().to_owned();
    let stt_mode = SttMode::ALL.into_iter().find(|known| known.as_str() == mode(&stt));
    let tts_mode = TtsMode::ALL.into_iter().find(|known| known.as_str() == mode(&tts));
    for (section, value, allowed) in [
        ("stt", &stt, stt_mode.map(|mode| stt_members(mode).collect::<Vec<_>>())),
        ("tts", &tts, tts_mode.map(|mode| tts_members(mode).collect::<Vec<_>>())),
    ] {
        let Some(allowed) = allowed else { continue };
        for name in value.as_object().into_iter().flat_map(Map::keys) {
            if !allowed.contains(&name.as_str()) {
                faults.push(format!("spec.{section}.{name} must not be set when mode is {}", mode(value)));
            }
        }
    }
    if stt_mode == Some(SttMode::WhisperHttp) && spec.stt.whisper_url.is_none() {
        faults.push("spec.stt.whisperUrl must be set when mode is whisper_http".to_owned());
    }
    let url = spec.stt.config.as_ref().and_then(|config| config.url.as_ref());
    if stt_mode == Some(SttMode::HttpWavJson) && url.is_none() {
        faults.push("spec.stt.config.url must be set when mode is http_wav_json".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cant_be_read_is_named() {
        let error = read(r#"{"tenantId": "acme", "dids": ["+15550001111", 7]}"#).unwrap_err();
        assert!(error.starts_with("spec.dids[1] invalid type"), "{error}");
        assert!(!error.contains("line"), "{error}");
    }

    #[test]
    fn an_endpoint_is_an_absolute_url() {
        for good in ["http://a", "HTTPS://A.example:8443/x?y=z", "http://[::1]:80/"] {
            assert!(is_absolute_http(good), "{good}");
        }
        for bad in ["a", "//a", "http:a", "http://", "ftp://a", "http://a b", " http://a"] {
            assert!(!is_absolute_http(bad), "{bad}");
        }
    }
}
