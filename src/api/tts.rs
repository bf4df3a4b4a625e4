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
    /// chatterboxUrl), "qwen3_tts_http" (needs qwen3TtsUrl), "miso_tts_http" (needs misoTtsUrl), "magpie_tts_http" (needs
    /// magpieTtsUrl), "melo_tts_http" (needs meloTtsUrl), "openai_tts" or "elevenlabs". The newest runtimes check all of them
    /// and speak with Kokoro whatever it says; runtimes that don't know one of the last five refuse the whole config.
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

    /// miso_tts_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miso_tts_url: Option<String>,

    /// magpie_tts_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_tts_url: Option<String>,

    /// melo_tts_http: the endpoint, an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub melo_tts_url: Option<String>,

    /// chatterbox_http: the model, "turbo", "standard" or "multilingual".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chatterbox_variant: Option<String>,

    /// All modes but qwen3_tts_http: the voice's name, for example "default". The newest runtimes speak only the voices of
    /// Kokoro: "af_", "am_", "bf_" or "bm_" and letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,

    /// coqui_xtts, chatterbox_http, miso_tts_http: a recording of the voice to use; a text, usually a URL; at most
    /// 2048 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub speaker_wav_url: Option<String>,

    /// miso_tts_http: the text that is spoken in the recording; at most 4000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub speaker_text: Option<String>,

    /// coqui_xtts, chatterbox_http, miso_tts_http: a voice cloned from a recording.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloned_voice: Option<ClonedVoice>,

    /// coqui_xtts, chatterbox_http, miso_tts_http: the default voice, "preset" or "cloned".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_voice_mode: Option<String>,

    /// qwen3_tts_http, miso_tts_http, magpie_tts_http, melo_tts_http: the speaker's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,

    /// coqui_xtts, chatterbox_http, qwen3_tts_http, magpie_tts_http, melo_tts_http: the language of the speech, for example
    /// "en".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,

    /// openai_tts, elevenlabs: the name of the service's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,

    /// qwen3_tts_http: a description of the manner of speaking, for example "calm and friendly"; may be empty, at most 4000
    /// characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub instruct: Option<String>,

    /// The audio format, for example "wav", which the newest runtimes take in any case.
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

    /// miso_tts_http: the greatest length of an utterance in milliseconds; 500 to 90000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miso_max_audio_length_ms: Option<u32>,

    /// miso_tts_http: the sampling temperature; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miso_temperature: Option<Number>,

    /// miso_tts_http: the number of most likely tokens to sample from (top-k); 1 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub miso_top_k: Option<u32>,

    /// magpie_tts_http: the sampling temperature; 0.05 to 1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_temperature: Option<Number>,

    /// magpie_tts_http: the scale of classifier-free guidance; 0.5 to 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_cfg_scale: Option<Number>,

    /// magpie_tts_http: the number of most likely tokens to sample from (top-k); 1 to 200.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_top_k: Option<u32>,

    /// magpie_tts_http: true uses classifier-free guidance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_use_cfg: Option<bool>,

    /// magpie_tts_http: true writes numbers and abbreviations out before they are spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub magpie_apply_tn: Option<bool>,

    /// melo_tts_http: the share of the stochastic duration predictor; 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub melo_sdp_ratio: Option<Number>,

    /// melo_tts_http: the variation of the sound; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub melo_noise_scale: Option<Number>,

    /// melo_tts_http: the variation of the durations; 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub melo_noise_scale_w: Option<Number>,

    /// kokoro_http, coqui_xtts, magpie_tts_http, melo_tts_http: the speed of the speech, relative to normal speed (1); 0.5 to
    /// 1.5 with kokoro_http, 0.8 to 1.2 with the others.
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
