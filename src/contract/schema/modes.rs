//! The modes of `stt` and `tts`, and sets of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A set of modes of one object, by their positions in the list of its modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes(u32);

impl Modes {
    /// Every mode, those of later versions included.
    pub const ALL: Self = Self(u32::MAX);
    /// No mode.
    pub const NONE: Self = Self(0);

    /// Returns the modes of both sets.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns all other modes.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(!self.0)
    }

    /// Returns true if the mode at this position is in the set.
    #[must_use]
    pub const fn contains(self, position: usize) -> bool {
        (self.0 >> position) & 1 == 1
    }
}

/// Declares the values of a member `mode`, each with its name in the JSON.
macro_rules! modes {
    (
        $(#[$doc:meta])*
        $mode:ident { $($(#[$mode_doc:meta])* $variant:ident = $name:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(
            JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
        )]
        pub enum $mode {
            $($(#[$mode_doc])* #[serde(rename = $name)] $variant,)+
        }

        impl $mode {
            /// Every mode, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// The names of all modes, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The mode's name in the JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The set of this mode alone.
            pub(super) const fn only(self) -> Modes {
                Modes(1 << self as u32)
            }
        }
    };
}

modes! {
    /// The values of `stt.mode`: the service that turns speech into text.
    SttMode {
        /// A Whisper server at `whisperUrl`.
        WhisperHttp = "whisper_http",
        /// A server at `config.url` that takes WAV and responds with JSON.
        HttpWavJson = "http_wav_json",
        /// No speech recognition.
        Disabled = "disabled",
        /// The service of `OpenAI`, with the runtime's own key.
        OpenaiWhisper = "openai_whisper",
        /// Deepgram's service, with the runtime's own key.
        Deepgram = "deepgram",
    }
}

modes! {
    /// The values of `tts.mode`: the service that turns text into speech.
    TtsMode {
        /// A Kokoro server at `kokoroUrl`.
        KokoroHttp = "kokoro_http",
        /// A Coqui XTTS server at `coquiXttsUrl`.
        CoquiXtts = "coqui_xtts",
        /// A Chatterbox server at `chatterboxUrl`.
        ChatterboxHttp = "chatterbox_http",
        /// A Qwen3 TTS server at `qwen3TtsUrl`.
        Qwen3TtsHttp = "qwen3_tts_http",
        /// A Miso TTS server at `misoTtsUrl`.
        MisoTtsHttp = "miso_tts_http",
        /// A Magpie TTS server at `magpieTtsUrl`.
        MagpieTtsHttp = "magpie_tts_http",
        /// A Melo TTS server at `meloTtsUrl`.
        MeloTtsHttp = "melo_tts_http",
        /// The service of `OpenAI`.
        OpenaiTts = "openai_tts",
        /// The service of `ElevenLabs`.
        Elevenlabs = "elevenlabs",
    }
}
