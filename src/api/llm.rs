//! The context of the language model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The context that the language model receives with every call.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LlmContext {
    /// The people whom the model may name when a caller asks for someone; at most 200, may be empty. No known runtime reads
    /// it: transferProfiles decides.
    #[schemars(length(max = 200))]
    pub forwarding_profiles: Vec<ForwardingProfile>,

    /// The tenant's prices.
    pub pricing: Pricing,

    /// The prompts from which the model's instructions are made.
    pub prompts: Prompts,

    /// The hours in which the tenant is open. Left out, runtimes that know them say to callers that it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub business_hours: Option<BusinessHours>,
}

/// The hours in which the tenant is open. A day that is left out, a time that is not HH:MM and a zone that the runtime does
/// not know all mean closed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct BusinessHours {
    /// The time zone by its IANA name, for example "America/New_York"; 1 to 120 characters.
    pub timezone: String,

    /// The days of the week; may be empty.
    pub weekly: Weekly,

    /// The words that callers hear after hours; at most 4000 characters, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_hours_message: Option<String>,
}

/// The days of the week. One that is left out is closed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Weekly {
    /// Monday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mon: Option<Day>,

    /// Tuesday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tue: Option<Day>,

    /// Wednesday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wed: Option<Day>,

    /// Thursday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thu: Option<Day>,

    /// Friday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fri: Option<Day>,

    /// Saturday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sat: Option<Day>,

    /// Sunday.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sun: Option<Day>,
}

/// A day: closed, or open from one time to another of the same day.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// True: closed all day, whatever open and close say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<bool>,

    /// The time of opening as HH:MM; 1 to 8 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<String>,

    /// The time of closing as HH:MM, later than open: that minute still counts as open. 1 to 8 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close: Option<String>,
}

/// A person for whom a caller may ask.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingProfile {
    /// The profile's id.
    pub id: String,

    /// The name that callers use.
    pub name: String,

    /// The person's phone number; may be empty.
    pub number: String,

    /// The person's role; may be empty, at most 4000 characters.
    #[schemars(length(max = 4000))]
    pub role: String,
}

/// The tenant's prices.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// The price list; at most 500 items, may be empty.
    #[schemars(length(max = 500))]
    pub items: Vec<PricingItem>,

    /// Notes on the prices; at most 65536 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub notes: Option<String>,
}

/// An item of the price list.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PricingItem {
    /// The item's id.
    pub id: String,

    /// The name of the product or service.
    pub name: String,

    /// The price as the assistant says it, for example "from 90 euros"; may be empty.
    pub price: String,

    /// A description of the item; at most 4000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
}

/// The prompts from which the model's instructions are made. Each may be empty.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Prompts {
    /// The assistant's identity; may be empty, at most 65536 characters.
    #[schemars(length(max = 65536))]
    pub system_preamble: String,

    /// The form of the model's output; may be empty, at most 65536 characters.
    #[schemars(length(max = 65536))]
    pub schema_hint: String,

    /// The limits of the assistant's actions; may be empty, at most 65536 characters.
    #[schemars(length(max = 65536))]
    pub policy_prompt: String,

    /// The assistant's manner of speaking; may be empty, at most 65536 characters.
    #[schemars(length(max = 65536))]
    pub voice_prompt: String,

    /// The first sentence of a call; may be empty, at most 65536 characters. Left out, or of white space alone, the runtime
    /// says its own. Older runtimes ignore it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub greeting_text: Option<String>,
}
