//! What the language model is told.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What the language model is told.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LlmContext {
    /// Whom the model may name when a caller asks for somebody; at most 200, may be empty.
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub forwarding_profiles: Vec<ForwardingProfile>,

    /// What things cost.
    pub pricing: Pricing,

    /// The prompts that the model's instructions are put together from.
    pub prompts: Prompts,
}

/// Somebody whom a caller may ask for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ForwardingProfile {
    /// The profile's id.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,

    /// The name that callers use.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The number; may be empty.
    #[schemars(length(max = 253))]
    pub number: String,

    /// What this person does; may be empty.
    #[schemars(length(max = 4000))]
    pub role: String,
}

/// What things cost.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Pricing {
    /// The price list; at most 500 items, may be empty.
    #[schemars(length(max = 500))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub items: Vec<PricingItem>,

    /// What else there is to say about prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub notes: Option<String>,
}

/// One line of the price list.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct PricingItem {
    /// The item's id.
    #[schemars(length(min = 1, max = 253))]
    pub id: String,

    /// What is sold.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// What it costs, as it is said, as in "from 90 euros"; may be empty.
    #[schemars(length(max = 253))]
    pub price: String,

    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4000))]
    pub description: Option<String>,
}

/// The prompts that the model's instructions are put together from. Each may be empty.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Prompts {
    /// Who the assistant is; may be empty.
    #[schemars(length(max = 65536))]
    pub system_preamble: String,

    /// The form in which it must answer; may be empty.
    #[schemars(length(max = 65536))]
    pub schema_hint: String,

    /// What it may and may not do; may be empty.
    #[schemars(length(max = 65536))]
    pub policy_prompt: String,

    /// How it speaks; may be empty.
    #[schemars(length(max = 65536))]
    pub voice_prompt: String,
}
