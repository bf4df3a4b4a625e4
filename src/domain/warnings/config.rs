//! The warnings about a config, member by member, in the order of the spec.

use serde_json::{Map, Value};

use super::hours::of_hours;
use super::key::is_public_key;
use super::warning::Warning;
use crate::contract::{RuntimeTenantConfig, SttMode, TtsMode, trim};

type Object = Map<String, Value>;

/// Returns the warnings about a config that the contract accepts, in the order of the spec.
#[must_use]
pub fn of(config: &RuntimeTenantConfig) -> Vec<Warning> {
    let document = config.document();
    let mut found = Vec::new();
    if text(document, "telnyxPublicKey").is_some_and(|key| !is_public_key(key)) {
        found.push(Warning::new(
            "telnyxPublicKey",
            "is neither PEM nor hex or base64 of an Ed25519 key: newer runtimes refuse every webhook of the tenant with 401",
        ));
    }
    let object = |name: &str| document.get(name).and_then(Value::as_object);
    if let Some(stt) = object("stt") {
        of_stt(stt, &mut found);
    }
    if let Some(tts) = object("tts") {
        of_tts(tts, &mut found);
    }
    if let Some(context) = object("llmContext") {
        of_context(context, &mut found);
    }
    if let Some(forwarding) = object("callForwarding") {
        of_forwarding(forwarding, &mut found);
    }
    for (index, profile) in
        document.get("transferProfiles").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        of_audio_url(&format!("transferProfiles[{index}]"), profile, &mut found);
    }
    if let Some(playbook) = object("shopPlaybook") {
        of_playbook(playbook, &mut found);
    }
    if let Some(limits) = object("usageLimits") {
        of_limits(limits, &mut found);
    }
    if let Some(routing) = object("llmRouting") {
        of_routing(routing, &mut found);
    }
    found
}

fn text<'v>(object: &'v Object, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str)
}

fn is_zero(object: &Object, name: &str) -> bool {
    object.get(name).and_then(Value::as_f64) == Some(0.0)
}

fn of_stt(stt: &Object, found: &mut Vec<Warning>) {
    let mode = text(stt, "mode").unwrap_or_default();
    if [SttMode::OpenaiWhisper, SttMode::Deepgram].iter().any(|cloud| cloud.as_str() == mode) {
        found.push(Warning::new(
            "stt.mode",
            format!("runtimes that don't know {mode} refuse the whole config; those that do need a key of their own for it"),
        ));
    }
    if stt.contains_key("model") {
        found.push(Warning::new("stt.model", "is read by no known runtime"));
    }
    let url = stt.get("config").and_then(|config| config.get("url"));
    if url.is_some() && stt.contains_key("whisperUrl") {
        found.push(Warning::new("stt.config.url", "is used in place of whisperUrl, in every mode"));
    }
}

fn of_tts(tts: &Object, found: &mut Vec<Warning>) {
    let mode = text(tts, "mode").unwrap_or_default();
    let older = [TtsMode::KokoroHttp, TtsMode::CoquiXtts, TtsMode::ChatterboxHttp, TtsMode::Qwen3TtsHttp];
    if !older.iter().any(|older| older.as_str() == mode) {
        found.push(Warning::new(
            "tts.mode",
            format!("runtimes that don't know {mode} refuse the whole config; those that do speak with Kokoro in its place"),
        ));
    } else if mode != TtsMode::KokoroHttp.as_str() {
        found.push(Warning::new(
            "tts.mode",
            format!("{mode} is not spoken by the newest runtimes: they speak with Kokoro in its place"),
        ));
    } else if text(tts, "voice").is_some_and(|voice| !is_kokoro_voice(voice)) {
        found.push(Warning::new(
            "tts.voice",
            "is no voice of Kokoro (af_, am_, bf_ or bm_ and letters): the newest runtimes take their own in its place",
        ));
    }
}

/// Matches `^(a|b)[fm]_[a-z]+$` in any case.
fn is_kokoro_voice(voice: &str) -> bool {
    let voice = voice.to_ascii_lowercase();
    let name = ["af_", "am_", "bf_", "bm_"].iter().find_map(|prefix| voice.strip_prefix(prefix));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn of_context(context: &Object, found: &mut Vec<Warning>) {
    match context.get("businessHours").and_then(Value::as_object) {
        Some(hours) => of_hours("llmContext.businessHours", hours, found),
        None => found.push(Warning::new(
            "llmContext.businessHours",
            "is left out: newer runtimes say to callers that the tenant is closed",
        )),
    }
}

fn of_forwarding(forwarding: &Object, found: &mut Vec<Warning>) {
    let is = |name: &str, value: bool| forwarding.get(name) == Some(&Value::Bool(value));
    if is("enabled", true) && is("forwardBeforeAnswer", false) {
        found.push(Warning::new(
            "callForwarding.forwardBeforeAnswer",
            "is false, so that no call is forwarded: leave it out to forward calls",
        ));
    }
    of_audio_url("callForwarding", &Value::Object(forwarding.clone()), found);
}

fn of_audio_url(path: &str, object: &Value, found: &mut Vec<Warning>) {
    let url = object.get("audioUrl").and_then(Value::as_str).map(|url| trim(url).to_ascii_lowercase());
    if url.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
        found.push(Warning::new(format!("{path}.audioUrl"), "is no http or https URL: it may not be played"));
    }
}

fn of_playbook(playbook: &Object, found: &mut Vec<Warning>) {
    if is_zero(playbook, "quoteHoldCents") {
        found.push(Warning::new("shopPlaybook.quoteHoldCents", "is 0, which the runtime reads as 250000"));
    }
}

fn of_limits(limits: &Object, found: &mut Vec<Warning>) {
    if text(limits, "planTier") == Some("pilot") {
        found.push(Warning::new(
            "usageLimits.planTier",
            "is pilot: runtimes that know usageLimits but not this tier refuse the whole config",
        ));
    }
    if let Some(status @ ("suspended" | "canceled")) = text(limits, "billingStatus") {
        found.push(Warning::new("usageLimits.billingStatus", format!("is {status}: every call is refused")));
    }
    for name in ["maxMonthlyMinutesHardCap", "maxDailyCalls", "maxMonthlyCalls"] {
        if is_zero(limits, name) {
            found.push(Warning::new(format!("usageLimits.{name}"), "is 0: every call is refused"));
        }
    }
}

fn of_routing(routing: &Object, found: &mut Vec<Warning>) {
    if let Some(provider) = text(routing, "tenantProvider").filter(|provider| *provider != "openai") {
        found.push(Warning::new(
            "llmRouting.tenantProvider",
            format!("is {provider}: runtimes that know llmRouting but only openai refuse the whole config"),
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Returns the warnings of a valid config with this patch of its top level.
    fn warnings(patch: &Value) -> Vec<String> {
        let text = include_str!("../../../tests/fixtures/tenant-kokoro.json");
        let mut document: Object = serde_json::from_str(text).unwrap();
        document.shift_remove("llmContext");
        document.extend(patch.as_object().unwrap().clone());
        let config = RuntimeTenantConfig::from_document(document).unwrap();
        of(&config).iter().map(|warning| warning.path.clone()).collect()
    }

    fn kokoro(voice: &str) -> Value {
        json!({ "tts": { "mode": "kokoro_http", "kokoroUrl": "http://k", "voice": voice } })
    }

    fn context(hours: &Value) -> Value {
        let prompts =
            json!({ "systemPreamble": "", "schemaHint": "", "policyPrompt": "", "voicePrompt": "" });
        json!({ "llmContext": {
            "forwardingProfiles": [], "pricing": { "items": [] }, "prompts": prompts,
            "businessHours": { "timezone": "Europe/Berlin", "weekly": hours },
        }})
    }

    fn limits(patch: &Value) -> Value {
        let features = [
            "afterHoursMode",
            "smsFollowup",
            "calendarIntegration",
            "crmIntegration",
            "advancedAnalytics",
            "callRecording",
            "transcriptRetention",
            "multiLocation",
            "customWorkflows",
            "prioritySupport",
        ];
        let mut limits = json!({
            "planName": "Pro", "planTier": "professional", "billingStatus": "past_due", "overageMode": "throttle",
            "monthlyMinuteOverageRateCents": 0, "maxConcurrentCalls": 1, "includedMonthlyMinutes": 0,
            "maxMonthlyMinutesHardCap": 1, "maxDailyCalls": 1, "maxMonthlyCalls": 1, "maxKnowledgeBaseSizeMb": 0,
            "maxIntegrations": 0, "maxLocations": 0, "maxPhoneNumbers": 0, "maxAdminUsers": 0,
            "maxEscalationContacts": 0, "features": features.map(|name| (name.to_owned(), json!(true))).into_iter().collect::<Object>(),
        });
        limits.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        json!({ "usageLimits": limits })
    }

    #[test]
    fn a_config_that_all_runtimes_read_alike_has_no_warning() {
        assert_eq!(warnings(&kokoro("AF_Bella")), [""; 0]);
        let hours =
            json!({ "mon": { "open": "9:00", "close": " 17:00" }, "sun": { "closed": true, "open": "x" } });
        assert_eq!(warnings(&context(&hours))[1..], [""; 0]);
        assert_eq!(warnings(&limits(&json!({})))[1..], [""; 0]);
    }

    #[test]
    fn what_generations_of_the_runtime_read_differently_is_a_warning() {
        let forwarding = json!({ "enabled": true, "destination": "x", "forwardBeforeAnswer": false, "audioUrl": "data:," });
        let stt = json!({ "mode": "deepgram", "chunkMs": 5, "model": "m", "whisperUrl": "a", "config": { "url": "b" } });
        let profile = json!({ "id": "a", "name": "A", "responsibilities": ["r"], "destination": "d", "audioUrl": "ftp://a" });
        let blocked = json!({ "planTier": "pilot", "billingStatus": "canceled", "maxMonthlyMinutesHardCap": 0, "maxDailyCalls": 0.0, "maxMonthlyCalls": 0 });
        let cases: Vec<(Value, &[&str])> = vec![
            (json!({ "telnyxPublicKey": "0123456789abcdef" }), &["telnyxPublicKey"]),
            (json!({ "stt": stt }), &["stt.mode", "stt.model", "stt.config.url"]),
            (
                json!({ "callForwarding": forwarding }),
                &["callForwarding.forwardBeforeAnswer", "callForwarding.audioUrl"],
            ),
            (json!({ "transferProfiles": [profile] }), &["transferProfiles[0].audioUrl"]),
            (json!({ "shopPlaybook": { "quoteHoldCents": 0 } }), &["shopPlaybook.quoteHoldCents"]),
            (
                json!({ "llmRouting": { "mode": "tenant_api_key", "tenantProvider": "groq" } }),
                &["llmRouting.tenantProvider"],
            ),
            (
                limits(&blocked),
                &[
                    "usageLimits.planTier",
                    "usageLimits.billingStatus",
                    "usageLimits.maxMonthlyMinutesHardCap",
                    "usageLimits.maxDailyCalls",
                    "usageLimits.maxMonthlyCalls",
                ],
            ),
            (
                context(
                    &json!({ "fri": { "open": "17:00", "close": "9:00" }, "mon": { "open": "9", "close": "25:00" } }),
                ),
                &[
                    "llmContext.businessHours.weekly.mon.open",
                    "llmContext.businessHours.weekly.mon.close",
                    "llmContext.businessHours.weekly.fri.close",
                ],
            ),
        ];
        for (patch, paths) in cases {
            let found = warnings(&patch);
            let found: Vec<_> = found.iter().filter(|path| *path != "tts.voice").collect();
            assert_eq!(found, paths, "{patch}");
        }
        for voice in ["default", "af_", "cf_bella", "af_bella2", "xaf_bella"] {
            assert_eq!(warnings(&kokoro(voice)), ["tts.voice"], "{voice}");
        }
    }

    #[test]
    fn every_mode_but_kokoro_is_a_warning() {
        for mode in TtsMode::ALL {
            let url =
                mode.as_str().replace("_http", "").replace("coqui_xtts", "coquiXtts").replace("_tts", "Tts");
            let tts =
                json!({ "mode": mode.as_str(), format!("{url}Url"): "http://a", "kokoroUrl": "http://a" });
            let expected: &[&str] = if *mode == TtsMode::KokoroHttp { &[] } else { &["tts.mode"] };
            assert_eq!(warnings(&json!({ "tts": tts })), expected, "{mode:?}");
        }
    }

    #[test]
    fn a_context_without_hours_is_a_warning() {
        let mut context = context(&json!({}));
        context["llmContext"].as_object_mut().unwrap().shift_remove("businessHours");
        assert!(warnings(&context).contains(&"llmContext.businessHours".to_owned()));
    }
}
