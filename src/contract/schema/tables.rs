//! The contract's tables: every member of `RuntimeTenantConfig` is one row here, and this is the only place that lists
//! them. The checks of documents and specs, the JSON Schema, and the bounds and CEL rules of the CRD are made of it.

use super::modes::{Modes, SttMode, TtsMode};
use super::rule::{MAX_SAFE_INTEGER, MODE, Member, Presence, Rule};

/// The contract's version: the only value of `contractVersion`.
pub const CONTRACT_VERSION: &str = "v1";
/// The member that refers to the webhook secret.
pub const WEBHOOK_SECRET_REF: &str = "webhookSecretRef";
/// The member that holds the webhook secret itself.
pub const WEBHOOK_SECRET: &str = "webhookSecret";

const TEXT: Rule = Rule::Text { min: 1, max: usize::MAX };
const STRING: Rule = Rule::Text { min: 0, max: usize::MAX };
const POSITIVE: Rule = Rule::Integer { min: 1, max: MAX_SAFE_INTEGER };
const NOT_NEGATIVE: Rule = Rule::Integer { min: 0, max: MAX_SAFE_INTEGER };
const TIMEOUT_SECS: Rule = Rule::Integer { min: 5, max: 600 };

/// The runtime refuses a config without it.
const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, presence: Presence::Required, modes: Modes::ALL }
}

/// The runtime takes a config without it; a resource must have it.
const fn expected(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, presence: Presence::Expected, modes: Modes::ALL }
}

const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, presence: Presence::Optional, modes: Modes::ALL }
}

const fn list(item: &'static Rule) -> Rule {
    Rule::List { item, min: 0, max: usize::MAX }
}

const fn filled_list(item: &'static Rule) -> Rule {
    Rule::List { item, min: 1, max: usize::MAX }
}

/// The members of the whole document. Beside the rows, one of the two webhook members must be given.
pub const CONFIG: &[Member] = &[
    required("contractVersion", Rule::OneOf(&[CONTRACT_VERSION])),
    required("tenantId", TEXT),
    required("dids", filled_list(&Rule::Did)),
    optional(WEBHOOK_SECRET_REF, TEXT),
    optional(WEBHOOK_SECRET, TEXT),
    required("caps", Rule::Object(CAPS)),
    required("stt", Rule::Object(STT)),
    required("tts", Rule::ByMode(TTS)),
    required("audio", Rule::Object(AUDIO)),
    optional("llmContext", Rule::Object(LLM_CONTEXT)),
    optional("callForwarding", Rule::Object(CALL_FORWARDING)),
    optional("transferProfiles", list(&Rule::Object(TRANSFER_PROFILE))),
    optional("assistantContext", Rule::Map(&TEXT)),
    optional("quickReplies", Rule::List { item: &Rule::Object(QUICK_REPLY), min: 0, max: 200 }),
];

/// The webhook secret by itself.
pub const SECRET: &[Member] = &[optional(WEBHOOK_SECRET, TEXT)];

const CAPS: &[Member] = &[
    required("maxConcurrentCallsTenant", POSITIVE),
    required("maxCallsPerMinuteTenant", POSITIVE),
    optional("maxConcurrentCallsGlobal", POSITIVE),
];

const WHISPER: Modes = SttMode::WhisperHttp.only();
const HTTP_WAV_JSON: Modes = SttMode::HttpWavJson.only();

const STT: &[Member] = &[
    required(MODE, Rule::OneOf(SttMode::NAMES)),
    expected("whisperUrl", Rule::HttpUrl).with(WHISPER),
    required("chunkMs", POSITIVE),
    optional("language", TEXT),
    expected("config", Rule::Object(&[expected("url", Rule::HttpUrl)])).with(HTTP_WAV_JSON),
];

const KOKORO: Modes = TtsMode::KokoroHttp.only();
const COQUI: Modes = TtsMode::CoquiXtts.only();
const CHATTERBOX: Modes = TtsMode::ChatterboxHttp.only();
const QWEN3: Modes = TtsMode::Qwen3TtsHttp.only();
const CLONING: Modes = COQUI.or(CHATTERBOX);

/// One table for all modes. The contract names the subtalker's top-k and top-p without a range; they have those of the
/// talker.
const TTS: &[Member] = &[
    required(MODE, Rule::OneOf(TtsMode::NAMES)),
    required("kokoroUrl", Rule::HttpUrl).with(KOKORO),
    required("coquiXttsUrl", Rule::HttpUrl).with(COQUI),
    required("chatterboxUrl", Rule::HttpUrl).with(CHATTERBOX),
    required("qwen3TtsUrl", Rule::HttpUrl).with(QWEN3),
    optional("chatterboxVariant", Rule::OneOf(&["turbo", "standard", "multilingual"])).with(CHATTERBOX),
    optional("voice", TEXT).with(KOKORO.or(CLONING)),
    optional("speakerWavUrl", TEXT).with(CLONING),
    optional("clonedVoice", Rule::Object(CLONED_VOICE)).with(CLONING),
    optional("defaultVoiceMode", Rule::OneOf(&["preset", "cloned"])).with(CLONING),
    optional("speaker", TEXT).with(QWEN3),
    optional("language", TEXT).with(CLONING.or(QWEN3)),
    optional("instruct", STRING).with(QWEN3),
    optional("format", TEXT),
    optional("sampleRate", POSITIVE),
    optional("coquiTemperature", Rule::NumberIn(0.0, 2.0)).with(COQUI),
    optional("coquiLengthPenalty", Rule::Number).with(COQUI),
    optional("coquiRepetitionPenalty", Rule::Number).with(COQUI),
    optional("coquiTopK", NOT_NEGATIVE).with(COQUI),
    optional("coquiTopP", Rule::NumberIn(0.0, 1.0)).with(COQUI),
    optional("coquiSpeed", Rule::NumberAbove(0.0)).with(COQUI),
    optional("coquiSplitSentences", Rule::Boolean).with(COQUI),
    optional("qwen3DoSample", Rule::Boolean).with(QWEN3),
    optional("qwen3Temperature", Rule::NumberIn(0.0, 2.0)).with(QWEN3),
    optional("qwen3TopP", Rule::NumberIn(0.0, 1.0)).with(QWEN3),
    optional("qwen3TopK", NOT_NEGATIVE).with(QWEN3),
    optional("qwen3RepetitionPenalty", Rule::NumberIn(0.5, 2.0)).with(QWEN3),
    optional("qwen3MaxNewTokens", Rule::Integer { min: 1, max: 32768 }).with(QWEN3),
    optional("qwen3NonStreamingMode", Rule::Boolean).with(QWEN3),
    optional("qwen3SubtalkerDoSample", Rule::Boolean).with(QWEN3),
    optional("qwen3SubtalkerTopK", NOT_NEGATIVE).with(QWEN3),
    optional("qwen3SubtalkerTopP", Rule::NumberIn(0.0, 1.0)).with(QWEN3),
    optional("qwen3SubtalkerTemperature", Rule::NumberIn(0.0, 2.0)).with(QWEN3),
    optional("qwen3Streaming", Rule::Boolean).with(QWEN3),
    optional("rate", Rule::NumberIn(0.5, 1.5)).with(KOKORO),
    optional("rate", Rule::NumberIn(0.8, 1.2)).with(COQUI),
];

const CLONED_VOICE: &[Member] = &[required("speakerWavUrl", TEXT), optional("label", TEXT)];

const AUDIO: &[Member] = &[
    optional("publicBaseUrl", TEXT),
    optional("storageDir", TEXT),
    optional("runtimeManaged", Rule::Boolean),
];

const LLM_CONTEXT: &[Member] = &[
    required("forwardingProfiles", list(&Rule::Object(FORWARDING_PROFILE))),
    required("pricing", Rule::Object(PRICING)),
    required("prompts", Rule::Object(PROMPTS)),
];

const FORWARDING_PROFILE: &[Member] =
    &[required("id", TEXT), required("name", TEXT), required("number", STRING), required("role", STRING)];

const PRICING: &[Member] = &[required("items", list(&Rule::Object(PRICING_ITEM))), optional("notes", STRING)];

const PRICING_ITEM: &[Member] = &[
    required("id", TEXT),
    required("name", TEXT),
    required("price", STRING),
    optional("description", STRING),
];

const PROMPTS: &[Member] = &[
    required("systemPreamble", STRING),
    required("schemaHint", STRING),
    required("policyPrompt", STRING),
    required("voicePrompt", STRING),
];

const CALL_FORWARDING: &[Member] = &[
    required("enabled", Rule::Boolean),
    required("destination", Rule::Destination),
    optional("forwardBeforeAnswer", Rule::Boolean),
    optional("audioUrl", Rule::HttpUrl),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const TRANSFER_PROFILE: &[Member] = &[
    required("id", TEXT),
    required("name", TEXT),
    optional("holder", TEXT),
    required("responsibilities", filled_list(&TEXT)),
    required("destination", TEXT),
    optional("audioUrl", Rule::HttpUrl),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const QUICK_REPLY: &[Member] = &[
    optional("id", TEXT),
    required("match", filled_list(&Rule::Text { min: 4, max: usize::MAX })),
    required("reply", Rule::Text { min: 1, max: 4000 }),
];

/// Returns the table's row of a top-level member. No extension may have the name of one.
#[must_use]
pub fn config_member(name: &str) -> Option<&'static Member> {
    CONFIG.iter().find(|member| member.name == name)
}
