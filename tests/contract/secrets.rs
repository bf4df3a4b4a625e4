//! The secret and the other values of a document appear only in the methods that return them.

use runtime_operator::contract::RuntimeTenantConfig;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::documents::{KOKORO, check, every_place, set};

const CANARY: &str = "canary-4f1d";

#[test]
fn the_hash_covers_the_published_bytes_without_the_secret() {
    let config = RuntimeTenantConfig::parse(KOKORO).unwrap();
    let rotated = RuntimeTenantConfig::parse(KOKORO.replace("whsec_example", "whsec_other")).unwrap();
    let moved = RuntimeTenantConfig::parse(KOKORO.replace("acme-dental", "acme")).unwrap();
    assert_ne!(config, rotated);
    assert_eq!(config.hash_without_secret(), rotated.hash_without_secret());
    assert_ne!(config.hash_without_secret(), moved.hash_without_secret());
    // jq -cj 'del(.webhookSecret)' tests/fixtures/tenant-kokoro.json | sha256sum
    assert_eq!(
        config.hash_without_secret(),
        "f16ca18b2c857452cdee353b776d14083134f77b2b2bf8e6dbd964524d4dd928"
    );

    let shown = config.without_secret();
    let mut given: Map<String, Value> = serde_json::from_str(KOKORO).unwrap();
    given.shift_remove("webhookSecret");
    assert_eq!(Value::Object(shown).to_string(), Value::Object(given).to_string());
}

#[test]
fn the_secret_is_not_printed() {
    let config = RuntimeTenantConfig::parse(KOKORO.replace("whsec_example", CANARY)).unwrap();
    assert!(config.to_json().expose_secret().contains(CANARY));
    for printed in [format!("{config:?}"), format!("{config:#?}"), format!("{:?}", config.to_json())] {
        assert!(!printed.contains(CANARY), "{printed}");
    }
}

#[test]
fn a_violation_never_quotes_the_document() {
    for (document, pointer) in every_place() {
        for value in [json!(CANARY), json!([CANARY]), json!({"mode": CANARY, CANARY: CANARY})] {
            // Names of sections are places.
            if pointer.starts_with("/assistantContext") {
                continue;
            }
            let mut document = document.clone();
            set(&mut document, &pointer, value);
            if let Err(invalid) = check(&document) {
                assert!(!format!("{invalid} {invalid:?}").contains(CANARY), "{invalid}");
            }
        }
    }
}
