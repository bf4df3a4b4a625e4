//! Speech to text.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// How the caller is understood.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::needed_with("whisperUrl", "whisper_http"),
    validation = rules::only_with("whisperUrl", &["whisper_http"]),
    validation = rules::only_with("config", &["http_wav_json"]),
    validation = (
        "self.mode != 'http_wav_json' || (has(self.config) && has(self.config.url))",
        "config.url must be set with mode http_wav_json"
    )
)]
pub struct Stt {
    /// Which service is spoken to: "whisper_http" (needs whisperUrl), "http_wav_json" (needs config.url), or
    /// "disabled".
    pub mode: SttMode,

    /// The endpoint of "whisper_http": an absolute http or https URL. No other mode may have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub whisper_url: Option<String>,

    /// How much audio is sent at a time, in milliseconds; at least 1.
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub chunk_ms: u32,

    /// The language that callers speak, as in "en".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub language: Option<String>,

    /// Settings of "http_wav_json"; no other mode may have them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<SttConfig>,
}

/// Settings of `http_wav_json`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SttConfig {
    /// The endpoint of "http_wav_json": an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub url: Option<String>,
}

/// Which service understands the caller.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum SttMode {
    /// Whisper over HTTP, at `whisperUrl`.
    WhisperHttp,
    /// WAV out, JSON back, at `config.url`.
    HttpWavJson,
    /// The caller is not understood.
    Disabled,
}
