//! Unusual valid specs: each line is a change to a valid spec, which is stored and read back unchanged.

use serde_json::{Value, json};

use super::{chatterbox, coqui, forwarding, kokoro, llm, qwen3, reply, transfer};

/// The name of a case, and the change.
pub type Line = (&'static str, Value);

#[rustfmt::skip] // a case is a line
fn names_and_numbers() -> Vec<Line> {
    vec![
        ("only the required members", json!({})),
        ("a tenant id of one character", json!({ "tenantId": "7" })),
        ("a tenant id of 253 characters of four bytes", json!({ "tenantId": "🏠".repeat(253) })),
        ("white space, colons and slashes within a tenant id", json!({ "tenantId": "Zahnärzte am Markt: a/b\u{a0}c" })),
        ("a tenant id that ends with a zero-width space, which is no white space", json!({ "tenantId": "a\u{200b}" })),
        ("the shortest number", json!({ "dids": ["+12"] })),
        ("the longest number", json!({ "dids": ["+123456789012345"] })),
        ("white space of every kind in a number", json!({ "dids": ["\u{feff}+1\t555\u{a0}000\u{2009}11 11\u{3000}"] })),
        ("a number at the start of another", json!({ "dids": ["+1555000", "+1 5550001111"] })),
        ("numbers out of order", json!({ "dids": ["+99", "+12", "+55 5"] })),
        ("a Secret's name with dots", json!({ "webhookSecretRef": { "name": "a.b-c.d", "key": "..data_KEY-1" } })),
        ("the largest caps", json!({ "caps": { "maxConcurrentCallsTenant": 2_147_483_647, "maxCallsPerMinuteTenant": 1, "maxConcurrentCallsGlobal": 1 } })),
        ("Retain", json!({ "deletionPolicy": "Retain" })),
        ("suspended from the start", json!({ "suspend": true })),
    ]
}

#[rustfmt::skip] // a case is a line
fn services() -> Vec<Line> {
    vec![
        ("a language without speech recognition", json!({ "stt": { "language": "pt-BR" } })),
        ("whisper_http", json!({ "stt": { "mode": "whisper_http", "whisperUrl": "https://user:pass@[2001:db8::1]:8443/a?b=c&d=%20#e" } })),
        ("http_wav_json", json!({ "stt": { "mode": "http_wav_json", "config": { "url": "http://10.0.0.255:65535" } } })),
        ("a scheme in upper case", kokoro(json!({ "kokoroUrl": "HTTPS://TTS.EXAMPLE.COM" }))),
        ("a host of one label that begins with a digit", kokoro(json!({ "kokoroUrl": "http://3com" }))),
        ("a host name that ends with a dot", kokoro(json!({ "kokoroUrl": "http://tts.voice.svc.cluster.local.:80/" }))),
        ("a query right after the host", kokoro(json!({ "kokoroUrl": "http://tts_1?voice=ä" }))),
        ("kokoro's lowest rate", kokoro(json!({ "rate": 0.5 }))),
        ("kokoro's highest rate, and all of its members", kokoro(json!({ "voice": "a", "format": "µ-law", "sampleRate": 1, "rate": 1.5 }))),
        ("coqui's bounds, low", coqui(json!({ "rate": 0.8, "coquiTemperature": 0, "coquiTopK": 0, "coquiTopP": 0, "coquiSpeed": 0.001 }))),
        ("coqui's bounds, high", coqui(json!({ "rate": 1.2, "coquiTemperature": 2, "coquiTopK": 2_147_483_647, "coquiTopP": 1, "coquiSpeed": 100 }))),
        ("penalties without bounds", coqui(json!({ "coquiLengthPenalty": -1.5, "coquiRepetitionPenalty": 1_000_000.25 }))),
        ("a recording that is no URL", coqui(json!({ "speakerWavUrl": "voices/a.wav", "clonedVoice": { "speakerWavUrl": "s3://a/b" }, "defaultVoiceMode": "cloned" }))),
        ("the cloned voice as default without one", chatterbox(json!({ "defaultVoiceMode": "cloned" }))),
        ("all members of chatterbox", chatterbox(json!({ "chatterboxVariant": "multilingual", "voice": "a", "language": "fi", "format": "wav", "sampleRate": 8000, "clonedVoice": { "speakerWavUrl": "a", "label": "b" }, "defaultVoiceMode": "preset", "speakerWavUrl": "c" }))),
        ("an empty instruction", qwen3(json!({ "instruct": "" }))),
        ("all members of qwen3", qwen3(json!({ "speaker": "a", "language": "b", "instruct": "c", "format": "d", "sampleRate": 24000, "qwen3DoSample": true, "qwen3Temperature": 2, "qwen3TopP": 1, "qwen3TopK": 0, "qwen3RepetitionPenalty": 0.5, "qwen3MaxNewTokens": 32768, "qwen3NonStreamingMode": false, "qwen3SubtalkerDoSample": false, "qwen3SubtalkerTopK": 1, "qwen3SubtalkerTopP": 0.25, "qwen3SubtalkerTemperature": 0, "qwen3Streaming": true }))),
    ]
}

#[rustfmt::skip] // a case is a line
fn conversations() -> Vec<Line> {
    vec![
        ("an empty audio", json!({ "audio": {} })),
        ("an address of audio that is no URL", json!({ "audio": { "publicBaseUrl": "/audio", "storageDir": "C:\\audio", "runtimeManaged": false } })),
        ("empty prompts and lists", llm(json!({}))),
        ("empty texts where they may be", llm(json!({ "forwardingProfiles": [{ "id": "a", "name": "A", "number": "", "role": "" }], "pricing": { "items": [{ "id": "b", "name": "B", "price": "", "description": "" }], "notes": "" } }))),
        ("two profiles with the same id", llm(json!({ "forwardingProfiles": [{ "id": "a", "name": "A", "number": "1", "role": "x" }, { "id": "a", "name": "A", "number": "1", "role": "x" }] }))),
        ("forwarding that is turned off, to a SIP URI with everything", forwarding(json!({ "enabled": false, "destination": "sips:desk;day=1@[2001:db8::1]:5061;transport=tls?subject=a", "forwardBeforeAnswer": true, "audioUrl": "https://a/b", "timeoutSecs": 5 }))),
        ("forwarding to a SIP host, in upper case", forwarding(json!({ "destination": "SIP:PBX.EXAMPLE.COM", "timeoutSecs": 600 }))),
        ("a transfer to an extension", transfer(json!({ "destination": "ext. 12", "holder": "Jo", "audioUrl": "http://a/b", "timeoutSecs": 600 }))),
        ("no transfers", json!({ "transferProfiles": [] })),
        ("a section name with dots and slashes", json!({ "assistantContext": { "a.b/c d": "x", "": "a section without a name" } })),
        ("a match of 4 characters", reply(json!({ "match": ["ÄÖÜ€", "wifi", "wifi"] }))),
        ("a reply of 4000 characters", reply(json!({ "id": "a", "reply": "ß".repeat(4000) }))),
        ("no replies", json!({ "quickReplies": [] })),
        ("a number with blanks, a dial string and a tel URI", forwarding(json!({ "destination": "(555) 123-4567" }))),
        ("a dial string", forwarding(json!({ "destination": "9,,1234#" }))),
        ("a telephone URI", forwarding(json!({ "destination": "tel:+1-555-123;ext=5" }))),
        ("extensions below objects of the spec", json!({ "extensions": { "caps": { "newer": 1 }, "stt": { "whisperUrl": "http://w" }, "tts": { "misoTopK": "x" }, "lastRuntimePublishedAt": "2026-09-30T12:00:00.000Z" } })),
        ("a day that is closed and has times", llm(json!({ "businessHours": { "timezone": "UTC", "weekly": { "mon": { "closed": true, "open": "9" }, "tue": { "closed": false, "open": "9", "close": "x" } }, "afterHoursMessage": "" } }))),
        ("an empty playbook", json!({ "shopPlaybook": {} })),
        ("extensions of every type", json!({ "extensions": { "a": 1, "b": -0.25, "c": "x", "d": [1, "y", { "z": null }], "e": { "tenantId": "its own" }, "f": true, "g": 9_007_199_254_740_993_i64, "TenantId": "another case" } })),
    ]
}

/// Returns all lines.
pub fn table() -> Vec<Line> {
    [names_and_numbers(), services(), conversations()].concat()
}
