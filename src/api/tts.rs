//! Text to speech: one flat object, told apart by its mode.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::rules;
use super::rules::{needed_with, only_with, within};

/// The voice that answers. Numbers keep the form in which they were written.
///
/// The members stand in the contract's order; those that several modes share stand where `coqui_xtts` has them.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = needed_with("kokoroUrl", KOKORO),
    validation = needed_with("coquiXttsUrl", COQUI),
    validation = needed_with("chatterboxUrl", CHATTERBOX),
    validation = needed_with("qwen3TtsUrl", QWEN3),
    validation = only_with("kokoroUrl", &[KOKORO]),
    validation = only_with("coquiXttsUrl", &[COQUI]),
    validation = only_with("chatterboxUrl", &[CHATTERBOX]),
    validation = only_with("qwen3TtsUrl", &[QWEN3]),
    validation = only_with("chatterboxVariant", &[CHATTERBOX]),
    validation = only_with("voice", &[KOKORO, COQUI, CHATTERBOX]),
    validation = only_with("speakerWavUrl", &[COQUI, CHATTERBOX]),
    validation = only_with("clonedVoice", &[COQUI, CHATTERBOX]),
    validation = only_with("defaultVoiceMode", &[COQUI, CHATTERBOX]),
    validation = only_with("speaker", &[QWEN3]),
    validation = only_with("language", &[COQUI, CHATTERBOX, QWEN3]),
    validation = only_with("instruct", &[QWEN3]),
    validation = only_with("coquiTemperature", &[COQUI]),
    validation = only_with("coquiLengthPenalty", &[COQUI]),
    validation = only_with("coquiRepetitionPenalty", &[COQUI]),
    validation = only_with("coquiTopK", &[COQUI]),
    validation = only_with("coquiTopP", &[COQUI]),
    validation = only_with("coquiSpeed", &[COQUI]),
    validation = only_with("coquiSplitSentences", &[COQUI]),
    validation = only_with("qwen3DoSample", &[QWEN3]),
    validation = only_with("qwen3Temperature", &[QWEN3]),
    validation = only_with("qwen3TopP", &[QWEN3]),
    validation = only_with("qwen3TopK", &[QWEN3]),
    validation = only_with("qwen3RepetitionPenalty", &[QWEN3]),
    validation = only_with("qwen3MaxNewTokens", &[QWEN3]),
    validation = only_with("qwen3NonStreamingMode", &[QWEN3]),
    validation = only_with("qwen3SubtalkerDoSample", &[QWEN3]),
    validation = only_with("qwen3SubtalkerTopK", &[QWEN3]),
    validation = only_with("qwen3SubtalkerTopP", &[QWEN3]),
    validation = only_with("qwen3SubtalkerTemperature", &[QWEN3]),
    validation = only_with("qwen3Streaming", &[QWEN3]),
    validation = only_with("rate", &[KOKORO, COQUI]),
    validation = within("rate", COQUI, "0.8", "1.2")
)]
pub struct Tts {
    /// Which service speaks: "kokoro_http" (needs kokoroUrl), "coqui_xtts" (needs coquiXttsUrl), "chatterbox_http"
    /// (needs chatterboxUrl) or "qwen3_tts_http" (needs qwen3TtsUrl).
    pub mode: TtsMode,

    /// kokoro_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub kokoro_url: Option<String>,

    /// coqui_xtts: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub coqui_xtts_url: Option<String>,

    /// chatterbox_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub chatterbox_url: Option<String>,

    /// qwen3_tts_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub qwen3_tts_url: Option<String>,

    /// chatterbox_http: "turbo", "standard" or "multilingual".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatterbox_variant: Option<ChatterboxVariant>,

    /// kokoro_http, coqui_xtts, chatterbox_http: the voice's name, as in "default".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub voice: Option<String>,

    /// coqui_xtts, chatterbox_http: a recording of the voice to speak with; a text, usually a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    pub speaker_wav_url: Option<String>,

    /// coqui_xtts, chatterbox_http: a voice cloned from a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloned_voice: Option<ClonedVoice>,

    /// coqui_xtts, chatterbox_http: the voice that is used unless another is asked for, "preset" or "cloned".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_voice_mode: Option<DefaultVoiceMode>,

    /// qwen3_tts_http: the speaker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub speaker: Option<String>,

    /// coqui_xtts, chatterbox_http, qwen3_tts_http: the language to speak, as in "en".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub language: Option<String>,

    /// qwen3_tts_http: how to speak, in words, as in "calm and friendly"; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub instruct: Option<String>,

    /// The audio format, as in "wav".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub format: Option<String>,

    /// Samples a second, in hertz, as in 24000; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub sample_rate: Option<u32>,

    /// coqui_xtts: the sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub coqui_temperature: Option<Number>,

    /// coqui_xtts: the length penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_length_penalty: Option<Number>,

    /// coqui_xtts: the repetition penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_repetition_penalty: Option<Number>,

    /// coqui_xtts: how many of the likeliest tokens are sampled from; at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub coqui_top_k: Option<u32>,

    /// coqui_xtts: the share of probability that is sampled from; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub coqui_top_p: Option<Number>,

    /// coqui_xtts: how fast the voice is generated, 1 being as it is; more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 0, "exclusiveMinimum" = true))]
    pub coqui_speed: Option<Number>,

    /// coqui_xtts: whether a text is spoken sentence by sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_split_sentences: Option<bool>,

    /// qwen3_tts_http: whether tokens are sampled, rather than the likeliest taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_do_sample: Option<bool>,

    /// qwen3_tts_http: the sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub qwen3_temperature: Option<Number>,

    /// qwen3_tts_http: the share of probability that is sampled from; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub qwen3_top_p: Option<Number>,

    /// qwen3_tts_http: how many of the likeliest tokens are sampled from; at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub qwen3_top_k: Option<u32>,

    /// qwen3_tts_http: the repetition penalty; 0.5 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.5, max = 2))]
    pub qwen3_repetition_penalty: Option<Number>,

    /// qwen3_tts_http: how many tokens an utterance may take; 1 to 32768.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32768))]
    pub qwen3_max_new_tokens: Option<u32>,

    /// qwen3_tts_http: whether the whole text is taken in before speaking begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_non_streaming_mode: Option<bool>,

    /// qwen3_tts_http: whether the subtalker samples, rather than takes the likeliest token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_subtalker_do_sample: Option<bool>,

    /// qwen3_tts_http: how many of the likeliest tokens the subtalker samples from; at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub qwen3_subtalker_top_k: Option<u32>,

    /// qwen3_tts_http: the share of probability that the subtalker samples from; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub qwen3_subtalker_top_p: Option<Number>,

    /// qwen3_tts_http: the subtalker's sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub qwen3_subtalker_temperature: Option<Number>,

    /// qwen3_tts_http: whether audio is sent while it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_streaming: Option<bool>,

    /// How fast the voice speaks, 1 being as it is; 0.5 to 1.5 with kokoro_http, 0.8 to 1.2 with coqui_xtts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.5, max = 1.5))]
    pub rate: Option<Number>,
}

const KOKORO: &str = "kokoro_http";
const COQUI: &str = "coqui_xtts";
const CHATTERBOX: &str = "chatterbox_http";
const QWEN3: &str = "qwen3_tts_http";

/// Which service speaks.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtsMode {
    /// Kokoro, at `kokoroUrl`.
    #[serde(rename = "kokoro_http")]
    Kokoro,
    /// Coqui XTTS, at `coquiXttsUrl`.
    #[serde(rename = "coqui_xtts")]
    CoquiXtts,
    /// Chatterbox, at `chatterboxUrl`.
    #[serde(rename = "chatterbox_http")]
    Chatterbox,
    /// Qwen3 TTS, at `qwen3TtsUrl`.
    #[serde(rename = "qwen3_tts_http")]
    Qwen3,
}

/// A voice cloned from a recording.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClonedVoice {
    /// The recording; a text, usually a URL.
    #[schemars(length(min = 1, max = 2048))]
    pub speaker_wav_url: String,

    /// What people call this voice.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub label: Option<String>,
}

/// The voice that is used unless another is asked for.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum DefaultVoiceMode {
    /// The service's own voice.
    Preset,
    /// The cloned voice.
    Cloned,
}

/// Which model Chatterbox speaks with.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ChatterboxVariant {
    /// The fast one.
    Turbo,
    /// The usual one.
    Standard,
    /// The one for many languages.
    Multilingual,
}
