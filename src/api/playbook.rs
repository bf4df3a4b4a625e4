//! The shop's playbook, and the intake of its calls. Both are of the newest runtimes; older ones ignore them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// The shop's own rules for its calls. Its presence alone, even as {}, makes the newest runtimes decide by these rules and
/// answer in whole sentences instead of streaming; older runtimes ignore it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ShopPlaybook {
    /// The playbook's version, for people; at least 1. Left out, the runtime takes 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,

    /// The time at which the playbook was published, in UTC, for example "2026-09-30T12:00:00Z".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<String>,

    /// The trade: "general", "plumbing", "hvac", "garage" or "restoration". Left out, the runtime takes "general".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vertical: Option<String>,

    /// The places that the shop serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_area: Option<ServiceArea>,

    /// The fee for work after hours, in cents; at least 0. Left out, the runtime takes 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_hours_fee_cents: Option<u32>,

    /// The services that the shop refuses; at most 250, each of 1 to 200 characters. The runtime compares them in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse_services: Option<Vec<String>>,

    /// The amount in cents above which a quote is left to a person; at least 0. The runtime reads 0 as 250000, which is also
    /// what it takes if this is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote_hold_cents: Option<u32>,

    /// The words of a caller that mean an emergency; 1 to 250, each of 1 to 200 characters. Left out, the runtime takes ten
    /// phrases of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emergency_keywords: Option<Vec<String>>,

    /// The names of the shop's memberships; at most 100, each of 1 to 200 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership_names: Option<Vec<String>>,

    /// The number of the person on call: E.164 with 8 to 15 digits, for example "+15551234567".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "onCallE164")]
    pub on_call_e164: Option<String>,

    /// The time that the number on call may ring, in seconds; 60 to 90. Left out, the runtime takes 75.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_call_timeout_secs: Option<u32>,

    /// The number of the person who takes calls that the assistant can't: E.164 with 8 to 15 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "humanOverflowE164")]
    pub human_overflow_e164: Option<String>,

    /// The receivers of the daily digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,

    /// The handling of many calls, as after a storm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storm_mode: Option<StormMode>,
}

/// The places that the shop serves.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceArea {
    /// ZIP codes of five digits; at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zips: Option<Vec<String>>,

    /// Cities; at most 250, each of 1 to 120 characters. The runtime compares them in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cities: Option<Vec<String>>,

    /// The radius around hubZip in miles; more than 0, at most 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub radius_miles: Option<Number>,

    /// The ZIP code at the centre: five digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub_zip: Option<String>,
}

/// The receivers of the daily digest.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Digest {
    /// The number that gets it as a text message: E.164 with 8 to 15 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "smsE164")]
    pub sms_e164: Option<String>,

    /// The email addresses that get it; at most 20, each of at most 254 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emails: Option<Vec<String>>,
}

/// The handling of many calls, as after a storm.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StormMode {
    /// True: the storm mode is on. Left out, it is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,

    /// A note for callers; at most 1000 characters, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,

    /// The number of calls that are answered concurrently; 1 to 100. Left out, the runtime takes 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_answer_cap: Option<u32>,

    /// The end of the storm mode, in UTC, for example "2026-09-30T12:00:00Z".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

/// The intake of calls: the newest runtimes show it on the call board. Left out, they take "trades" with "fsm".
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct IntakeProfile {
    /// The kind of intake: "demo" or "trades".
    pub kind: String,

    /// The system to which appointments are written: "gcal" or "fsm".
    pub writer: String,

    /// The shop's time zone; 1 to 80 characters. Left out, the runtime takes "America/Los_Angeles".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,

    /// The zone's distance from UTC in hours; -12 to 14, fractions allowed. Left out, the runtime takes -7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone_offset_hours: Option<Number>,
}
