//! The members of `RuntimeTenantConfig`, as the contract's tables have them: a new one is a line here.

use super::rule::{MAX_SAFE_INTEGER, MODE, Member, Rule, Variant};

/// The contract's version: the only value of `contractVersion`.
pub const CONTRACT_VERSION: &str = "v1";
/// The member that refers to the webhook secret.
pub const WEBHOOK_SECRET_REF: &str = "webhookSecretRef";
/// The member that holds the webhook secret itself.
pub const WEBHOOK_SECRET: &str = "webhookSecret";

const TEXT: Rule = Rule::Text { min: 1, max: usize::MAX };
const STRING: Rule = Rule::Text { min: 0, max: usize::MAX };
/// The runtime checks of a URL only that it is not empty.
const URL: Rule = TEXT;
const POSITIVE: Rule = Rule::Integer { min: 1, max: MAX_SAFE_INTEGER };
const NOT_NEGATIVE: Rule = Rule::Integer { min: 0, max: MAX_SAFE_INTEGER };
const TIMEOUT_SECS: Rule = Rule::Integer { min: 5, max: 600 };

const fn required(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: true }
}

const fn optional(name: &'static str, rule: Rule) -> Member {
    Member { name, rule, required: false }
}

const fn list(item: &'static Rule) -> Rule {
    Rule::List { item, min: 0, max: usize::MAX }
}

const fn filled_list(item: &'static Rule) -> Rule {
    Rule::List { item, min: 1, max: usize::MAX }
}

/// The top level. Beside what each member's rule says, one of the two webhook members must be there.
pub(super) const TENANT: &[Member] = &[
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
pub(super) const SECRET: &[Member] = &[optional(WEBHOOK_SECRET, TEXT)];

const CAPS: &[Member] = &[
    required("maxConcurrentCallsTenant", POSITIVE),
    required("maxCallsPerMinuteTenant", POSITIVE),
    optional("maxConcurrentCallsGlobal", POSITIVE),
];

/// One object for all modes: the contract requires no endpoint of any (see [`stt_members`] for who needs which).
const STT: &[Member] = &[
    required(MODE, Rule::OneOf(&SttMode::NAMES)),
    optional("whisperUrl", URL),
    required("chunkMs", POSITIVE),
    optional("language", TEXT),
    optional("config", Rule::Object(&[optional("url", URL)])),
];

const TTS: &[Variant] = &[
    Variant { mode: TtsMode::KokoroHttp.as_str(), members: KOKORO },
    Variant { mode: TtsMode::CoquiXtts.as_str(), members: COQUI },
    Variant { mode: TtsMode::ChatterboxHttp.as_str(), members: CHATTERBOX },
    Variant { mode: TtsMode::Qwen3TtsHttp.as_str(), members: QWEN3 },
];

const KOKORO: &[Member] = &[
    required("kokoroUrl", URL),
    optional("voice", TEXT),
    optional("format", TEXT),
    optional("sampleRate", POSITIVE),
    optional("rate", Rule::NumberIn(0.5, 1.5)),
];

const CLONED_VOICE: Rule = Rule::Object(&[required("speakerWavUrl", URL), optional("label", TEXT)]);
const VOICE_MODE: Rule = Rule::OneOf(&["preset", "cloned"]);

const COQUI: &[Member] = &[
    required("coquiXttsUrl", URL),
    optional("voice", TEXT),
    optional("speakerWavUrl", URL),
    optional("clonedVoice", CLONED_VOICE),
    optional("defaultVoiceMode", VOICE_MODE),
    optional("language", TEXT),
    optional("format", TEXT),
    optional("sampleRate", POSITIVE),
    optional("coquiTemperature", Rule::NumberIn(0.0, 2.0)),
    optional("coquiLengthPenalty", Rule::Number),
    optional("coquiRepetitionPenalty", Rule::Number),
    optional("coquiTopK", NOT_NEGATIVE),
    optional("coquiTopP", Rule::NumberIn(0.0, 1.0)),
    optional("coquiSpeed", Rule::NumberAbove(0.0)),
    optional("coquiSplitSentences", Rule::Boolean),
    optional("rate", Rule::NumberIn(0.8, 1.2)),
];

const CHATTERBOX: &[Member] = &[
    required("chatterboxUrl", URL),
    optional("chatterboxVariant", Rule::OneOf(&["turbo", "standard", "multilingual"])),
    optional("voice", TEXT),
    optional("language", TEXT),
    optional("format", TEXT),
    optional("sampleRate", POSITIVE),
    optional("clonedVoice", CLONED_VOICE),
    optional("defaultVoiceMode", VOICE_MODE),
    optional("speakerWavUrl", URL),
];

/// The contract names the subtalker's top-k and top-p without a range; they are held to those of the talker.
const QWEN3: &[Member] = &[
    required("qwen3TtsUrl", URL),
    optional("speaker", TEXT),
    optional("language", TEXT),
    optional("instruct", STRING),
    optional("format", TEXT),
    optional("sampleRate", POSITIVE),
    optional("qwen3DoSample", Rule::Boolean),
    optional("qwen3Temperature", Rule::NumberIn(0.0, 2.0)),
    optional("qwen3TopP", Rule::NumberIn(0.0, 1.0)),
    optional("qwen3TopK", NOT_NEGATIVE),
    optional("qwen3RepetitionPenalty", Rule::NumberIn(0.5, 2.0)),
    optional("qwen3MaxNewTokens", Rule::Integer { min: 1, max: 32768 }),
    optional("qwen3NonStreamingMode", Rule::Boolean),
    optional("qwen3SubtalkerDoSample", Rule::Boolean),
    optional("qwen3SubtalkerTopK", NOT_NEGATIVE),
    optional("qwen3SubtalkerTopP", Rule::NumberIn(0.0, 1.0)),
    optional("qwen3SubtalkerTemperature", Rule::NumberIn(0.0, 2.0)),
    optional("qwen3Streaming", Rule::Boolean),
];

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
    optional("audioUrl", URL),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const TRANSFER_PROFILE: &[Member] = &[
    required("id", TEXT),
    required("name", TEXT),
    optional("holder", TEXT),
    required("responsibilities", filled_list(&TEXT)),
    required("destination", TEXT),
    optional("audioUrl", URL),
    optional("timeoutSecs", TIMEOUT_SECS),
];

const QUICK_REPLY: &[Member] = &[
    optional("id", TEXT),
    required("match", filled_list(&Rule::Text { min: 4, max: usize::MAX })),
    required("reply", Rule::Text { min: 1, max: 4000 }),
];

/// The names that the contract knows at the top level: what no extension may be called.
pub const KNOWN_MEMBERS: [&str; TENANT.len()] = {
    let mut names = [""; TENANT.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = TENANT[index].name;
        index += 1;
    }
    names
};

/// How speech becomes text: the values of `stt.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SttMode {
    /// A Whisper server at `whisperUrl`.
    WhisperHttp,
    /// A server at `config.url` that takes a WAV and answers JSON.
    HttpWavJson,
    /// No speech recognition.
    Disabled,
}

impl SttMode {
    /// Every mode, in the contract's order.
    pub const ALL: [Self; 3] = [Self::WhisperHttp, Self::HttpWavJson, Self::Disabled];
    const NAMES: [&str; 3] = [Self::ALL[0].as_str(), Self::ALL[1].as_str(), Self::ALL[2].as_str()];

    /// The mode's name in the JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhisperHttp => "whisper_http",
            Self::HttpWavJson => "http_wav_json",
            Self::Disabled => "disabled",
        }
    }
}

/// How text becomes speech: the values of `tts.mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TtsMode {
    /// A Kokoro server.
    KokoroHttp,
    /// A Coqui XTTS server.
    CoquiXtts,
    /// A Chatterbox server.
    ChatterboxHttp,
    /// A Qwen3 TTS server.
    Qwen3TtsHttp,
}

impl TtsMode {
    /// Every mode, in the contract's order.
    pub const ALL: [Self; 4] = [Self::KokoroHttp, Self::CoquiXtts, Self::ChatterboxHttp, Self::Qwen3TtsHttp];

    /// The mode's name in the JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KokoroHttp => "kokoro_http",
            Self::CoquiXtts => "coqui_xtts",
            Self::ChatterboxHttp => "chatterbox_http",
            Self::Qwen3TtsHttp => "qwen3_tts_http",
        }
    }

    const fn members(self) -> &'static [Member] {
        match self {
            Self::KokoroHttp => KOKORO,
            Self::CoquiXtts => COQUI,
            Self::ChatterboxHttp => CHATTERBOX,
            Self::Qwen3TtsHttp => QWEN3,
        }
    }
}

/// The members that `tts` has in this mode, `mode` first: what stands beside them belongs to another mode, or is new.
pub fn tts_members(mode: TtsMode) -> impl Iterator<Item = &'static str> {
    std::iter::once(MODE).chain(mode.members().iter().map(|member| member.name))
}

/// The members that `stt` has in this mode, `mode` first.
///
/// The runtime lets each member pass in every mode; this says which one a mode makes use of.
pub fn stt_members(mode: SttMode) -> impl Iterator<Item = &'static str> {
    STT.iter().map(|member| member.name).filter(move |name| match *name {
        "whisperUrl" => mode == SttMode::WhisperHttp,
        "config" => mode == SttMode::HttpWavJson,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tts_mode_has_its_table() {
        let listed: Vec<_> = TTS.iter().map(|variant| variant.mode).collect();
        assert_eq!(listed, TtsMode::ALL.map(TtsMode::as_str));
        for (mode, variant) in TtsMode::ALL.into_iter().zip(TTS) {
            assert!(tts_members(mode).skip(1).eq(variant.members.iter().map(|member| member.name)));
        }
    }

    #[test]
    fn each_stt_mode_makes_use_of_its_own_endpoint() {
        let members = |mode| stt_members(mode).collect::<Vec<_>>();
        assert_eq!(members(SttMode::WhisperHttp), ["mode", "whisperUrl", "chunkMs", "language"]);
        assert_eq!(members(SttMode::HttpWavJson), ["mode", "chunkMs", "language", "config"]);
        assert_eq!(members(SttMode::Disabled), ["mode", "chunkMs", "language"]);
    }
}
