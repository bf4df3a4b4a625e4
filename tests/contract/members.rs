//! Each member alone: its presence and the condition for its value.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::documents::{every_place, every_tts, full, path, paths, set, violations};

/// The members that the contract's tables do not mark with `?`, as JSON pointers with `0` for any index.
const REQUIRED: &[&str] = &[
    "/contractVersion",
    "/tenantId",
    "/dids",
    "/caps",
    "/caps/maxConcurrentCallsTenant",
    "/caps/maxCallsPerMinuteTenant",
    "/stt",
    "/stt/mode",
    "/stt/chunkMs",
    "/tts",
    "/tts/mode",
    "/tts/kokoroUrl",
    "/tts/coquiXttsUrl",
    "/tts/clonedVoice/speakerWavUrl",
    "/tts/chatterboxUrl",
    "/tts/qwen3TtsUrl",
    "/tts/misoTtsUrl",
    "/tts/magpieTtsUrl",
    "/tts/meloTtsUrl",
    "/audio",
    "/llmContext/forwardingProfiles",
    "/llmContext/forwardingProfiles/0/id",
    "/llmContext/forwardingProfiles/0/name",
    "/llmContext/forwardingProfiles/0/number",
    "/llmContext/forwardingProfiles/0/role",
    "/llmContext/pricing",
    "/llmContext/pricing/items",
    "/llmContext/pricing/items/0/id",
    "/llmContext/pricing/items/0/name",
    "/llmContext/pricing/items/0/price",
    "/llmContext/prompts",
    "/llmContext/prompts/systemPreamble",
    "/llmContext/prompts/schemaHint",
    "/llmContext/prompts/policyPrompt",
    "/llmContext/prompts/voicePrompt",
    "/llmContext/businessHours/timezone",
    "/llmContext/businessHours/weekly",
    "/callForwarding/enabled",
    "/callForwarding/destination",
    "/transferProfiles/0/id",
    "/transferProfiles/0/name",
    "/transferProfiles/0/responsibilities",
    "/transferProfiles/0/destination",
    "/intakeProfile/kind",
    "/intakeProfile/writer",
    "/quickReplies/0/match",
    "/quickReplies/0/reply",
    "/usageLimits/planName",
    "/usageLimits/planTier",
    "/usageLimits/billingStatus",
    "/usageLimits/overageMode",
    "/usageLimits/monthlyMinuteOverageRateCents",
    "/usageLimits/maxConcurrentCalls",
    "/usageLimits/includedMonthlyMinutes",
    "/usageLimits/maxMonthlyMinutesHardCap",
    "/usageLimits/maxDailyCalls",
    "/usageLimits/maxMonthlyCalls",
    "/usageLimits/maxKnowledgeBaseSizeMb",
    "/usageLimits/maxIntegrations",
    "/usageLimits/maxLocations",
    "/usageLimits/maxPhoneNumbers",
    "/usageLimits/maxAdminUsers",
    "/usageLimits/maxEscalationContacts",
    "/usageLimits/features",
    "/usageLimits/features/afterHoursMode",
    "/usageLimits/features/smsFollowup",
    "/usageLimits/features/calendarIntegration",
    "/usageLimits/features/crmIntegration",
    "/usageLimits/features/advancedAnalytics",
    "/usageLimits/features/callRecording",
    "/usageLimits/features/transcriptRetention",
    "/usageLimits/features/multiLocation",
    "/usageLimits/features/customWorkflows",
    "/usageLimits/features/prioritySupport",
    "/callQuality/callQualityAnalyticsEnabled",
    "/callQuality/transcriptStorageEnabled",
    "/callQuality/qualitySummaryVisibleToClient",
    "/callQuality/rawArtifactsVisibleToClient",
    "/callQuality/transcriptRetentionDays",
    "/callQuality/rawAudioDiagnosticsMode",
    "/llmRouting/mode",
];

/// The members that the contract's tables mark with "null allowed".
const NULLABLE: &[&str] = &[
    "/usageLimits/effectiveFrom",
    "/usageLimits/effectiveUntil",
    "/callQuality/rawAudioDiagnosticsExpiresAt",
    "/callQuality/rawAudioDiagnosticsEnabledBy",
    "/callQuality/rawAudioDiagnosticsReason",
];

/// Returns true for a member of a day: a day is closed or has hours, and its members are not checked one by one.
fn is_in_a_day(pointer: &str) -> bool {
    pointer.starts_with("/llmContext/businessHours/weekly/") && pointer.matches('/').count() > 4
}

#[test]
fn null_is_one_violation_at_every_place_but_five() {
    for (document, pointer) in every_place().into_iter().filter(|(_, pointer)| !is_in_a_day(pointer)) {
        let mut document = document;
        set(&mut document, &pointer, Value::Null);
        let taken = NULLABLE.contains(&pointer.as_str());
        assert_eq!(paths(&document), if taken { vec![] } else { vec![path(&pointer)] }, "{pointer}");
    }
}

#[test]
fn a_missing_member_is_a_violation_exactly_when_it_is_required() {
    let mut seen = BTreeSet::new();
    for (document, pointer) in every_place().into_iter().filter(|(_, pointer)| !is_in_a_day(pointer)) {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut document = document;
        let Some(object) = document.pointer_mut(parent).unwrap().as_object_mut() else { continue };
        object.shift_remove(name);
        let required = REQUIRED.contains(&pointer.as_str());
        assert_eq!(paths(&document), if required { vec![path(&pointer)] } else { vec![] }, "{pointer}");
        seen.extend(required.then_some(pointer));
    }
    assert_eq!(seen.len(), REQUIRED.len(), "a place of the list was not tried");
}

/// Values on both sides of a bound, for a document with the `tts` at this position.
struct Bound {
    tts: usize,
    pointer: &'static str,
    rule: &'static str,
    refused: Value,
    accepted: Value,
}

fn at(tts: usize, pointer: &'static str, rule: &'static str, refused: Value, accepted: Value) -> Bound {
    Bound { tts, pointer, rule, refused, accepted }
}

fn numbers() -> Vec<Bound> {
    let calls = "/caps/maxConcurrentCallsTenant";
    let huge = [json!(9_007_199_254_740_993_i64), json!(1e16), json!(1e300), json!(u64::MAX)];
    let positive = "must be an integer greater than 0";
    let timeout = "must be an integer from 5 to 600";
    let tokens = "must be an integer from 1 to 32768";
    vec![
        at(0, calls, positive, json!([0, -1, 1.5, "1", true]), json!([10.0, 1e3])),
        at(0, calls, positive, json!([-1e300, i64::MIN]), json!(huge)),
        at(0, "/callForwarding/timeoutSecs", timeout, json!([4, 601, 5.5, 1e300]), json!([600, 5.0])),
        at(0, "/tts/rate", "must be a number from 0.5 to 1.5", json!([0.49, 1.51, "1"]), json!([1, 1.5])),
        at(1, "/tts/rate", "must be a number from 0.8 to 1.2", json!([0.79, 1.21]), json!([0.8])),
        at(1, "/tts/coquiSpeed", "must be a number greater than 0", json!([0, -0.1]), json!([1e-9, 1e300])),
        at(1, "/tts/coquiTopK", "must be an integer of at least 0", json!([-1, 0.5]), json!([-0.0, 50])),
        at(1, "/tts/coquiTopP", "must be a number from 0 to 1", json!([1.01, -0.01]), json!([0.5])),
        at(1, "/tts/coquiLengthPenalty", "must be a number", json!(["1", false]), json!([-1e9])),
        at(3, "/tts/qwen3MaxNewTokens", tokens, json!([0, 32769]), json!([1])),
        at(3, "/tts/qwen3RepetitionPenalty", "must be a number from 0.5 to 2", json!([0.4, 2.1]), json!([2])),
    ]
}

fn texts() -> Vec<Bound> {
    let long = "x".repeat(4000);
    let emoji = "\u{1f600}".repeat(2000);
    let text = "must be a string of at least 1 character";
    let destinations =
        json!(["+15551234567", "5551234567", "+1 555 123 4567", "9,,12#", "tel:+1555", "sip:a", " "]);
    let four = "must be a string of at least 4 characters";
    let reply = "must be a string of 1 to 4000 characters";
    let too_long = json!([format!("{long}x"), format!("{emoji}x"), ""]);
    let stt =
        "must be \"whisper_http\" or \"http_wav_json\" or \"disabled\" or \"openai_whisper\" or \"deepgram\"";
    let tts = "must be \"kokoro_http\" or \"coqui_xtts\" or \"chatterbox_http\" or \"qwen3_tts_http\" or \
               \"miso_tts_http\" or \"magpie_tts_http\" or \"melo_tts_http\" or \"openai_tts\" or \"elevenlabs\"";
    vec![
        at(0, "/contractVersion", "must be \"v1\"", json!(["v2", 1]), json!([])),
        at(0, "/tenantId", text, json!(["", 7]), json!([" "])),
        at(0, "/stt/mode", stt, json!(["whisper", "", 1]), json!(["disabled", "deepgram", "openai_whisper"])),
        at(0, "/tts/mode", tts, json!(["kokoro", "", 1]), json!([])),
        at(0, "/callForwarding/destination", text, json!(["", 5]), destinations),
        at(0, "/transferProfiles/0/destination", text, json!(["", {}]), json!(["the front desk"])),
        at(0, "/quickReplies/0/match/0", four, json!(["abc", "\u{1f600}a"]), json!(["\u{1f600}\u{1f600}"])),
        at(0, "/quickReplies/0/reply", reply, too_long, json!([long, emoji])),
        at(
            1,
            "/tts/defaultVoiceMode",
            "must be \"preset\" or \"cloned\"",
            json!(["Preset"]),
            json!(["cloned"]),
        ),
        at(3, "/tts/instruct", "must be a string", json!([1, ["a"]]), json!(["slowly"])),
        at(3, "/tts/qwen3Streaming", "must be true or false", json!(["true", 0]), json!([false])),
    ]
}

fn collections() -> Vec<Bound> {
    let filled = "must be an array of at least 1 item";
    let some = "must be an array of at most 200 items";
    let replies = |count| vec![json!({"match": ["four"], "reply": "r"}); count];
    vec![
        at(0, "/dids", filled, json!([[], "+15551234567", {}]), json!([["+12", "+12"]])),
        at(0, "/transferProfiles", "must be an array", json!([{}, "t"]), json!([[]])),
        at(0, "/transferProfiles/0/responsibilities", filled, json!([[], "r"]), json!([])),
        at(0, "/assistantContext", "must be an object", json!([[], "a"]), json!([{}])),
        at(0, "/audio", "must be an object", json!([[], "a", 1]), json!([{}])),
        at(0, "/tts", "must be an object", json!([[], "kokoro_http"]), json!([])),
        at(0, "/quickReplies", some, json!([replies(201)]), json!([replies(200), []])),
    ]
}

#[test]
fn each_bound_is_checked_on_both_sides_and_named() {
    let bounds = [numbers(), texts(), collections()].into_iter().flatten();
    for Bound { tts, pointer, rule, refused, accepted } in bounds {
        let violations_of = |value: &Value| {
            let mut document = full(&every_tts()[tts]);
            set(&mut document, pointer, value.clone());
            violations(&document)
        };
        for value in refused.as_array().unwrap() {
            let found = violations_of(value);
            let found: Vec<_> =
                found.iter().map(|violation| (violation.path.to_string(), violation.rule.as_str())).collect();
            assert_eq!(found, [(path(pointer), rule)], "{pointer}: {value}");
        }
        for value in accepted.as_array().unwrap() {
            assert_eq!(violations_of(value), [], "{pointer}: {value}");
        }
    }
}
