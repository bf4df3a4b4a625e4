//! The contract's tables: every member of `RuntimeTenantConfig` is one row here, and this is the only place that lists
//! them. The checks of documents and specs, the JSON Schema, and the bounds and CEL rules of the CRD are made of it.

use super::modes::{Modes, SttMode, TtsMode};
use super::rule::{MODE, Member, Presence, Rule, UNLIMITED};

/// The contract's version: the only value of `contractVersion`.
pub const CONTRACT_VERSION: &str = "v1";
/// The member that refers to the webhook secret.
pub const WEBHOOK_SECRET_REF: &str = "webhookSecretRef";
/// The member that holds the webhook secret itself.
pub const WEBHOOK_SECRET: &str = "webhookSecret";
/// The member in which a control plane notes when it last published the config.
pub const LAST_PUBLISHED_AT: &str = "lastRuntimePublishedAt";

const TEXT: Rule = Rule::Text { min: 1, max: usize::MAX };
const STRING: Rule = Rule::Text { min: 0, max: usize::MAX };
const POSITIVE: Rule = Rule::Integer { min: 1, max: UNLIMITED };
const NOT_NEGATIVE: Rule = Rule::Integer { min: 0, max: UNLIMITED };
const NULLABLE_TIME: Rule = Rule::Nullable(&Rule::DateTime);
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

const fn short_list(item: &'static Rule, max: usize) -> Rule {
    Rule::List { item, min: 0, max }
}

const fn text_up_to(max: usize) -> Rule {
    Rule::Text { min: 1, max }
}

const fn string_up_to(max: usize) -> Rule {
    Rule::Text { min: 0, max }
}

/// The members of the whole document. Beside the rows, one of the two webhook members must be given.
pub const CONFIG: &[Member] = &[
    required("contractVersion", Rule::Literal(CONTRACT_VERSION)),
    required("tenantId", TEXT),
    required("dids", filled_list(&Rule::Did)),
    optional(WEBHOOK_SECRET_REF, TEXT),
    optional(WEBHOOK_SECRET, TEXT),
    optional("telnyxPublicKey", Rule::Text { min: 16, max: usize::MAX }),
    required("caps", Rule::Object(CAPS)),
    required("stt", Rule::Object(STT)),
    required("tts", Rule::ByMode(TTS)),
    required("audio", Rule::Object(AUDIO)),
    optional("llmContext", Rule::Object(LLM_CONTEXT)),
    optional("callForwarding", Rule::Object(CALL_FORWARDING)),
    optional("transferProfiles", list(&Rule::Object(TRANSFER_PROFILE))),
    optional("shopPlaybook", Rule::Object(SHOP_PLAYBOOK)),
    optional("intakeProfile", Rule::Object(INTAKE_PROFILE)),
    optional("assistantContext", Rule::Map(&TEXT)),
    optional("quickReplies", short_list(&Rule::Object(QUICK_REPLY), 200)),
    optional("usageLimits", Rule::Object(USAGE_LIMITS)),
    optional("callQuality", Rule::Object(CALL_QUALITY)),
    optional("llmRouting", Rule::Object(LLM_ROUTING)),
    optional(LAST_PUBLISHED_AT, Rule::DateTime),
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
    optional("model", TEXT),
    expected("config", Rule::Object(&[expected("url", Rule::HttpUrl)])).with(HTTP_WAV_JSON),
];

const KOKORO: Modes = TtsMode::KokoroHttp.only();
const COQUI: Modes = TtsMode::CoquiXtts.only();
const CHATTERBOX: Modes = TtsMode::ChatterboxHttp.only();
const QWEN3: Modes = TtsMode::Qwen3TtsHttp.only();
const MISO: Modes = TtsMode::MisoTtsHttp.only();
const MAGPIE: Modes = TtsMode::MagpieTtsHttp.only();
const MELO: Modes = TtsMode::MeloTtsHttp.only();
const CLOUD: Modes = TtsMode::OpenaiTts.only().or(TtsMode::Elevenlabs.only());
const CLONING: Modes = COQUI.or(CHATTERBOX).or(MISO);
/// The modes with a voice that is chosen by name alone.
const NAMED_VOICE: Modes = KOKORO.or(MAGPIE).or(MELO).or(CLOUD);

/// One table for all modes.
const TTS: &[Member] = &[
    required(MODE, Rule::OneOf(TtsMode::NAMES)),
    required("kokoroUrl", Rule::HttpUrl).with(KOKORO),
    required("coquiXttsUrl", Rule::HttpUrl).with(COQUI),
    required("chatterboxUrl", Rule::HttpUrl).with(CHATTERBOX),
    required("qwen3TtsUrl", Rule::HttpUrl).with(QWEN3),
    required("misoTtsUrl", Rule::HttpUrl).with(MISO),
    required("magpieTtsUrl", Rule::HttpUrl).with(MAGPIE),
    required("meloTtsUrl", Rule::HttpUrl).with(MELO),
    optional("chatterboxVariant", Rule::OneOf(&["turbo", "standard", "multilingual"])).with(CHATTERBOX),
    optional("voice", TEXT).with(NAMED_VOICE.or(CLONING)),
    optional("speakerWavUrl", Rule::UrlText).with(CLONING),
    optional("speakerText", TEXT).with(MISO),
    optional("clonedVoice", Rule::Object(CLONED_VOICE)).with(CLONING),
    optional("defaultVoiceMode", Rule::OneOf(&["preset", "cloned"])).with(CLONING),
    optional("speaker", TEXT).with(QWEN3.or(MISO).or(MAGPIE).or(MELO)),
    optional("language", TEXT).with(COQUI.or(CHATTERBOX).or(QWEN3).or(MAGPIE).or(MELO)),
    optional("model", TEXT).with(CLOUD),
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
    optional("misoMaxAudioLengthMs", Rule::Integer { min: 500, max: 90_000 }).with(MISO),
    optional("misoTemperature", Rule::NumberIn(0.0, 2.0)).with(MISO),
    optional("misoTopK", Rule::Integer { min: 1, max: 1000 }).with(MISO),
    optional("magpieTemperature", Rule::NumberIn(0.05, 1.5)).with(MAGPIE),
    optional("magpieCfgScale", Rule::NumberIn(0.5, 5.0)).with(MAGPIE),
    optional("magpieTopK", Rule::Integer { min: 1, max: 200 }).with(MAGPIE),
    optional("magpieUseCfg", Rule::Boolean).with(MAGPIE),
    optional("magpieApplyTn", Rule::Boolean).with(MAGPIE),
    optional("meloSdpRatio", Rule::NumberIn(0.0, 1.0)).with(MELO),
    optional("meloNoiseScale", Rule::NumberIn(0.0, 2.0)).with(MELO),
    optional("meloNoiseScaleW", Rule::NumberIn(0.0, 2.0)).with(MELO),
    optional("rate", Rule::NumberIn(0.5, 1.5)).with(KOKORO),
    optional("rate", Rule::NumberIn(0.8, 1.2)).with(COQUI.or(MAGPIE).or(MELO)),
];

const CLONED_VOICE: &[Member] = &[required("speakerWavUrl", Rule::UrlText), optional("label", TEXT)];

const AUDIO: &[Member] = &[
    optional("publicBaseUrl", Rule::UrlText),
    optional("storageDir", TEXT),
    optional("runtimeManaged", Rule::Boolean),
];

const LLM_CONTEXT: &[Member] = &[
    required("forwardingProfiles", list(&Rule::Object(FORWARDING_PROFILE))),
    required("pricing", Rule::Object(PRICING)),
    required("prompts", Rule::Object(PROMPTS)),
    optional("businessHours", Rule::Object(BUSINESS_HOURS)),
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
    optional("greetingText", STRING),
];

const BUSINESS_HOURS: &[Member] = &[
    required("timezone", text_up_to(120)),
    required("weekly", Rule::Object(WEEK)),
    optional("afterHoursMessage", string_up_to(4000)),
];

const WEEK: &[Member] = &[
    optional("mon", Rule::Day(DAY)),
    optional("tue", Rule::Day(DAY)),
    optional("wed", Rule::Day(DAY)),
    optional("thu", Rule::Day(DAY)),
    optional("fri", Rule::Day(DAY)),
    optional("sat", Rule::Day(DAY)),
    optional("sun", Rule::Day(DAY)),
];

const DAY: &[Member] =
    &[optional("closed", Rule::Boolean), optional("open", text_up_to(8)), optional("close", text_up_to(8))];

const CALL_FORWARDING: &[Member] = &[
    required("enabled", Rule::Boolean),
    required("destination", Rule::Destination),
    optional("forwardBeforeAnswer", Rule::Boolean),
    optional("audioUrl", Rule::AudioUrl),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const TRANSFER_PROFILE: &[Member] = &[
    required("id", TEXT),
    required("name", TEXT),
    optional("holder", TEXT),
    required("responsibilities", filled_list(&TEXT)),
    required("destination", TEXT),
    optional("audioUrl", Rule::AudioUrl),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const QUICK_REPLY: &[Member] = &[
    optional("id", TEXT),
    required("match", filled_list(&Rule::Text { min: 4, max: usize::MAX })),
    required("reply", Rule::Text { min: 1, max: 4000 }),
];

const SHOP_PLAYBOOK: &[Member] = &[
    optional("version", POSITIVE),
    optional("publishedAt", Rule::DateTime),
    optional("vertical", Rule::OneOf(&["general", "plumbing", "hvac", "garage", "restoration"])),
    optional("serviceArea", Rule::Object(SERVICE_AREA)),
    optional("afterHoursFeeCents", NOT_NEGATIVE),
    optional("refuseServices", short_list(&text_up_to(200), 250)),
    optional("quoteHoldCents", NOT_NEGATIVE),
    optional("emergencyKeywords", Rule::List { item: &text_up_to(200), min: 1, max: 250 }),
    optional("membershipNames", short_list(&text_up_to(200), 100)),
    optional("onCallE164", Rule::LongDid),
    optional("onCallTimeoutSecs", Rule::Integer { min: 60, max: 90 }),
    optional("humanOverflowE164", Rule::LongDid),
    optional("digest", Rule::Object(DIGEST)),
    optional("stormMode", Rule::Object(STORM_MODE)),
];

const SERVICE_AREA: &[Member] = &[
    optional("zips", short_list(&Rule::Zip, 500)),
    optional("cities", short_list(&text_up_to(120), 250)),
    optional("radiusMiles", Rule::NumberAboveTo(0.0, 500.0)),
    optional("hubZip", Rule::Zip),
];

const DIGEST: &[Member] =
    &[optional("smsE164", Rule::LongDid), optional("emails", short_list(&Rule::Email, 20))];

const STORM_MODE: &[Member] = &[
    optional("enabled", Rule::Boolean),
    optional("note", string_up_to(1000)),
    optional("parallelAnswerCap", Rule::Integer { min: 1, max: 100 }),
    optional("expiresAt", Rule::DateTime),
];

const INTAKE_PROFILE: &[Member] = &[
    required("kind", Rule::OneOf(&["demo", "trades"])),
    required("writer", Rule::OneOf(&["gcal", "fsm"])),
    optional("timezone", text_up_to(80)),
    optional("timezoneOffsetHours", Rule::NumberIn(-12.0, 14.0)),
];

const USAGE_LIMITS: &[Member] = &[
    required("planName", TEXT),
    required("planTier", Rule::OneOf(&["starter", "professional", "premium", "enterprise", "pilot"])),
    required("billingStatus", Rule::OneOf(&["trial", "active", "past_due", "suspended", "canceled"])),
    required("overageMode", Rule::OneOf(&["allow_and_bill", "throttle", "hard_stop"])),
    required("monthlyMinuteOverageRateCents", NOT_NEGATIVE),
    optional("effectiveFrom", NULLABLE_TIME),
    optional("effectiveUntil", NULLABLE_TIME),
    required("maxConcurrentCalls", POSITIVE),
    required("includedMonthlyMinutes", NOT_NEGATIVE),
    required("maxMonthlyMinutesHardCap", NOT_NEGATIVE),
    required("maxDailyCalls", NOT_NEGATIVE),
    required("maxMonthlyCalls", NOT_NEGATIVE),
    required("maxKnowledgeBaseSizeMb", NOT_NEGATIVE),
    required("maxIntegrations", NOT_NEGATIVE),
    required("maxLocations", NOT_NEGATIVE),
    required("maxPhoneNumbers", NOT_NEGATIVE),
    required("maxAdminUsers", NOT_NEGATIVE),
    required("maxEscalationContacts", NOT_NEGATIVE),
    required("features", Rule::Object(FEATURES)),
];

const FEATURES: &[Member] = &[
    required("afterHoursMode", Rule::Boolean),
    required("smsFollowup", Rule::Boolean),
    required("calendarIntegration", Rule::Boolean),
    required("crmIntegration", Rule::Boolean),
    required("advancedAnalytics", Rule::Boolean),
    required("callRecording", Rule::Boolean),
    required("transcriptRetention", Rule::Boolean),
    required("multiLocation", Rule::Boolean),
    required("customWorkflows", Rule::Boolean),
    required("prioritySupport", Rule::Boolean),
];

const CALL_QUALITY: &[Member] = &[
    required("callQualityAnalyticsEnabled", Rule::Boolean),
    required("transcriptStorageEnabled", Rule::Boolean),
    required("qualitySummaryVisibleToClient", Rule::Boolean),
    required("rawArtifactsVisibleToClient", Rule::Boolean),
    required("transcriptRetentionDays", Rule::Integer { min: 1, max: 365 }),
    required(
        "rawAudioDiagnosticsMode",
        Rule::OneOf(&["off", "next_call_only", "failed_calls_only", "all_calls_temporary"]),
    ),
    optional("rawAudioDiagnosticsExpiresAt", NULLABLE_TIME),
    optional("rawAudioDiagnosticsEnabledBy", Rule::Nullable(&string_up_to(512))),
    optional("rawAudioDiagnosticsReason", Rule::Nullable(&string_up_to(4000))),
    optional("rawAudioDiagnosticsNextCallPending", Rule::Boolean),
];

const LLM_ROUTING: &[Member] = &[
    required("mode", Rule::OneOf(&["platform_default", "tenant_api_key"])),
    optional("tenantProvider", Rule::OneOf(&["openai", "anthropic", "google", "groq", "xai"])),
    optional("tenantModel", text_up_to(128)),
    optional("tenantApiKeyConfigured", Rule::Boolean),
    optional("tenantKeyErrorPolicy", Rule::OneOf(&["platform_default", "fail"])),
];

/// Returns the table's row of a top-level member. No extension may have the name of one.
#[must_use]
pub fn config_member(name: &str) -> Option<&'static Member> {
    CONFIG.iter().find(|member| member.name == name)
}
