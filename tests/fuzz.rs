//! Untrusted input: no text panics, and every accepted text has been understood.
//!
//! `cargo test` runs each target for a second, `make fuzz` for a minute. Guided by coverage:
//! `cargo bolero test --test fuzz TARGET`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

use bolero::check;
use runtime_operator::admin::endpoint::{ACCESS_PREFIX, Endpoint, Target};
use runtime_operator::contract::routes::ADMIN_PREFIX;
use runtime_operator::contract::{
    Did, DidError, ParseConfigError, RuntimeTenantConfig, is_white_space, read_json,
};
use secrecy::ExposeSecret;

const DOCUMENTS: [&str; 2] =
    [include_str!("fixtures/tenant-kokoro.json"), include_str!("fixtures/tenant-chatterbox.json")];
/// Fragments of JSON, and values that break the contract.
const PIECES: [&str; 20] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\ud800",
    "\u{feff}",
    "null",
    "true",
    "0",
    "-1",
    "1e999",
    "10.0",
    "\"\"",
    "\"mode\":\"coqui_xtts\"",
    "[[[[[[[[",
    "\"dids\":[\"+1 555\"]",
];

/// A place, the position of the new piece, and the number of bytes that it replaces.
type Edit = (u16, u8, u8);

fn edited(document: &str, edits: &[Edit]) -> Vec<u8> {
    let mut text = document.as_bytes().to_vec();
    for (place, piece, gone) in edits {
        let from = usize::from(*place) % (text.len() + 1);
        let to = (from + usize::from(*gone % 8)).min(text.len());
        let new: &[u8] = match PIECES.get(usize::from(*piece)) {
            Some(piece) => piece.as_bytes(),
            None => std::slice::from_ref(piece),
        };
        text.splice(from..to, new.iter().copied());
    }
    text
}

fn check_config(text: &[u8]) {
    match RuntimeTenantConfig::parse(text) {
        Ok(config) => {
            let json = config.to_json();
            let again =
                RuntimeTenantConfig::parse(json.expose_secret()).expect("a written config can be read");
            assert_eq!(again, config);
            assert_eq!(again.hash_without_secret(), config.hash_without_secret());
            assert!(config.dids().iter().all(|did| Did::parse_exact(did.as_str()).is_ok()));
            assert!(!config.without_secret().contains_key("webhookSecret"));
        }
        Err(ParseConfigError::Invalid(invalid)) => {
            assert!(invalid.violations.iter().all(|violation| violation.rule.starts_with("must ")));
            assert!(read_json(text).is_ok());
        }
        Err(ParseConfigError::NotJson(_)) => assert!(read_json(text).is_err()),
    }
}

#[test]
fn config_parsing() {
    check!().with_type::<(bool, Vec<Edit>)>().for_each(|(which, edits)| {
        check_config(&edited(DOCUMENTS[usize::from(*which)], &edits[..edits.len().min(4)]));
    });
}

#[test]
fn config_parsing_of_anything() {
    check!().for_each(check_config);
}

/// Digits, white space of every kind, and characters that resemble them.
const SIGNS: [char; 24] = [
    '+', '+', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ' ', '\t', '\u{a0}', '\u{feff}', '\u{2028}',
    '\u{85}', '\u{200b}', '١', '＋', '-', 'a', '\0',
];

#[test]
fn e164() {
    let model = regex::Regex::new(r"^\+[1-9][0-9]{1,14}\z").unwrap();
    check!().with_type::<Vec<u8>>().for_each(|bytes| {
        let text: String = bytes.iter().map(|byte| SIGNS[usize::from(*byte) % SIGNS.len()]).collect();
        let plain: String = text.chars().filter(|c| !is_white_space(*c)).collect();
        let parsed = Did::parse(&text);
        match &parsed {
            Ok(did) => {
                assert_eq!(did.as_str(), plain);
                assert!(model.is_match(&plain));
                assert_eq!(Did::parse_exact(did.as_str()).as_ref(), Ok(did));
            }
            Err(DidError::Empty) => assert_eq!(plain, ""),
            Err(DidError::NotE164) => assert!(!plain.is_empty() && !model.is_match(&plain)),
        }
    });
}

/// Parts of the routes' paths, and similar texts.
const PARTS: [&str; 26] = [
    "/",
    "/",
    "//",
    "/tenants",
    "/config",
    "/dids",
    "/map",
    "/unmap",
    "/%6Dap",
    "%75nmap",
    "/health",
    "/openapi.json",
    "%2F",
    "%2f..",
    "..",
    ".",
    "%",
    "%2",
    "%ff",
    "%00",
    "*",
    "+1555",
    "%2B1555",
    "%20",
    "acme",
    ":tenantId",
];

#[test]
fn paths() {
    check!().with_type::<(u8, Vec<u8>)>().for_each(|(method, parts)| {
        let method = ["GET", "HEAD", "POST", "PUT", ""][usize::from(*method) % 5];
        let parts = parts.iter().map(|part| PARTS[usize::from(*part) % PARTS.len()]);
        let path: String = std::iter::once(ADMIN_PREFIX).chain(parts).collect();
        let Ok(target) = Target::resolve(method, &path) else { return };
        let access_path = target.access_path();
        // An argument is one segment whatever its content: access to one object never gives access to another.
        let slashes = |text: &str| text.matches('/').count();
        assert_eq!(
            slashes(&access_path),
            slashes(ACCESS_PREFIX) + slashes(target.endpoint.template()),
            "{path} {access_path}"
        );
        assert!(
            access_path.starts_with(ACCESS_PREFIX)
                && access_path.is_ascii()
                && !access_path.contains(['*', '?', '#', ' '])
        );
        // The path of the access review resolves to the same route and the same access.
        let canonical = access_path.replacen(ACCESS_PREFIX, ADMIN_PREFIX, 1);
        let again = Target::resolve(method, &canonical)
            .unwrap_or_else(|error| panic!("{path} is access_path for on {canonical}: {error:?}"));
        assert_eq!((again.endpoint, again.access_path()), (target.endpoint, access_path), "{path}");
        assert!(Endpoint::ALL.contains(&target.endpoint));
    });
}
