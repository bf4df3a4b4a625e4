//! The places at which the API server and the contract differ, each with its reason.

/// A kind of document about which the API server and the contract differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    OtherMode,
    Unknown,
    NoEndpoint,
    NotHttp,
    Redacted,
    LargeInteger,
    TooLong,
    LongForm,
    FewCharacters,
    UnreadInDay,
    Destination,
    SameNumber,
    TenantId,
    NullLeftOut,
    WholeNumber,
    SpacedNumber,
    NoAudio,
    Utf16,
    Punycode,
    OfModeInExtensions,
}

/// The consequence of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The runtime accepts the document, and the API server does not accept it in a resource.
    Refused,
    /// The API server accepts the resource, and the operator publishes something else than what it says.
    Rewritten,
    /// The API server accepts the resource, and the operator refuses it.
    InvalidSpec,
}

impl Difference {
    pub const ALL: [Self; 20] = [
        Self::OtherMode,
        Self::Unknown,
        Self::NoEndpoint,
        Self::NotHttp,
        Self::Redacted,
        Self::LargeInteger,
        Self::TooLong,
        Self::LongForm,
        Self::FewCharacters,
        Self::UnreadInDay,
        Self::Destination,
        Self::SameNumber,
        Self::TenantId,
        Self::NullLeftOut,
        Self::WholeNumber,
        Self::SpacedNumber,
        Self::NoAudio,
        Self::Utf16,
        Self::Punycode,
        Self::OfModeInExtensions,
    ];

    pub fn consequence(self) -> Consequence {
        match self {
            Self::NullLeftOut | Self::WholeNumber | Self::SpacedNumber | Self::NoAudio => {
                Consequence::Rewritten
            }
            Self::Utf16 | Self::Punycode | Self::OfModeInExtensions => Consequence::InvalidSpec,
            _ => Consequence::Refused,
        }
    }

    /// The document, and the reason for the difference.
    pub fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::OtherMode => (
                "a member of another mode as a field (`tts.rate` with `chatterbox_http`, `stt.whisperUrl` with `deepgram`)",
                "the mode ignores it, so that it is a mistake in most specs; `extensions` can hold it",
            ),
            Self::Unknown => (
                "a member that the contract does not know, as a field",
                "a misspelt field would be ignored in silence; `extensions` can hold it, but not in an item of a list",
            ),
            Self::NoEndpoint => (
                "`stt` with `whisper_http` or `http_wav_json` and without the endpoint of this mode",
                "without its endpoint the mode understands no caller",
            ),
            Self::NotHttp => (
                "an endpoint or `audioUrl` that is no absolute http or https URL with an ASCII host",
                "no runtime can use it, or not each reads it alike",
            ),
            Self::Redacted => (
                "a `speakerWavUrl` or `publicBaseUrl` that begins with `[redacted`",
                "a control plane has hidden the value; `POST …/config` refuses it too",
            ),
            Self::LargeInteger => ("integers above 2147483647", "Kubernetes' integers"),
            Self::TooLong => (
                "texts, lists and maps longer than the limits in [api.md](api.md) that the contract leaves open",
                "each rule needs a bound for the API server's budget",
            ),
            Self::LongForm => (
                "a time with more than 64 characters, or an email address with more than 254",
                "each text needs a bound",
            ),
            Self::FewCharacters => (
                "a text of fewer characters than the contract's least length, which UTF-16 units reach (two emoji as a `match`)",
                "the API server counts characters",
            ),
            Self::UnreadInDay => (
                "a day in which `open` or `close` of a closed day, or `closed` of one with hours, has another type or is empty",
                "a field has one type; the runtime does not read the member",
            ),
            Self::Destination => (
                "`callForwarding.destination` that is no number, dial string, or `sip:`, `sips:` or `tel:` URI",
                "a typo there loses calls",
            ),
            Self::SameNumber => ("a number that `dids` lists twice", "it is one number"),
            Self::TenantId => (
                "a `tenantId` with white space at an end, or with control characters",
                "the difference can't be seen; `POST …/config` trims the id of its path",
            ),
            Self::NullLeftOut => (
                "`null` for a member that may be left out",
                "the API server drops it, and it is published as left out. The contract takes `null` for five members only",
            ),
            Self::WholeNumber => (
                "an integer that is written with a fraction or an exponent (`5.0`, `1e3`)",
                "Kubernetes stores `5` and `1000`, which is the same number",
            ),
            Self::SpacedNumber => (
                "a number of `dids` with white space, which the contract does not take",
                "people write numbers so; it is published without",
            ),
            Self::NoAudio => {
                ("`audio` left out, which the contract does not take", "it is published as `{}`")
            }
            Self::Utf16 => (
                "a text whose characters are within the contract's greatest length and whose UTF-16 units are not (`reply` with 3,000 emoji)",
                "the API server counts characters; the operator counts as the runtime does",
            ),
            Self::Punycode => (
                "an endpoint or `audioUrl` whose host has a label that begins with `xn--` and is no Punycode",
                "the API server can't decode it",
            ),
            Self::OfModeInExtensions => (
                "a wrong value of a member of another mode in `extensions.stt`",
                "the API server does not look into `extensions`; the runtime checks the members of `stt` in every mode",
            ),
        }
    }
}
