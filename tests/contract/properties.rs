//! Properties of every document and every phone number.

use proptest::prelude::*;
use runtime_operator::contract::{Did, RuntimeTenantConfig};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::documents::{CHATTERBOX, check, every_tts, full, pointers, set};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        (1..40_000_u32).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A full document, with any JSON at up to four places and at a new member.
fn mutated() -> impl Strategy<Value = Value> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any_json()), 0..4);
    (0..4_usize, changes, any::<String>(), any_json()).prop_map(|(tts, changes, name, newer)| {
        let mut document = full(&every_tts()[tts]);
        document["newer"][name] = newer;
        for (place, value) in changes {
            let mut found = Vec::new();
            pointers(&document, "", &mut found);
            found.retain(|pointer| document.pointer(pointer).is_some());
            set(&mut document, &found[place.index(found.len())].clone(), value);
        }
        document
    })
}

proptest! {
    #[test]
    fn a_written_document_is_read_back_unchanged(document in mutated()) {
        let Value::Object(document) = document else { unreachable!() };
        if let Ok(config) = RuntimeTenantConfig::from_document(document.clone()) {
            let written = config.to_json();
            prop_assert_eq!(written.expose_secret(), &Value::Object(document).to_string());
            let read = RuntimeTenantConfig::parse(written.expose_secret()).unwrap();
            let again = read.to_json();
            prop_assert_eq!(again.expose_secret(), written.expose_secret());
            prop_assert_eq!(read.hash_without_secret(), config.hash_without_secret());
            prop_assert_eq!(read, config);
        }
    }

    #[test]
    fn a_document_has_the_same_violations_in_memory_and_as_text(document in mutated()) {
        let Value::Object(members) = document.clone() else { unreachable!() };
        prop_assert_eq!(RuntimeTenantConfig::from_document(members), check(&document));
    }

    #[test]
    fn reading_any_text_does_not_panic(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 0..8), cut in 0..40_usize) {
        let mut text = CHATTERBOX.as_bytes().to_vec();
        let at = at.index(text.len());
        let end = text.len().min(at + cut);
        text.splice(at..end, bytes);
        if let Ok(config) = RuntimeTenantConfig::parse(&text) {
            prop_assert_eq!(RuntimeTenantConfig::parse(config.to_json().expose_secret()).unwrap(), config);
        }
    }

    #[test]
    fn normalisation_of_a_number_is_idempotent(text in "[ \t\u{a0}\u{feff}]?\\+[1-9]([0-9][ \u{2009}\n]?){1,14}") {
        let once = Did::parse(&text).unwrap();
        prop_assert_eq!(Did::parse(once.as_str()).unwrap(), once.clone());
        prop_assert_eq!(Did::parse_exact(once.as_str()).unwrap(), once);
    }

    #[test]
    fn an_accepted_number_is_e164(text in "\\PC{0,20}|\\+?[0-9 ]{0,18}") {
        if let Ok(did) = Did::parse(&text) {
            let digits = did.as_str().strip_prefix('+').unwrap();
            prop_assert!((2..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()));
            prop_assert!(!digits.starts_with('0'));
        }
    }
}
