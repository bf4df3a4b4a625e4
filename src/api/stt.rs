//! Speech to text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::SttMode;

/// The service that turns the caller's speech into text.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Stt {
    /// The kind of service: "whisper_http" (needs whisperUrl), "http_wav_json" (needs config.url), "openai_whisper",
    /// "deepgram", or "disabled". The runtime treats "http_wav_json" as "whisper_http" unless its own settings allow it.
    /// "openai_whisper" and "deepgram" use the runtime's own keys and models, and runtimes that are older than they are refuse
    /// the whole config.
    pub mode: SttMode,

    /// The endpoint of "whisper_http": an absolute http or https URL. Not allowed with another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper_url: Option<String>,

    /// The length of each piece of audio that is sent to the service, in milliseconds; at least 1.
    pub chunk_ms: u32,

    /// The language that callers speak, for example "en".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,

    /// The name of a model; 1 to 253 characters. No known runtime reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,

    /// Settings of "http_wav_json". Not allowed with another mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<SttConfig>,
}

/// Settings of "http_wav_json".
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SttConfig {
    /// The endpoint of "http_wav_json": an absolute http or https URL. The runtime prefers it to whisperUrl in every mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}
