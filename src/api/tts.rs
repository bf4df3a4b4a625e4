//! Text to speech: one flat object, whose allowed members depend on its mode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::contract::TtsMode;

/// The service that turns the assistant's text into speech. Numbers keep the form in which they were written.
///
/// The members stand in the order of the contract's table, which is also the order of the published JSON.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Tts {
    /// The kind of service: "kokoro_http" (needs kokoroUrl), "coqui_xtts" (needs coquiXttsUrl), "chatterbox_http" (needs
    /// chatterboxUrl) or "qwen3_tts_http" (needs qwen3TtsUrl).
    pub mode: TtsMode,

    /// kokoro_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kokoro_url: Option<String>,

    /// coqui_xtts: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_xtts_url: Option<String>,

    /// chatterbox_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatterbox_url: Option<String>,

    /// qwen3_tts_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_tts_url: Option<String>,

    /// chatterbox_http: the model, "turbo", "standard" or "multilingual".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatterbox_variant: Option<String>,

    /// kokoro_http, coqui_xtts, chatterbox_http: the voice's name, for example "default".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,

    /// coqui_xtts, chatterbox_http: a recording of the voice to use; a text, usually a URL; at most
    /// 2048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub speaker_wav_url: Option<String>,

    /// coqui_xtts, chatterbox_http: a voice cloned from a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloned_voice: Option<ClonedVoice>,

    /// coqui_xtts, chatterbox_http: the default voice, "preset" or "cloned".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_voice_mode: Option<String>,

    /// qwen3_tts_http: the speaker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,

    /// coqui_xtts, chatterbox_http, qwen3_tts_http: the language of the speech, for example "en".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,

    /// qwen3_tts_http: a description of the manner of speaking, for example "calm and friendly"; may be empty, at most 4000
    /// characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub instruct: Option<String>,

    /// The audio format, for example "wav".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,

    /// The sample rate in hertz, for example 24000; at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,

    /// coqui_xtts: the sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_temperature: Option<Number>,

    /// coqui_xtts: the length penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_length_penalty: Option<Number>,

    /// coqui_xtts: the repetition penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_repetition_penalty: Option<Number>,

    /// coqui_xtts: the number of most likely tokens to sample from (top-k); at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_top_k: Option<u32>,

    /// coqui_xtts: the share of probability to sample from (top-p); 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_top_p: Option<Number>,

    /// coqui_xtts: the speed of the generated speech, relative to normal speed (1); more than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_speed: Option<Number>,

    /// coqui_xtts: true generates the speech sentence by sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coqui_split_sentences: Option<bool>,

    /// qwen3_tts_http: true samples tokens; false always takes the most likely token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_do_sample: Option<bool>,

    /// qwen3_tts_http: the sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_temperature: Option<Number>,

    /// qwen3_tts_http: the share of probability to sample from (top-p); 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_top_p: Option<Number>,

    /// qwen3_tts_http: the number of most likely tokens to sample from (top-k); at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_top_k: Option<u32>,

    /// qwen3_tts_http: the repetition penalty; 0.5 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_repetition_penalty: Option<Number>,

    /// qwen3_tts_http: the maximal number of tokens of an utterance; 1 to 32768.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_max_new_tokens: Option<u32>,

    /// qwen3_tts_http: true reads the whole text before the speech begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_non_streaming_mode: Option<bool>,

    /// qwen3_tts_http: true lets the subtalker sample tokens; false lets it always take the most likely token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_subtalker_do_sample: Option<bool>,

    /// qwen3_tts_http: the number of most likely tokens that the subtalker samples from (top-k); at least 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_subtalker_top_k: Option<u32>,

    /// qwen3_tts_http: the share of probability that the subtalker samples from (top-p); 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_subtalker_top_p: Option<Number>,

    /// qwen3_tts_http: the subtalker's sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_subtalker_temperature: Option<Number>,

    /// qwen3_tts_http: true sends the audio while it is generated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qwen3_streaming: Option<bool>,

    /// kokoro_http, coqui_xtts: the speed of the speech, relative to normal speed (1); 0.5 to 1.5 with kokoro_http, 0.8 to 1.2
    /// with coqui_xtts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Number>,
}

/// A voice cloned from a recording.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ClonedVoice {
    /// The recording: a text, usually a URL; at most 2048 characters.
    #[schemars(length(max = 2048))]
    pub speaker_wav_url: String,

    /// The name of this voice for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}
