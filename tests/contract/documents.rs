//! Documents to check, and a way to change them at any place.

use runtime_operator::contract::{InvalidConfig, ParseConfigError, RuntimeTenantConfig, Violation};
use serde_json::{Value, json};

pub const KOKORO: &str = include_str!("../fixtures/tenant-kokoro.json");
pub const CHATTERBOX: &str = include_str!("../fixtures/tenant-chatterbox.json");

/// A document with every member of the contract's first table, beside one of each kind of `tts`.
pub fn full(tts: &Value) -> Value {
    json!({
        "contractVersion": "v1",
        "tenantId": "acme",
        "dids": ["+15551234567", "+442079460958"],
        "webhookSecretRef": "secret://acme/webhookSecret",
        "webhookSecret": "whsec",
        "caps": {"maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 2, "maxConcurrentCallsGlobal": 3},
        "stt": {
            "mode": "http_wav_json", "whisperUrl": "w", "chunkMs": 100, "language": "en", "config": {"url": "u"},
        },
        "tts": tts,
        "audio": {"publicBaseUrl": "p", "storageDir": "s", "runtimeManaged": false},
        "llmContext": {
            "forwardingProfiles": [{"id": "i", "name": "n", "number": "", "role": ""}],
            "pricing": {"items": [{"id": "i", "name": "n", "price": "", "description": ""}], "notes": ""},
            "prompts": {"systemPreamble": "", "schemaHint": "", "policyPrompt": "", "voicePrompt": ""},
        },
        "callForwarding": {
            "enabled": true, "destination": "sip:desk@example.com", "forwardBeforeAnswer": false, "audioUrl": "a",
            "timeoutSecs": 5,
        },
        "transferProfiles": [{
            "id": "i", "name": "n", "holder": "h", "responsibilities": ["r"], "destination": "d", "audioUrl": "a",
            "timeoutSecs": 600,
        }],
        "assistantContext": {"hours": "nine to five"},
        "quickReplies": [{"id": "i", "match": ["four"], "reply": "r"}],
    })
}

pub fn every_tts() -> [Value; 4] {
    [
        json!({"mode": "kokoro_http", "kokoroUrl": "k", "voice": "v", "format": "wav", "sampleRate": 1, "rate": 0.5}),
        json!({
            "mode": "coqui_xtts", "coquiXttsUrl": "c", "voice": "v", "speakerWavUrl": "s",
            "clonedVoice": {"speakerWavUrl": "s", "label": "l"}, "defaultVoiceMode": "preset", "language": "en",
            "format": "wav", "sampleRate": 24000, "coquiTemperature": 2, "coquiLengthPenalty": -1.5,
            "coquiRepetitionPenalty": 10, "coquiTopK": 0, "coquiTopP": 1, "coquiSpeed": 0.1,
            "coquiSplitSentences": true, "rate": 1.2,
        }),
        json!({
            "mode": "chatterbox_http", "chatterboxUrl": "c", "chatterboxVariant": "multilingual", "voice": "v",
            "language": "en", "format": "wav", "sampleRate": 24000,
            "clonedVoice": {"speakerWavUrl": "s", "label": "l"}, "defaultVoiceMode": "cloned", "speakerWavUrl": "s",
        }),
        json!({
            "mode": "qwen3_tts_http", "qwen3TtsUrl": "q", "speaker": "s", "language": "en", "instruct": "",
            "format": "wav", "sampleRate": 24000, "qwen3DoSample": true, "qwen3Temperature": 0, "qwen3TopP": 0,
            "qwen3TopK": 50, "qwen3RepetitionPenalty": 0.5, "qwen3MaxNewTokens": 32768,
            "qwen3NonStreamingMode": false, "qwen3SubtalkerDoSample": true, "qwen3SubtalkerTopK": 0,
            "qwen3SubtalkerTopP": 1, "qwen3SubtalkerTemperature": 2, "qwen3Streaming": true,
        }),
    ]
}

pub fn check(document: &Value) -> Result<RuntimeTenantConfig, InvalidConfig> {
    match RuntimeTenantConfig::parse(document.to_string()) {
        Ok(config) => Ok(config),
        Err(ParseConfigError::Invalid(invalid)) => Err(invalid),
        Err(ParseConfigError::NotJson(error)) => panic!("{error}"),
    }
}

pub fn violations(document: &Value) -> Vec<Violation> {
    check(document).map_or_else(|invalid| invalid.violations, |_| Vec::new())
}

pub fn paths(document: &Value) -> Vec<String> {
    violations(document).into_iter().map(|violation| violation.path).collect()
}

/// The JSON pointers of everything inside `value`.
pub fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), member)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect()
        }
        _ => Vec::new(),
    };
    for (step, value) in inside {
        let at = format!("{at}/{step}");
        pointers(value, &at, found);
        found.push(at);
    }
}

/// `/dids/1` as a violation writes it: `dids[1]`.
pub fn path(pointer: &str) -> String {
    let steps = pointer.split('/').skip(1).map(|step| match step.parse::<usize>() {
        Ok(index) => format!("[{index}]"),
        Err(_) => format!(".{step}"),
    });
    steps.collect::<String>().trim_start_matches('.').to_owned()
}

pub fn every_place() -> Vec<(Value, String)> {
    let of = |document: Value| {
        let mut found = Vec::new();
        pointers(&document, "", &mut found);
        found.into_iter().map(move |pointer| (document.clone(), pointer))
    };
    every_tts().into_iter().flat_map(|tts| of(full(&tts))).collect()
}

pub fn set(document: &mut Value, pointer: &str, value: Value) {
    let (parent, step) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap() {
        Value::Array(items) => items[step.parse::<usize>().unwrap()] = value,
        parent => parent[step] = value,
    }
}
