//! The members of the newest contract: what its schema takes and what it refuses, with the code that the schema gives.

use runtime_operator::contract::{RuntimeTenantConfig, Violation};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::documents::{every_tts, full, path, set, violations};

/// A place, the code of a refusal, values that are refused with it, and values that are taken.
type Line = (&'static str, &'static str, Value, Value);

fn codes(found: &[Violation]) -> Vec<(String, String)> {
    let code =
        |violation: &Violation| serde_json::to_value(violation.code).unwrap().as_str().unwrap().to_owned();
    found.iter().map(|violation| (violation.path.to_string(), code(violation))).collect()
}

/// Checks the lines in a full document with the `tts` of this mode.
fn hold(mode: &str, lines: Vec<Line>) {
    let tts = every_tts().into_iter().find(|tts| tts["mode"] == mode).unwrap();
    for (pointer, code, refused, taken) in lines {
        let found = |value: &Value| {
            let mut document = full(&tts);
            set(&mut document, pointer, value.clone());
            codes(&violations(&document))
        };
        for value in refused.as_array().unwrap() {
            assert_eq!(found(value), [(path(pointer), code.to_owned())], "{pointer}: {value}");
        }
        for value in taken.as_array().unwrap() {
            assert_eq!(found(value), [], "{pointer}: {value}");
        }
    }
}

fn text(length: usize) -> String {
    "x".repeat(length)
}

#[test]
fn top_level_members_and_services_have_their_bounds() {
    hold(
        "kokoro_http",
        vec![
            (
                "/telnyxPublicKey",
                "too_small",
                json!(["", text(15), "🏠".repeat(7)]),
                json!([text(16), "🏠".repeat(8)]),
            ),
            ("/telnyxPublicKey", "invalid_type", json!([null, 5, {}]), json!([])),
            ("/stt/model", "too_small", json!([""]), json!([" ", "nova-3"])),
            ("/stt/model", "invalid_type", json!([null, 1]), json!([])),
            ("/stt/config", "invalid_type", json!([null, "x", []]), json!([{}, { "newer": 1 }])),
            ("/stt/chunkMs", "invalid_type", json!([0.5, 1e-300, "5"]), json!([5.0, 1e3, 1e300])),
            (
                "/lastRuntimePublishedAt",
                "invalid_string",
                json!(["", "2026-09-30", "2026-02-30T00:00Z"]),
                json!(["2026-09-30T12:00:00.123Z"]),
            ),
            ("/lastRuntimePublishedAt", "invalid_type", json!([null, 5]), json!([])),
            (
                "/callForwarding/audioUrl",
                "invalid_string",
                json!([
                    "",
                    " ",
                    "abc",
                    "+15551234567",
                    "//a",
                    "http://",
                    "http://a b",
                    "http://xn--a",
                    "hold.wav"
                ]),
                json!(["ftp://a", "data:,", "mailto:x", "a:b", " http://a "]),
            ),
            (
                "/transferProfiles/0/audioUrl",
                "invalid_string",
                json!(["", "abc", "//a"]),
                json!(["https://a/b", "a:b"]),
            ),
            ("/llmContext/prompts/greetingText", "invalid_type", json!([null, 5]), json!(["", "Hello."])),
        ],
    );
}

#[test]
fn each_new_speech_mode_has_its_bounds() {
    let rate: Line = ("/tts/rate", "too_small", json!([0.79]), json!([0.8, 1.2]));
    let rate_above: Line = ("/tts/rate", "too_big", json!([1.21]), json!([]));
    let sizes = |pointer, below: Value, above: Value, taken: Value| -> [Line; 2] {
        [(pointer, "too_small", json!([below]), taken), (pointer, "too_big", json!([above]), json!([]))]
    };
    hold(
        "miso_tts_http",
        [
            sizes("/tts/misoMaxAudioLengthMs", json!(499), json!(90001), json!([500, 90000])),
            sizes("/tts/misoTemperature", json!(-0.01), json!(2.01), json!([0, 2])),
            sizes("/tts/misoTopK", json!(0), json!(1001), json!([1, 1000])),
            [
                ("/tts/language", "", json!([]), json!([5, null])),
                ("/tts/rate", "", json!([]), json!(["fast"])),
            ],
            [
                ("/tts/speakerText", "too_small", json!([""]), json!(["a"])),
                ("/tts/misoTtsUrl", "too_small", json!([""]), json!(["not a URL"])),
            ],
        ]
        .concat(),
    );
    hold(
        "magpie_tts_http",
        [
            sizes("/tts/magpieTemperature", json!(0.049), json!(1.51), json!([0.05, 1.5])),
            sizes("/tts/magpieCfgScale", json!(0.49), json!(5.01), json!([0.5, 5])),
            sizes("/tts/magpieTopK", json!(0), json!(201), json!([1, 200])),
            [
                ("/tts/magpieUseCfg", "invalid_type", json!([0, null]), json!([true])),
                ("/tts/magpieApplyTn", "invalid_type", json!(["true"]), json!([false])),
            ],
            [rate.clone(), rate_above.clone()],
        ]
        .concat(),
    );
    hold(
        "melo_tts_http",
        [
            sizes("/tts/meloSdpRatio", json!(-0.1), json!(1.1), json!([0, 1])),
            sizes("/tts/meloNoiseScale", json!(-0.1), json!(2.1), json!([0, 2])),
            sizes("/tts/meloNoiseScaleW", json!(-0.1), json!(2.1), json!([0, 2])),
            [rate, rate_above],
        ]
        .concat(),
    );
    for mode in ["openai_tts", "elevenlabs"] {
        hold(
            mode,
            vec![
                ("/tts/model", "too_small", json!([""]), json!(["m"])),
                ("/tts/voice", "invalid_type", json!([null, 1]), json!(["v"])),
                ("/tts/kokoroUrl", "", json!([]), json!([5, ""])),
            ],
        );
    }
}

#[test]
fn a_mode_that_is_missing_or_unknown_is_one_violation() {
    for mode in [Some(json!("gramophone")), Some(Value::Null), Some(json!(5)), None] {
        let mut document = full(&json!({ "kokoroUrl": 5, "rate": "x" }));
        if let Some(mode) = mode {
            document["tts"]["mode"] = mode;
        }
        let expected = [("tts.mode".to_owned(), "invalid_union_discriminator".to_owned())];
        assert_eq!(codes(&violations(&document)), expected);
    }
    let mut document = full(&every_tts()[0]);
    document["stt"]["mode"] = json!("gramophone");
    assert_eq!(codes(&violations(&document)), [("stt.mode".to_owned(), "invalid_enum_value".to_owned())]);
}

#[test]
fn a_day_is_closed_or_has_hours() {
    let day = "/llmContext/businessHours/weekly/mon";
    hold(
        "kokoro_http",
        vec![(
            day,
            "invalid_union",
            json!([{}, { "closed": false }, { "open": "09:00" }, { "close": "17:00" }, null, "closed", [], { "closed": "true" }, { "open": 9, "close": 17 }]),
            json!([
                { "closed": true },
                { "closed": true, "open": "", "close": 5 },
                { "closed": false, "open": "09:00", "close": "17:00" },
                { "closed": null, "open": "9", "close": "tomorrow" },
                { "open": "09:00", "close": "17:00", "newer": 1 },
            ]),
        )],
    );
    let mut document = full(&every_tts()[0]);
    set(&mut document, day, json!({ "open": "", "close": "123456789" }));
    let expected = [("open", "too_small"), ("close", "too_big")]
        .map(|(name, code)| (format!("llmContext.businessHours.weekly.mon.{name}"), code.to_owned()));
    assert_eq!(codes(&violations(&document)), expected);
}

#[test]
fn business_hours_have_their_bounds() {
    let hours = "/llmContext/businessHours";
    hold(
        "kokoro_http",
        vec![
            (
                hours,
                "invalid_type",
                json!([null, [], "9-5"]),
                json!([{ "timezone": "Nowhere", "weekly": {} }]),
            ),
            ("/llmContext/businessHours/timezone", "too_small", json!([""]), json!([text(120)])),
            ("/llmContext/businessHours/timezone", "too_big", json!([text(121), "🏠".repeat(61)]), json!([])),
            (
                "/llmContext/businessHours/weekly",
                "invalid_type",
                json!([null, []]),
                json!([{}, { "holidays": 1 }]),
            ),
            (
                "/llmContext/businessHours/afterHoursMessage",
                "too_big",
                json!([text(4001)]),
                json!(["", text(4000)]),
            ),
        ],
    );
}

#[test]
fn a_playbook_has_its_bounds() {
    let words = |count: usize| json!(vec!["w"; count]);
    hold(
        "kokoro_http",
        vec![
            ("/shopPlaybook", "invalid_type", json!([null, []]), json!([{}, { "newer": null }])),
            ("/shopPlaybook/version", "too_small", json!([0]), json!([1, 1e300])),
            ("/shopPlaybook/publishedAt", "invalid_string", json!(["today"]), json!(["2026-09-30T12:00Z"])),
            ("/shopPlaybook/vertical", "invalid_enum_value", json!(["roofing", ""]), json!(["garage"])),
            (
                "/shopPlaybook/serviceArea/zips",
                "too_big",
                json!([vec!["90210"; 501]]),
                json!([[], vec!["90210"; 500]]),
            ),
            (
                "/shopPlaybook/serviceArea/zips/0",
                "invalid_string",
                json!(["9021", "902101", "９０２１０", ""]),
                json!(["00000"]),
            ),
            ("/shopPlaybook/serviceArea/cities", "too_big", json!([words(251)]), json!([words(250)])),
            ("/shopPlaybook/serviceArea/cities/0", "too_big", json!([text(121)]), json!([text(120), " "])),
            ("/shopPlaybook/serviceArea/radiusMiles", "too_small", json!([0, -1]), json!([0.001, 500])),
            ("/shopPlaybook/serviceArea/radiusMiles", "too_big", json!([500.001]), json!([])),
            ("/shopPlaybook/serviceArea/hubZip", "invalid_string", json!(["x"]), json!(["12345"])),
            ("/shopPlaybook/afterHoursFeeCents", "too_small", json!([-1]), json!([0])),
            ("/shopPlaybook/quoteHoldCents", "too_small", json!([-1]), json!([0, 250_000])),
            ("/shopPlaybook/refuseServices", "too_big", json!([words(251)]), json!([[], words(250)])),
            ("/shopPlaybook/emergencyKeywords", "too_small", json!([[]]), json!([["w"]])),
            ("/shopPlaybook/emergencyKeywords", "too_big", json!([words(251)]), json!([words(250)])),
            ("/shopPlaybook/emergencyKeywords/0", "too_big", json!([text(201)]), json!([text(200)])),
            ("/shopPlaybook/membershipNames", "too_big", json!([words(101)]), json!([words(100)])),
            (
                "/shopPlaybook/onCallE164",
                "invalid_string",
                json!(["+1234567", "+1234567890123456", "12345678", "+02345678", ""]),
                json!(["+12345678", "+123456789012345"]),
            ),
            ("/shopPlaybook/onCallTimeoutSecs", "too_small", json!([59]), json!([60, 90])),
            ("/shopPlaybook/onCallTimeoutSecs", "too_big", json!([91]), json!([])),
            (
                "/shopPlaybook/humanOverflowE164",
                "invalid_string",
                json!(["+1 555 123 4567"]),
                json!(["+15551234567"]),
            ),
            ("/shopPlaybook/digest/smsE164", "invalid_string", json!(["+12"]), json!(["+15551234567"])),
            (
                "/shopPlaybook/digest/emails",
                "too_big",
                json!([vec!["a@b.co"; 21]]),
                json!([[], vec!["A@B.co"; 20]]),
            ),
            (
                "/shopPlaybook/digest/emails/0",
                "invalid_string",
                json!(["a", "a@b", ".a@b.co"]),
                json!(["a.b+c@d-e.org"]),
            ),
            ("/shopPlaybook/stormMode/enabled", "invalid_type", json!(["yes", null]), json!([false])),
            ("/shopPlaybook/stormMode/note", "too_big", json!([text(1001)]), json!(["", text(1000)])),
            ("/shopPlaybook/stormMode/parallelAnswerCap", "too_small", json!([0]), json!([1, 100])),
            ("/shopPlaybook/stormMode/parallelAnswerCap", "too_big", json!([101]), json!([])),
            (
                "/shopPlaybook/stormMode/expiresAt",
                "invalid_string",
                json!([""]),
                json!(["2024-02-29T23:59Z"]),
            ),
        ],
    );
}

#[test]
fn intake_limits_quality_and_routing_have_their_bounds() {
    hold(
        "kokoro_http",
        vec![
            ("/intakeProfile/kind", "invalid_enum_value", json!(["shop"]), json!(["demo", "trades"])),
            ("/intakeProfile/writer", "invalid_enum_value", json!([""]), json!(["gcal", "fsm"])),
            ("/intakeProfile/timezone", "too_big", json!([text(81)]), json!([text(80)])),
            ("/intakeProfile/timezone", "invalid_type", json!([null]), json!([])),
            ("/intakeProfile/timezoneOffsetHours", "too_small", json!([-12.5]), json!([-12, 5.75])),
            ("/intakeProfile/timezoneOffsetHours", "too_big", json!([14.1]), json!([14])),
            ("/usageLimits/planTier", "invalid_enum_value", json!(["gold"]), json!(["pilot", "enterprise"])),
            ("/usageLimits/billingStatus", "invalid_enum_value", json!(["paid"]), json!(["suspended"])),
            ("/usageLimits/overageMode", "invalid_enum_value", json!(["allow"]), json!(["hard_stop"])),
            (
                "/usageLimits/effectiveFrom",
                "invalid_string",
                json!(["", "2026"]),
                json!([null, "2026-09-30T12:00Z"]),
            ),
            ("/usageLimits/effectiveUntil", "invalid_type", json!([5]), json!([null])),
            ("/usageLimits/maxConcurrentCalls", "too_small", json!([0]), json!([1])),
            ("/usageLimits/maxDailyCalls", "too_small", json!([-1]), json!([0])),
            ("/usageLimits/maxAdminUsers", "invalid_type", json!([0.5, "1", null]), json!([3.0])),
            ("/usageLimits/features/callRecording", "invalid_type", json!([null, 1]), json!([true])),
            ("/callQuality/transcriptRetentionDays", "too_small", json!([0]), json!([1, 365])),
            ("/callQuality/transcriptRetentionDays", "too_big", json!([366]), json!([])),
            (
                "/callQuality/rawAudioDiagnosticsMode",
                "invalid_enum_value",
                json!(["on"]),
                json!(["all_calls_temporary"]),
            ),
            ("/callQuality/rawAudioDiagnosticsExpiresAt", "invalid_string", json!(["soon"]), json!([null])),
            (
                "/callQuality/rawAudioDiagnosticsEnabledBy",
                "too_big",
                json!([text(513)]),
                json!([null, "", text(512)]),
            ),
            (
                "/callQuality/rawAudioDiagnosticsReason",
                "too_big",
                json!([text(4001)]),
                json!([null, "", text(4000)]),
            ),
            ("/callQuality/rawAudioDiagnosticsNextCallPending", "invalid_type", json!([null]), json!([true])),
            ("/llmRouting/mode", "invalid_enum_value", json!(["own"]), json!(["tenant_api_key"])),
            ("/llmRouting/tenantProvider", "invalid_enum_value", json!(["mistral"]), json!(["xai", "groq"])),
            ("/llmRouting/tenantModel", "too_big", json!([text(129)]), json!([text(128)])),
            ("/llmRouting/tenantApiKeyConfigured", "invalid_type", json!([null]), json!([false])),
            ("/llmRouting/tenantKeyErrorPolicy", "invalid_enum_value", json!(["retry"]), json!(["fail"])),
        ],
    );
}

#[test]
fn the_secret_is_asked_for_once_all_types_hold() {
    let mut document = full(&every_tts()[0]);
    for name in ["webhookSecret", "webhookSecretRef"] {
        document.as_object_mut().unwrap().shift_remove(name);
    }
    document["tenantId"] = json!("");
    let both = [("tenantId", "too_small"), ("webhookSecretRef", "custom")];
    let strings = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect()
    };
    assert_eq!(codes(&violations(&document)), strings(&both));
    document["tenantId"] = json!(5);
    assert_eq!(
        codes(&violations(&document)),
        strings(&both[..0].iter().copied().chain([("tenantId", "invalid_type")]).collect::<Vec<_>>())
    );
    document["tenantId"] = json!("acme");
    document["contractVersion"] = json!("v2");
    assert_eq!(codes(&violations(&document)), strings(&[("contractVersion", "invalid_literal")]));
}

#[test]
fn a_violation_is_written_as_publishers_write_one() {
    let mut document = full(&every_tts()[0]);
    document["dids"] = json!(["+15551234567", "x"]);
    assert_eq!(
        serde_json::to_value(violations(&document)).unwrap(),
        json!([{
            "code": "invalid_string",
            "path": ["dids", 1],
            "message": "must be an E.164 number: a plus sign, then 2 to 15 digits of which the first is not 0, without white space",
        }])
    );
}

#[test]
fn a_valid_document_is_kept_as_it_was_given() {
    for tts in every_tts() {
        let mut document = full(&tts);
        document["shopPlaybook"] =
            json!({ "quoteHoldCents": 0, "digest": { "emails": ["A@B.co", "a@b.co"] }, "newer": [] });
        document["llmContext"]["businessHours"]["weekly"]["tue"] =
            json!({ "closed": true, "open": "9", "x": null });
        document["intakeProfile"] = json!({ "writer": "fsm", "kind": "demo" });
        let text = document.to_string();
        assert_eq!(RuntimeTenantConfig::parse(&text).unwrap().to_json().expose_secret(), text);
    }
}
