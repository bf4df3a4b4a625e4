//! The contract: a document is accepted exactly when the voice runtime accepts it, and is passed on unchanged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

mod checker;
mod documents;
mod members;
mod newest;
mod properties;
mod report;
mod secrets;

use runtime_operator::contract::{CONFIG, Did, MAX_DEPTH, MAX_VIOLATIONS, RuntimeTenantConfig, TtsMode};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use documents::{CHATTERBOX, KOKORO, check, every_place, every_tts, full, paths, violations};

#[test]
fn the_runtimes_own_documents_are_passed_on_unchanged() {
    for text in [KOKORO, CHATTERBOX] {
        let config = RuntimeTenantConfig::parse(text).unwrap();
        let given: Value = serde_json::from_str(text).unwrap();
        assert_eq!(config.to_json().expose_secret(), given.to_string());
        assert_eq!(Value::Object(config.document().clone()), given);
    }
    let config = RuntimeTenantConfig::parse(KOKORO.as_bytes()).unwrap();
    assert_eq!(config.tenant_id().as_str(), "acme-dental");
    assert_eq!(config.dids(), ["+15551234567", "+442079460958"].map(|number| Did::parse(number).unwrap()));
}

#[test]
fn every_member_of_the_contract_is_accepted_in_every_mode() {
    for tts in every_tts() {
        assert_eq!(violations(&full(&tts)), []);
    }
    assert!(full(&json!({})).as_object().unwrap().keys().eq(CONFIG.iter().map(|member| member.name)));
    assert!(every_tts().iter().map(|tts| tts["mode"].as_str().unwrap()).eq(TtsMode::NAMES.iter().copied()));
}

#[test]
fn one_of_the_two_webhook_members_is_required() {
    let mut document: Value = serde_json::from_str(KOKORO).unwrap();
    document.as_object_mut().unwrap().shift_remove("webhookSecret");
    assert_eq!(
        check(&document).unwrap_err().to_string(),
        "webhookSecretRef must be given, or webhookSecret must be"
    );
    document["webhookSecretRef"] = json!("env:SECRET");
    assert_eq!(violations(&document), []);
    document["webhookSecret"] = json!("");
    assert_eq!(paths(&document), ["webhookSecret"]);
}

#[test]
fn phone_numbers_in_a_document_are_not_normalised() {
    let mut document = full(&every_tts()[0]);
    document["dids"] = json!(["+15551234567", "+1 555 123 4568", "15551234569", 5]);
    let found = violations(&document);
    assert_eq!(paths(&document), ["dids[1]", "dids[2]", "dids[3]"]);
    assert!(found.iter().all(|violation| violation.rule.starts_with("must be an E.164 number: a plus sign")));
}

#[test]
fn all_violations_are_reported_together_in_table_order() {
    let document = json!({
        "quickReplies": [{"match": ["four", "abc"], "reply": ""}, 7],
        "assistantContext": {"opening hours": "", "fine": "text", "a.b": 1},
        "tts": {"mode": "kokoro_http", "rate": 9},
        "dids": ["+15551234567", "x"],
        "tenantId": null,
    });
    assert_eq!(
        paths(&document),
        [
            "contractVersion",
            "tenantId",
            "dids[1]",
            "caps",
            "stt",
            "tts.kokoroUrl",
            "tts.rate",
            "audio",
            "assistantContext[\"opening hours\"]",
            "assistantContext[\"a.b\"]",
            "quickReplies[0].match[1]",
            "quickReplies[0].reply",
            "quickReplies[1]",
        ]
    );
    let message = check(&document).unwrap_err().to_string();
    assert!(message.starts_with(
        "contractVersion must be given, and be \"v1\"; tenantId must be a string of at least 1 character; dids[1] must"
    ));
    assert_eq!(violations(&document)[6].to_string(), "tts.rate must be a number from 0.5 to 1.5");
}

#[test]
fn the_number_of_reported_violations_is_bounded() {
    let mut document = full(&every_tts()[0]);
    document["dids"] = json!(vec!["x"; MAX_VIOLATIONS + 5]);
    let invalid = check(&document).unwrap_err();
    assert_eq!((invalid.violations.len(), invalid.omitted), (MAX_VIOLATIONS, 5));
    assert!(invalid.to_string().ends_with("; and 5 more"));
}

#[test]
fn a_document_that_is_no_object_is_one_violation() {
    for document in [json!([]), json!("text"), json!(null), json!(1)] {
        let invalid = check(&document).unwrap_err();
        assert_eq!(
            (invalid.violations[0].path.segments().len(), invalid.to_string().as_str()),
            (0, "the document must be an object")
        );
    }
}

#[test]
fn a_document_in_memory_beyond_the_depth_limit_is_rejected() {
    let document = |levels| {
        let mut document: Map<String, Value> = serde_json::from_str(KOKORO).unwrap();
        document.insert("newer".into(), (0..levels).fold(json!(1), |inner, _| json!([inner])));
        RuntimeTenantConfig::from_document(document)
    };
    let deepest = document(MAX_DEPTH - 1).unwrap();
    assert_eq!(RuntimeTenantConfig::parse(deepest.to_json().expose_secret()).unwrap(), deepest);
    assert_eq!(document(MAX_DEPTH).unwrap_err().to_string(), "newer must nest at most 126 levels deep");
}

#[test]
fn unknown_members_are_kept_at_every_level() {
    for (document, pointer) in every_place() {
        let mut document = document;
        let place = document.pointer_mut(&pointer).unwrap();
        // Every member of the map of sections is a section.
        if !place.is_object() || pointer == "/assistantContext" {
            continue;
        }
        place["newer"] = json!({"a": [1, 2.50, null, {"z": 1e21, "b": -0.0}]});
        assert_eq!(check(&document).unwrap().to_json().expose_secret(), document.to_string());
    }
}
