//! Invalid specs: each line is a change to a valid spec, and (a part of) the message of the API server's refusal.
#![allow(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]

use serde_json::{Value, json};

use super::{chatterbox, coqui, forwarding, kokoro, llm, merge, qwen3, reply, transfer};

/// The name of a case, the change, and the message.
pub type Line = (&'static str, Value, &'static str);

const URL: &str = "must be an absolute http or https URL";
const DID: &str = "must be an E.164 number, white space aside: a plus sign, then 2 to 15 digits of which the first is not 0, as in +15551234567";
const DESTINATION: &str =
    "must be a phone number, a dial string, or a sip:, sips: or tel: URI, as in +15551234567";

#[rustfmt::skip] // a case is a line
fn tenant_ids() -> Vec<Line> {
    vec![
        ("no tenant id", json!({ "tenantId": null }), "spec.tenantId: Required value"),
        ("an empty tenant id", json!({ "tenantId": "" }), "spec.tenantId in body should be at least 1 chars long"),
        ("a tenant id that is a number", json!({ "tenantId": 7 }), "spec.tenantId in body must be of type string"),
        ("a tenant id of 254 characters", json!({ "tenantId": "é".repeat(254) }), "spec.tenantId: Too long: may not be more than 253"),
        ("a tenant id that begins with a blank", json!({ "tenantId": " a" }), "must not begin or end with white space"),
        ("a tenant id that ends with a no-break space", json!({ "tenantId": "a\u{a0}" }), "must not begin or end with white space"),
        ("a tenant id that begins with a byte order mark", json!({ "tenantId": "\u{feff}a" }), "must not begin or end with white space"),
        ("a tenant id that ends with a line separator", json!({ "tenantId": "a\u{2028}" }), "must not begin or end with white space"),
        ("a tenant id of white space", json!({ "tenantId": "\u{3000}" }), "must not begin or end with white space"),
        ("a line feed within a tenant id", json!({ "tenantId": "a\nb" }), "must not contain control characters"),
        ("a NUL within a tenant id", json!({ "tenantId": "a\u{0}b" }), "must not contain control characters"),
        ("a C1 control within a tenant id", json!({ "tenantId": "a\u{85}b" }), "must not contain control characters"),
    ]
}

#[rustfmt::skip] // a case is a line
fn numbers() -> Vec<Line> {
    let many: Vec<_> = (0..501).map(|n| format!("+1555{n:07}")).collect();
    vec![
        ("no numbers", json!({ "dids": null }), "spec.dids: Required value"),
        ("an empty list of numbers", json!({ "dids": [] }), "spec.dids in body should have at least 1 items"),
        ("more than 500 numbers", json!({ "dids": many }), "spec.dids: Too many: 501: must have at most 500 items"),
        ("an empty number", json!({ "dids": [""] }), "spec.dids[0] in body should be at least 1 chars long"),
        ("a number of white space", json!({ "dids": [" \t"] }), DID),
        ("a number without its plus", json!({ "dids": ["15550001111"] }), DID),
        ("a number that begins with 0", json!({ "dids": ["+05550001111"] }), DID),
        ("a number of one digit", json!({ "dids": ["+1"] }), DID),
        ("a number of 16 digits", json!({ "dids": ["+1234567890123456"] }), DID),
        ("a number with hyphens", json!({ "dids": ["+1-555-000-1111"] }), DID),
        ("a number with letters", json!({ "dids": ["+1555HOTELS"] }), DID),
        ("a number in digits of another script", json!({ "dids": ["+１５５５０００１１１１"] }), DID),
        ("two plus signs", json!({ "dids": ["++15550001111"] }), DID),
        ("a SIP address as a number", json!({ "dids": ["sip:a@example.com"] }), DID),
        ("a next-line character, which is no white space", json!({ "dids": ["+1555\u{85}0001111"] }), DID),
        ("a number as a JSON number", json!({ "dids": [15_550_001_111_i64] }), "spec.dids[0] in body must be of type string"),
        ("a number of more than 64 characters", json!({ "dids": [format!("+1555{}", " ".repeat(64))] }), "spec.dids[0]: Too long: may not be more than 64"),
        ("the same number twice", json!({ "dids": ["+15550001111", "+15550001111"] }), "numbers must be unique once their white space is removed"),
        ("the same number with and without a blank", json!({ "dids": ["+15550001111", "+1 5550001111"] }), "numbers must be unique once their white space is removed"),
        ("a number as people write it", json!({ "dids": ["+15550001111", "+1 (555) 010-0999"] }), "spec.dids[1]: Invalid value: \"+1 (555) 010-0999\": \"+1 (555) 010-0999\" must be an E.164 number"),
        ("a number with brackets, which are named", json!({ "dids": ["+1 (555) 010-0999"] }), "\"(\" is neither a digit nor white space"),
        ("a number without its plus, which is named", json!({ "dids": ["15550001111"] }), "it does not begin with a plus sign"),
        ("a number that begins with 0, which is named", json!({ "dids": ["+05550001111"] }), "its first digit is 0"),
        ("a number of one digit, which is said", json!({ "dids": ["+1"] }), "it has too few or too many digits"),
        ("two plus signs, which are named", json!({ "dids": ["++15550001111"] }), "it has more than one plus sign"),
        ("the same number with different white space", json!({ "dids": ["+1 5550001111", "+12", "+1\u{a0}5550001111"] }), "numbers must be unique once their white space is removed"),
    ]
}

#[rustfmt::skip] // a case is a line
fn secrets() -> Vec<Line> {
    vec![
        ("no reference to a Secret", json!({ "webhookSecretRef": null }), "spec.webhookSecretRef: Required value"),
        ("a reference without a name", json!({ "webhookSecretRef": { "name": null } }), "spec.webhookSecretRef.name: Required value"),
        ("a Secret's name in upper case", json!({ "webhookSecretRef": { "name": "Webhook" } }), "spec.webhookSecretRef.name in body should match"),
        ("a Secret of another namespace", json!({ "webhookSecretRef": { "name": "other/webhook" } }), "spec.webhookSecretRef.name in body should match"),
        ("an empty key", json!({ "webhookSecretRef": { "key": "" } }), "spec.webhookSecretRef.key in body should be at least 1 chars long"),
        ("a key with a slash", json!({ "webhookSecretRef": { "key": "a/b" } }), "spec.webhookSecretRef.key in body should match"),
        ("the reference as the JSON has it", json!({ "webhookSecretRef": "secret://a/b" }), "spec.webhookSecretRef in body must be of type object"),
        ("a secret's value", json!({ "webhookSecret": "whsec_example" }), "unknown field \"spec.webhookSecret\""),
    ]
}

#[rustfmt::skip] // a case is a line
fn caps() -> Vec<Line> {
    vec![
        ("no caps", json!({ "caps": null }), "spec.caps: Required value"),
        ("no cap on concurrent calls", json!({ "caps": { "maxConcurrentCallsTenant": null } }), "spec.caps.maxConcurrentCallsTenant: Required value"),
        ("no cap on calls a minute", json!({ "caps": { "maxCallsPerMinuteTenant": null } }), "spec.caps.maxCallsPerMinuteTenant: Required value"),
        ("no calls at all", json!({ "caps": { "maxConcurrentCallsTenant": 0 } }), "spec.caps.maxConcurrentCallsTenant in body should be greater than or equal to 1"),
        ("less than no calls", json!({ "caps": { "maxCallsPerMinuteTenant": -1 } }), "spec.caps.maxCallsPerMinuteTenant in body should be greater than or equal to 1"),
        ("half a call", json!({ "caps": { "maxConcurrentCallsGlobal": 0.5 } }), "spec.caps.maxConcurrentCallsGlobal in body must be of type int"),
        ("more calls than an int32 holds", json!({ "caps": { "maxConcurrentCallsGlobal": 2_147_483_648_i64 } }), "should be less than or equal to 2147483647"),
        ("a cap as a text", json!({ "caps": { "maxConcurrentCallsTenant": "10" } }), "spec.caps.maxConcurrentCallsTenant in body must be of type int"),
        ("a list of caps", json!({ "caps": [null] }), "spec.caps in body must be of type object"),
        ("a cap that the contract does not know", json!({ "caps": { "maxCalls": 1 } }), "unknown field \"spec.caps.maxCalls\""),
    ]
}

#[rustfmt::skip] // a case is a line
fn stt() -> Vec<Line> {
    vec![
        ("no stt", json!({ "stt": null }), "spec.stt: Required value"),
        ("an unknown stt mode", json!({ "stt": { "mode": "whisper" } }), "supported values: \"whisper_http\", \"http_wav_json\", \"disabled\", \"openai_whisper\", \"deepgram\""),
        ("no chunkMs", json!({ "stt": { "chunkMs": null } }), "spec.stt.chunkMs: Required value"),
        ("a chunkMs of 0", json!({ "stt": { "chunkMs": 0 } }), "spec.stt.chunkMs in body should be greater than or equal to 1"),
        ("an empty language", json!({ "stt": { "language": "" } }), "spec.stt.language in body should be at least 1 chars long"),
        ("whisper_http without its URL", json!({ "stt": { "mode": "whisper_http" } }), "whisperUrl must be set with mode whisper_http"),
        ("http_wav_json without its URL", json!({ "stt": { "mode": "http_wav_json", "config": {} } }), "config.url must be set with mode http_wav_json"),
        ("http_wav_json without its config", json!({ "stt": { "mode": "http_wav_json" } }), "config.url must be set with mode http_wav_json"),
        ("the URL of whisper_http with another mode", json!({ "stt": { "whisperUrl": "http://a" } }), "whisperUrl must be left out unless mode is whisper_http"),
        ("the config of http_wav_json with another mode", json!({ "stt": { "config": { "url": "http://a" } } }), "config must be left out unless mode is http_wav_json"),
        ("a whisperUrl that is none", json!({ "stt": { "mode": "whisper_http", "whisperUrl": "whisper:9000" } }), URL),
        ("a config.url that is none", json!({ "stt": { "mode": "http_wav_json", "config": { "url": "/stt" } } }), URL),
    ]
}

#[rustfmt::skip] // a case is a line
fn urls() -> Vec<Line> {
    let kokoro_url = |url: &str| json!({ "tts": { "kokoroUrl": url } });
    vec![
        ("an empty URL", kokoro_url(""), "spec.tts.kokoroUrl in body should be at least 1 chars long"),
        ("a URL without a scheme", kokoro_url("tts.example.com"), URL),
        ("a URL without a host", kokoro_url("http://"), URL),
        ("a URL with a port and no host", kokoro_url("http://:80/"), URL),
        ("an ftp URL", kokoro_url("ftp://tts.example.com"), URL),
        ("a URL with a blank", kokoro_url("http://tts.example.com/a b"), URL),
        ("a URL with a blank before it", kokoro_url(" http://tts.example.com"), URL),
        ("a URL with a no-break space", kokoro_url("http://tts.example.com/\u{a0}"), URL),
        ("a port beyond 65535", kokoro_url("http://tts.example.com:65536"), URL),
        ("a URL with a broken escape", kokoro_url("http://tts.example.com/%zz"), URL),
        ("an IPv4 address with 256", kokoro_url("http://10.0.0.256"), URL),
        ("one slash", kokoro_url("http:/tts.example.com"), URL),
        ("a URL of more than 2048 characters", kokoro_url(&format!("http://a/{}", "a".repeat(2040))), "spec.tts.kokoroUrl: Too long: may not be more than 2048"),
    ]
}

#[rustfmt::skip] // a case is a line
fn tts_modes() -> Vec<Line> {
    vec![
        ("no tts", json!({ "tts": null }), "spec.tts: Required value"),
        ("no tts mode", kokoro(json!({ "mode": null })), "spec.tts.mode: Required value"),
        ("an unknown tts mode", kokoro(json!({ "mode": "kokoro" })), "supported values: \"kokoro_http\", \"coqui_xtts\", \"chatterbox_http\", \"qwen3_tts_http\", \"miso_tts_http\", \"magpie_tts_http\", \"melo_tts_http\", \"openai_tts\", \"elevenlabs\""),
        ("kokoro without its URL", kokoro(json!({ "kokoroUrl": null })), "kokoroUrl must be set with mode kokoro_http"),
        ("coqui without its URL", coqui(json!({ "coquiXttsUrl": null })), "coquiXttsUrl must be set with mode coqui_xtts"),
        ("chatterbox without its URL", chatterbox(json!({ "chatterboxUrl": null })), "chatterboxUrl must be set with mode chatterbox_http"),
        ("qwen3 without its URL", qwen3(json!({ "qwen3TtsUrl": null })), "qwen3TtsUrl must be set with mode qwen3_tts_http"),
        ("two endpoints", kokoro(json!({ "coquiXttsUrl": "http://a" })), "coquiXttsUrl must be left out unless mode is coqui_xtts"),
        ("the endpoint of another mode", coqui(json!({ "kokoroUrl": "http://a" })), "kokoroUrl must be left out unless mode is kokoro_http"),
        ("a language for kokoro", kokoro(json!({ "language": "en" })), "language must be left out unless mode is coqui_xtts or chatterbox_http or qwen3_tts_http or magpie_tts_http or melo_tts_http"),
        ("a cloned voice for kokoro", kokoro(json!({ "clonedVoice": { "speakerWavUrl": "a" } })), "clonedVoice must be left out unless mode is coqui_xtts or chatterbox_http or miso_tts_http"),
        ("a variant for kokoro", kokoro(json!({ "chatterboxVariant": "turbo" })), "chatterboxVariant must be left out unless mode is chatterbox_http"),
        ("a rate for chatterbox", chatterbox(json!({ "rate": 1 })), "rate must be left out unless mode is kokoro_http or coqui_xtts or magpie_tts_http or melo_tts_http"),
        ("a temperature of coqui for chatterbox", chatterbox(json!({ "coquiTemperature": 1 })), "coquiTemperature must be left out unless mode is coqui_xtts"),
        ("a voice for qwen3", qwen3(json!({ "voice": "a" })), "voice must be left out with mode qwen3_tts_http"),
        ("a speaker recording for qwen3", qwen3(json!({ "speakerWavUrl": "a" })), "speakerWavUrl must be left out unless mode is coqui_xtts or chatterbox_http or miso_tts_http"),
        ("a default voice mode for qwen3", qwen3(json!({ "defaultVoiceMode": "preset" })), "defaultVoiceMode must be left out unless mode is coqui_xtts or chatterbox_http or miso_tts_http"),
        ("a speaker for coqui", coqui(json!({ "speaker": "a" })), "speaker must be left out unless mode is qwen3_tts_http or miso_tts_http or magpie_tts_http or melo_tts_http"),
        ("an instruction for coqui", coqui(json!({ "instruct": "" })), "instruct must be left out unless mode is qwen3_tts_http"),
        ("streaming for kokoro", kokoro(json!({ "qwen3Streaming": true })), "qwen3Streaming must be left out unless mode is qwen3_tts_http"),
        ("a member that no mode has", kokoro(json!({ "pitch": 1 })), "unknown field \"spec.tts.pitch\""),
    ]
}

#[rustfmt::skip] // a case is a line
fn tts_bounds() -> Vec<Line> {
    vec![
        ("a rate below kokoro's", kokoro(json!({ "rate": 0.49 })), "spec.tts.rate in body should be greater than or equal to 0.5"),
        ("a rate above kokoro's", kokoro(json!({ "rate": 1.51 })), "spec.tts.rate in body should be less than or equal to 1.5"),
        ("a rate below coqui's", coqui(json!({ "rate": 0.79 })), "rate must be from 0.8 to 1.2 with mode coqui_xtts or magpie_tts_http or melo_tts_http"),
        ("a rate above coqui's", coqui(json!({ "rate": 1.21 })), "rate must be from 0.8 to 1.2 with mode coqui_xtts or magpie_tts_http or melo_tts_http"),
        ("a rate as a text", kokoro(json!({ "rate": "1" })), "spec.tts.rate in body must be of type number"),
        ("an empty voice", kokoro(json!({ "voice": "" })), "spec.tts.voice in body should be at least 1 chars long"),
        ("an empty format", kokoro(json!({ "format": "" })), "spec.tts.format in body should be at least 1 chars long"),
        ("a sample rate of 0", kokoro(json!({ "sampleRate": 0 })), "spec.tts.sampleRate in body should be greater than or equal to 1"),
        ("a sample rate of 22050.5", kokoro(json!({ "sampleRate": 22050.5 })), "spec.tts.sampleRate in body must be of type int"),
        ("a cloned voice without a recording", coqui(json!({ "clonedVoice": { "label": "a" } })), "spec.tts.clonedVoice.speakerWavUrl: Required value"),
        ("an empty label of a cloned voice", coqui(json!({ "clonedVoice": { "speakerWavUrl": "a", "label": "" } })), "spec.tts.clonedVoice.label in body should be at least 1 chars long"),
        ("an unknown default voice mode", coqui(json!({ "defaultVoiceMode": "clone" })), "supported values: \"preset\", \"cloned\""),
        ("an unknown variant", chatterbox(json!({ "chatterboxVariant": "fast" })), "supported values: \"turbo\", \"standard\", \"multilingual\""),
        ("coqui's temperature above 2", coqui(json!({ "coquiTemperature": 2.1 })), "spec.tts.coquiTemperature in body should be less than or equal to 2"),
        ("coqui's top-k below 0", coqui(json!({ "coquiTopK": -1 })), "spec.tts.coquiTopK in body should be greater than or equal to 0"),
        ("coqui's top-p above 1", coqui(json!({ "coquiTopP": 1.01 })), "spec.tts.coquiTopP in body should be less than or equal to 1"),
        ("coqui's speed of 0", coqui(json!({ "coquiSpeed": 0 })), "spec.tts.coquiSpeed in body should be greater than 0"),
        ("coqui's splitting as a text", coqui(json!({ "coquiSplitSentences": "yes" })), "spec.tts.coquiSplitSentences in body must be of type boolean"),
        ("qwen3's temperature below 0", qwen3(json!({ "qwen3Temperature": -0.1 })), "spec.tts.qwen3Temperature in body should be greater than or equal to 0"),
        ("qwen3's top-p above 1", qwen3(json!({ "qwen3TopP": 2 })), "spec.tts.qwen3TopP in body should be less than or equal to 1"),
        ("qwen3's top-k of 1.5", qwen3(json!({ "qwen3TopK": 1.5 })), "spec.tts.qwen3TopK in body must be of type int"),
        ("qwen3's repetition penalty below 0.5", qwen3(json!({ "qwen3RepetitionPenalty": 0.4 })), "spec.tts.qwen3RepetitionPenalty in body should be greater than or equal to 0.5"),
        ("qwen3's repetition penalty above 2", qwen3(json!({ "qwen3RepetitionPenalty": 2.5 })), "spec.tts.qwen3RepetitionPenalty in body should be less than or equal to 2"),
        ("no new tokens", qwen3(json!({ "qwen3MaxNewTokens": 0 })), "spec.tts.qwen3MaxNewTokens in body should be greater than or equal to 1"),
        ("more than 32768 new tokens", qwen3(json!({ "qwen3MaxNewTokens": 32769 })), "spec.tts.qwen3MaxNewTokens in body should be less than or equal to 32768"),
        ("the subtalker's temperature above 2", qwen3(json!({ "qwen3SubtalkerTemperature": 3 })), "spec.tts.qwen3SubtalkerTemperature in body should be less than or equal to 2"),
    ]
}

#[rustfmt::skip] // a case is a line
fn audio_and_llm() -> Vec<Line> {
    vec![
        ("an empty publicBaseUrl", json!({ "audio": { "publicBaseUrl": "" } }), "spec.audio.publicBaseUrl in body should be at least 1 chars long"),
        ("an empty storageDir", json!({ "audio": { "storageDir": "" } }), "spec.audio.storageDir in body should be at least 1 chars long"),
        ("runtimeManaged as a text", json!({ "audio": { "runtimeManaged": "true" } }), "spec.audio.runtimeManaged in body must be of type boolean"),
        ("an llmContext without profiles", llm(json!({ "forwardingProfiles": null })), "spec.llmContext.forwardingProfiles: Required value"),
        ("an llmContext without pricing", llm(json!({ "pricing": null })), "spec.llmContext.pricing: Required value"),
        ("pricing without items", llm(json!({ "pricing": { "items": null } })), "spec.llmContext.pricing.items: Required value"),
        ("an llmContext without prompts", llm(json!({ "prompts": null })), "spec.llmContext.prompts: Required value"),
        ("no voice prompt", llm(json!({ "prompts": { "voicePrompt": null } })), "spec.llmContext.prompts.voicePrompt: Required value"),
        ("a profile without a role", llm(json!({ "forwardingProfiles": [{ "id": "a", "name": "A", "number": "" }] })), "spec.llmContext.forwardingProfiles[0].role: Required value"),
        ("a profile with an empty id", llm(json!({ "forwardingProfiles": [{ "id": "", "name": "A", "number": "", "role": "" }] })), "spec.llmContext.forwardingProfiles[0].id in body should be at least 1 chars long"),
        ("a price as a number", llm(json!({ "pricing": { "items": [{ "id": "a", "name": "A", "price": 5 }] } })), "spec.llmContext.pricing.items[0].price in body must be of type string"),
        ("an item with an empty name", llm(json!({ "pricing": { "items": [{ "id": "a", "name": "", "price": "" }] } })), "spec.llmContext.pricing.items[0].name in body should be at least 1 chars long"),
    ]
}

#[rustfmt::skip] // a case is a line
fn calls() -> Vec<Line> {
    vec![
        ("forwarding without a destination", forwarding(json!({ "destination": null })), "spec.callForwarding.destination: Required value"),
        ("forwarding without enabled", forwarding(json!({ "enabled": null })), "spec.callForwarding.enabled: Required value"),
        ("forwarding to a name", forwarding(json!({ "destination": "the front desk" })), DESTINATION),
        ("forwarding to a web address", forwarding(json!({ "destination": "https://example.com" })), DESTINATION),
        ("forwarding to a SIP URI without a host", forwarding(json!({ "destination": "sip:desk@" })), DESTINATION),
        ("forwarding with audio that is no URL", forwarding(json!({ "audioUrl": "hold.wav" })), URL),
        ("forwarding after 4 seconds", forwarding(json!({ "timeoutSecs": 4 })), "spec.callForwarding.timeoutSecs in body should be greater than or equal to 5"),
        ("forwarding after 601 seconds", forwarding(json!({ "timeoutSecs": 601 })), "spec.callForwarding.timeoutSecs in body should be less than or equal to 600"),
        ("a transfer without responsibilities", transfer(json!({ "responsibilities": [] })), "spec.transferProfiles[0].responsibilities in body should have at least 1 items"),
        ("an empty responsibility", transfer(json!({ "responsibilities": [""] })), "spec.transferProfiles[0].responsibilities[0] in body should be at least 1 chars long"),
        ("a transfer to nowhere", transfer(json!({ "destination": "" })), "spec.transferProfiles[0].destination in body should be at least 1 chars long"),
        ("a transfer with an empty holder", transfer(json!({ "holder": "" })), "spec.transferProfiles[0].holder in body should be at least 1 chars long"),
        ("a transfer without an id", transfer(json!({ "id": null })), "spec.transferProfiles[0].id: Required value"),
        ("a transfer with audio that is no URL", transfer(json!({ "audioUrl": "ftp://a/b" })), URL),
        ("a transfer after 601 seconds", transfer(json!({ "timeoutSecs": 601 })), "spec.transferProfiles[0].timeoutSecs in body should be less than or equal to 600"),
        ("more than 100 transfers", json!({ "transferProfiles": vec![transfer(json!({}))["transferProfiles"][0].clone(); 101] }), "spec.transferProfiles: Too many: 101: must have at most 100 items"),
    ]
}

#[rustfmt::skip] // a case is a line
fn answers() -> Vec<Line> {
    vec![
        ("a section without text", json!({ "assistantContext": { "hours": "" } }), "spec.assistantContext.hours in body should be at least 1 chars long"),
        ("a section that is no text", json!({ "assistantContext": { "hours": ["a"] } }), "spec.assistantContext.hours in body must be of type string"),
        ("a section name of 254 characters", json!({ "assistantContext": { "a".repeat(254): "a" } }), "section names must be at most 253 characters long"),
        ("a reply to nothing", reply(json!({ "match": [] })), "spec.quickReplies[0].match in body should have at least 1 items"),
        ("a match of 3 characters", reply(json!({ "match": ["hey"] })), "spec.quickReplies[0].match[0] in body should be at least 4 chars long"),
        ("an empty reply", reply(json!({ "reply": "" })), "spec.quickReplies[0].reply in body should be at least 1 chars long"),
        ("a reply of 4001 characters", reply(json!({ "reply": "a".repeat(4001) })), "spec.quickReplies[0].reply: Too long: may not be more than 4000"),
        ("a reply with an empty id", reply(json!({ "id": "" })), "spec.quickReplies[0].id in body should be at least 1 chars long"),
        ("201 replies", json!({ "quickReplies": vec![reply(json!({}))["quickReplies"][0].clone(); 201] }), "spec.quickReplies: Too many: 201: must have at most 200 items"),
    ]
}

fn merged(mut one: Value, other: &Value) -> Value {
    merge(&mut one, other);
    one
}

#[rustfmt::skip] // a case is a line
fn newest() -> Vec<Line> {
    let limits = |patch: Value| json!({ "callQuality": merged(json!({
        "callQualityAnalyticsEnabled": true, "transcriptStorageEnabled": true, "qualitySummaryVisibleToClient": true,
        "rawArtifactsVisibleToClient": true, "transcriptRetentionDays": 1, "rawAudioDiagnosticsMode": "off",
    }), &patch) });
    let hours = |day: Value| llm(json!({ "businessHours": { "timezone": "UTC", "weekly": { "mon": day } } }));
    let playbook = |members: Value| json!({ "shopPlaybook": members });
    vec![
        ("a short public key", json!({ "telnyxPublicKey": "short" }), "spec.telnyxPublicKey in body should be at least 16 chars long"),
        ("a redacted address", json!({ "audio": { "publicBaseUrl": "[redacted]" } }), "must not be a redacted value"),
        ("an empty day", hours(json!({})), "a day must have closed: true, or both open and close"),
        ("a day that is not closed", hours(json!({ "closed": false, "open": "9:00" })), "a day must have closed: true, or both open and close"),
        ("a ZIP code of four digits", playbook(json!({ "serviceArea": { "zips": ["9021"] } })), "must be five digits, as in 90210"),
        ("no emergency keywords", playbook(json!({ "emergencyKeywords": [] })), "spec.shopPlaybook.emergencyKeywords in body should have at least 1 items"),
        ("a short number on call", playbook(json!({ "onCallE164": "+1234567" })), "must be an E.164 number of 8 to 15 digits, as in +15551234567"),
        ("an email address without a domain", playbook(json!({ "digest": { "emails": ["desk"] } })), "must be an email address, as in desk@example.com"),
        ("a storm that ends on a day that does not exist", playbook(json!({ "stormMode": { "expiresAt": "2026-02-30T00:00Z" } })), "must be a time in UTC on a day that exists"),
        ("an unknown trade", playbook(json!({ "vertical": "roofing" })), "supported values: \"general\""),
        ("an intake without a writer", json!({ "intakeProfile": { "kind": "demo" } }), "spec.intakeProfile.writer: Required value"),
        ("usage limits without features", json!({ "usageLimits": { "planName": "Pro" } }), "spec.usageLimits.features: Required value"),
        ("transcripts for more than a year", limits(json!({ "transcriptRetentionDays": 366 })), "should be less than or equal to 365"),
        ("an unknown provider", json!({ "llmRouting": { "mode": "tenant_api_key", "tenantProvider": "mistral" } }), "supported values: \"openai\", \"anthropic\", \"google\", \"groq\", \"xai\""),
    ]
}

#[rustfmt::skip] // a case is a line
fn own_fields() -> Vec<Line> {
    vec![
        ("an unknown deletion policy", json!({ "deletionPolicy": "Keep" }), "supported values: \"Delete\", \"Retain\""),
        ("suspend as a text", json!({ "suspend": "true" }), "spec.suspend in body must be of type boolean"),
        ("an unknown field", json!({ "recording": {} }), "unknown field \"spec.recording\""),
        ("extensions that are a list", json!({ "extensions": ["a"] }), "spec.extensions in body must be of type object"),
        ("more than 64 extensions", json!({ "extensions": (0..65).map(|n| (format!("x{n}"), json!(n))).collect::<serde_json::Map<_, _>>() }), "spec.extensions: Too many: 65: must have at most 64 items"),
        ("the contract's version as an extension", json!({ "extensions": { "contractVersion": "v2" } }), "must be left out: the operator sets it"),
        ("a secret as an extension", json!({ "extensions": { "webhookSecret": "a" } }), "must be left out: put the value into a Secret, and refer to it in spec.webhookSecretRef"),
        ("a wrong time of a publish", json!({ "extensions": { "lastRuntimePublishedAt": "today" } }), "must be a time in UTC on a day that exists, as in 2026-09-30T12:00:00Z"),
        ("usage limits that the spec does not have", json!({ "extensions": { "usageLimits": { "newer": 1 } } }), "usageLimits is a field of spec: move it there"),
        ("an object of the context that the spec does not have", merged(llm(json!({})), &json!({ "extensions": { "llmContext": { "businessHours": {} } } })), "llmContext.businessHours is a field of spec: move it there"),
        ("a prompt as an extension", merged(llm(json!({})), &json!({ "extensions": { "llmContext": { "prompts": { "greetingText": "a" } } } })), "llmContext.prompts.greetingText is a field of spec: move it there"),
        ("a tenant id as an extension", json!({ "extensions": { "tenantId": "a" } }), "tenantId is a field of spec: move it there"),
        ("numbers as an extension", json!({ "extensions": { "dids": ["+12"] } }), "dids is a field of spec: move it there"),
        ("a secret's reference as an extension", json!({ "extensions": { "webhookSecretRef": "env:A" } }), "webhookSecretRef is a field of spec: move it there"),
        ("a cap as an extension", json!({ "extensions": { "caps": { "maxConcurrentCallsTenant": 1 } } }), "caps.maxConcurrentCallsTenant is a field of spec: move it there"),
        ("an stt mode as an extension", json!({ "extensions": { "stt": { "mode": "disabled" } } }), "stt.mode is a field of spec: move it there"),
        ("a tts format as an extension", json!({ "extensions": { "tts": { "format": "wav" } } }), "tts.format is a field of spec: move it there"),
        ("audio as an extension", json!({ "extensions": { "audio": {} } }), "audio is a field of spec: move it there"),
        ("an llmContext as an extension", json!({ "extensions": { "llmContext": {} } }), "llmContext is a field of spec: move it there"),
        ("forwarding as an extension", json!({ "extensions": { "callForwarding": {} } }), "callForwarding is a field of spec: move it there"),
        ("transfers as an extension", json!({ "extensions": { "transferProfiles": [] } }), "transferProfiles is a field of spec: move it there"),
        ("sections as an extension", json!({ "extensions": { "assistantContext": {} } }), "assistantContext is a field of spec: move it there"),
        ("replies as an extension", json!({ "extensions": { "quickReplies": [] } }), "quickReplies is a field of spec: move it there"),
        ("a public key as an extension", json!({ "extensions": { "telnyxPublicKey": "0123456789abcdef" } }), "telnyxPublicKey is a field of spec: move it there"),
        ("a field of the contract as an extension of another type", json!({ "extensions": { "caps": 1 } }), "spec.extensions.caps in body must be of type object"),
    ]
}

/// Returns all lines.
pub fn table() -> Vec<Line> {
    [
        tenant_ids(),
        numbers(),
        secrets(),
        caps(),
        stt(),
        urls(),
        tts_modes(),
        tts_bounds(),
        audio_and_llm(),
        calls(),
        answers(),
        newest(),
        own_fields(),
    ]
    .concat()
}
