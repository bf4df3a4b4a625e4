//! The context of the language model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The context that the language model receives with every call.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LlmContext {
    /// The people whom the model may name when a caller asks for someone; at most 200, may be empty.
    #[schemars(length(max = 200))]
    pub forwarding_profiles: Vec<ForwardingProfile>,

    /// The tenant's prices.
    pub pricing: Pricing,

    /// The prompts from which the model's instructions are made.
    pub prompts: Prompts,
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
}
