//! Forwarding and transfer of calls, and fixed replies.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Forwards every call to another phone number or SIP address. The runtime answers the call first, then transfers it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CallForwarding {
    /// True: calls are forwarded.
    pub enabled: bool,

    /// The destination: a phone number, a dial string, or a sip:, sips: or tel: URI, for example "+15551234567" or
    /// "sip:desk@example.com"; at most 512 characters. It is passed on as it is written.
    #[schemars(length(max = 512))]
    pub destination: String,

    /// False: calls are never forwarded, whatever enabled says. True and left out are the same: the runtime answers the call
    /// and transfers it, despite the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_before_answer: Option<bool>,

    /// The audio that is played before a call is forwarded: an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_url: Option<String>,

    /// The time that the destination may ring, in seconds; 5 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
}

/// A person or desk to which the assistant may transfer a call.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TransferProfile {
    /// The profile's id.
    pub id: String,

    /// The name that callers use.
    pub name: String,

    /// The name of the person who answers there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,

    /// The subjects of calls that are transferred here, for example "new clients"; 1 to 50, each of 1 to 1000 characters.
    #[schemars(length(max = 50), inner(length(max = 1000)))]
    pub responsibilities: Vec<String>,

    /// The destination: a text, usually an E.164 number or a SIP URI; at most 512 characters.
    #[schemars(length(max = 512))]
    pub destination: String,

    /// The audio that is played before a call is transferred: an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_url: Option<String>,

    /// The time that the destination may ring, in seconds; 5 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_secs: Option<u32>,
}

/// A fixed reply that is given without the language model.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QuickReply {
    /// The reply's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,

    /// The phrases of the caller that this reply answers; 1 to 100, each of 4 to 1000 characters.
    #[serde(rename = "match")]
    #[schemars(length(max = 100), inner(length(max = 1000)))]
    pub matches: Vec<String>,

    /// The reply's text; 1 to 4000 characters.
    #[schemars(length(max = 4000))]
    pub reply: String,
}
