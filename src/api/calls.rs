//! Where calls go, and what is answered at once.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// Hands every call over to another number or SIP address.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CallForwarding {
    /// Whether calls are handed over.
    pub enabled: bool,

    /// Where to: an E.164 number without white space or a SIP URI, as in "+15551234567" or "sip:desk@example.com".
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = rules::DESTINATION)]
    pub destination: String,

    /// True: without answering first, so that the caller hears the other side ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_before_answer: Option<bool>,

    /// What is played before the call is handed over: an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub audio_url: Option<String>,

    /// How long the other side may ring, in seconds; 5 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 600))]
    pub timeout_secs: Option<u32>,
}

/// Somebody to whom the assistant may transfer a call.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TransferProfile {
    /// The profile's id.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,

    /// The name that callers use.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// Who answers there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub holder: Option<String>,

    /// What calls are transferred here for, as in "new clients"; 1 to 50, each of 1 to 1000 characters.
    #[schemars(length(min = 1, max = 50), inner(length(min = 1, max = 1000)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub responsibilities: Vec<String>,

    /// Where to: a text, usually an E.164 number or a SIP URI.
    #[schemars(length(min = 1, max = 512))]
    pub destination: String,

    /// What is played before the call is transferred: an absolute http or https URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = rules::HTTP_URL)]
    pub audio_url: Option<String>,

    /// How long the other side may ring, in seconds; 5 to 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 600))]
    pub timeout_secs: Option<u32>,
}

/// An answer given without the language model.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct QuickReply {
    /// The reply's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub id: Option<String>,

    /// What the caller may say for it; 1 to 100, each of 4 to 1000 characters.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 100), inner(length(min = 4, max = 1000)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub matches: Vec<String>,

    /// What is answered; 1 to 4000 characters.
    #[schemars(length(min = 1, max = 4000))]
    pub reply: String,
}
