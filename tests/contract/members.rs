//! Each member alone: its presence and the condition for its value.

use std::collections::BTreeSet;

use runtime_operator::contract::Violation;
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
    "/callForwarding/enabled",
    "/callForwarding/destination",
    "/transferProfiles/0/id",
    "/transferProfiles/0/name",
    "/transferProfiles/0/responsibilities",
    "/transferProfiles/0/destination",
    "/quickReplies/0/match",
    "/quickReplies/0/reply",
];

#[test]
fn null_is_one_violation_at_every_place() {
    for (document, pointer) in every_place() {
        let mut document = document;
        set(&mut document, &pointer, Value::Null);
        assert_eq!(paths(&document), [path(&pointer)]);
    }
}

#[test]
fn a_missing_member_is_a_violation_exactly_when_it_is_required() {
    let mut seen = BTreeSet::new();
    for (document, pointer) in every_place() {
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
    let max = 9_007_199_254_740_991_i64;
    let positive = "must be an integer greater than 0";
    let safe = "must be at most 9007199254740991";
    let timeout = "must be an integer from 5 to 600";
    let tokens = "must be an integer from 1 to 32768";
    vec![
        at(0, calls, positive, json!([0, -1, 1.5, "1", true]), json!([10.0, 1e3, max])),
        at(0, calls, safe, json!([max + 1, 1e16, 1e300, u64::MAX]), json!([])),
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
    let destination = "must be an E.164 number without white space, or a SIP URI (sip:… or sips:…)";
    let no_destination =
        json!(["desk", "", "+1 555 123 4567", "sip:", "sips:", "sip:a b", "ssip:a", "é:sip", 5]);
    let destinations = json!(["+15551234567", "sip:a", "SIPS:desk@example.com;transport=tls"]);
    let four = "must be a string of at least 4 characters";
    let reply = "must be a string of 1 to 4000 characters";
    let too_long = json!([format!("{long}x"), format!("{emoji}x"), ""]);
    let stt = "must be \"whisper_http\" or \"http_wav_json\" or \"disabled\"";
    let tts = "must be \"kokoro_http\" or \"coqui_xtts\" or \"chatterbox_http\" or \"qwen3_tts_http\"";
    vec![
        at(0, "/contractVersion", "must be \"v1\"", json!(["v2", 1]), json!([])),
        at(0, "/tenantId", text, json!(["", 7]), json!([" "])),
        at(0, "/stt/mode", stt, json!(["whisper", "", 1]), json!(["disabled"])),
        at(0, "/tts/mode", tts, json!(["kokoro", "", 1]), json!([])),
        at(0, "/callForwarding/destination", destination, no_destination, destinations),
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
            let violation = Violation { path: path(pointer), rule: rule.to_owned() };
            assert_eq!(violations_of(value), [violation], "{pointer}: {value}");
        }
        for value in accepted.as_array().unwrap() {
            assert_eq!(violations_of(value), [], "{pointer}: {value}");
        }
    }
}
