//! The tenant's plan, the quality of its calls, and the language model that they use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tenant's plan. Runtimes that know it refuse calls by billingStatus, maxDailyCalls, maxMonthlyCalls,
/// maxMonthlyMinutesHardCap and, with "throttle" or "hard_stop", includedMonthlyMinutes; 0 there refuses every call.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct UsageLimits {
    /// The plan's name. The runtime does not read it.
    pub plan_name: String,

    /// The plan's tier: "starter", "professional", "premium", "enterprise" or "pilot". Runtimes that know usageLimits but not
    /// "pilot" refuse the whole config with it.
    pub plan_tier: String,

    /// The state of the bill: "trial", "active", "past_due", "suspended" or "canceled". With the last two every call is
    /// refused.
    pub billing_status: String,

    /// The rule beyond includedMonthlyMinutes: "allow_and_bill" takes calls, "throttle" and "hard_stop" refuse them.
    pub overage_mode: String,

    /// The price of a minute beyond includedMonthlyMinutes, in cents; at least 0. The runtime does not read it.
    pub monthly_minute_overage_rate_cents: u32,

    /// The start of the plan, in UTC, for example "2026-09-30T12:00:00Z". The runtime does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_from: Option<String>,

    /// The end of the plan, in UTC, for example "2026-09-30T12:00:00Z". The runtime does not read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effective_until: Option<String>,

    /// The number of concurrent calls of the plan; at least 1. The runtime does not read it: caps decides.
    pub max_concurrent_calls: u32,

    /// The minutes of a month (UTC) that the plan includes; at least 0.
    pub included_monthly_minutes: u32,

    /// The minutes of a month (UTC) from which on calls are refused; at least 0, which refuses every call.
    pub max_monthly_minutes_hard_cap: u32,

    /// The calls of a day (UTC) from which on calls are refused; at least 0, which refuses every call.
    pub max_daily_calls: u32,

    /// The calls of a month (UTC) from which on calls are refused; at least 0, which refuses every call.
    pub max_monthly_calls: u32,

    /// The size of the tenant's knowledge base in megabytes; at least 0. The runtime does not read it.
    pub max_knowledge_base_size_mb: u32,

    /// The number of integrations; at least 0. The runtime does not read it.
    pub max_integrations: u32,

    /// The number of locations; at least 0. The runtime does not read it.
    pub max_locations: u32,

    /// The number of phone numbers; at least 0. The runtime does not read it.
    pub max_phone_numbers: u32,

    /// The number of administrators; at least 0. The runtime does not read it.
    pub max_admin_users: u32,

    /// The number of contacts for escalations; at least 0. The runtime does not read it.
    pub max_escalation_contacts: u32,

    /// The features of the plan.
    pub features: Features,
}

/// The features of the plan. Each is needed.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the contract's own shape")]
pub struct Features {
    /// True: the assistant answers after hours.
    pub after_hours_mode: bool,

    /// True: callers get text messages afterwards.
    pub sms_followup: bool,

    /// True: appointments are written to a calendar.
    pub calendar_integration: bool,

    /// True: a customer database is used. The runtime does not read it.
    pub crm_integration: bool,

    /// True: advanced analytics. The runtime does not read it.
    pub advanced_analytics: bool,

    /// True: calls are recorded.
    pub call_recording: bool,

    /// True: transcripts are kept. The runtime does not read it: callQuality decides.
    pub transcript_retention: bool,

    /// True: several locations. False forbids transfers.
    pub multi_location: bool,

    /// True: workflows of the tenant's own. The runtime does not read it.
    pub custom_workflows: bool,

    /// True: calls get priority.
    pub priority_support: bool,
}

/// The records of calls, and the people who see them. Left out, runtimes that know it take: analytics and transcripts on, 30 days, no
/// raw audio, the summary visible to the client.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "the contract's own shape")]
pub struct CallQuality {
    /// True: the quality of calls is analysed.
    pub call_quality_analytics_enabled: bool,

    /// True: transcripts are stored.
    pub transcript_storage_enabled: bool,

    /// True: the client sees the summary of a call's quality.
    pub quality_summary_visible_to_client: bool,

    /// True: the client sees raw audio and transcripts.
    pub raw_artifacts_visible_to_client: bool,

    /// The days for which transcripts are kept; 1 to 365.
    pub transcript_retention_days: u32,

    /// The calls of which raw audio is kept: "off", "next_call_only", "failed_calls_only" or "all_calls_temporary". The last
    /// one needs rawAudioDiagnosticsExpiresAt: without it the runtime keeps none.
    pub raw_audio_diagnostics_mode: String,

    /// The end of raw audio, in UTC, for example "2026-09-30T12:00:00Z".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_audio_diagnostics_expires_at: Option<String>,

    /// The person who turned raw audio on; at most 512 characters, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_audio_diagnostics_enabled_by: Option<String>,

    /// The reason for which raw audio was turned on; at most 4000 characters, may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_audio_diagnostics_reason: Option<String>,

    /// True: the next call's raw audio is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_audio_diagnostics_next_call_pending: Option<bool>,
}

/// The language model that calls use, never with a key: the runtime fetches the tenant's own key from the control plane.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LlmRouting {
    /// The key that is used: "platform_default" or "tenant_api_key". The latter works only with tenantProvider, and
    /// tenantApiKeyConfigured true.
    pub mode: String,

    /// The provider of the tenant's key: "openai", "anthropic", "google", "groq" or "xai". Runtimes that know llmRouting but
    /// only "openai" refuse the whole config with another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_provider: Option<String>,

    /// The model; 1 to 128 characters. Left out, the provider's default is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_model: Option<String>,

    /// True: the control plane has a key of the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_api_key_configured: Option<bool>,

    /// The rule when the tenant's key can't be used: "platform_default" uses the platform's, "fail" ends with a spoken error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_key_error_policy: Option<String>,
}
