//! Stable hashes in place of names, numbers and hosts.

use std::sync::LazyLock;

use hmac::{Hmac, Mac};
use regex::{Captures, Regex};
use sha2::Sha256;

use crate::cli::failure::Failure;

/// The least bytes of a key.
const LEAST_KEY: usize = 16;
/// The hexadecimal digits of a hash that are shown.
const DIGITS: usize = 12;

/// Numbers in E.164.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\+[1-9][0-9]{6,14}").ok());
/// Hosts: addresses, and names of at least two labels.
static HOST: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\b(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:svc|local|com|net|org|io|internal)(?:\.[a-z0-9-]+)*)\b").ok()
});

/// Replaces texts by HMAC-SHA-256 with a key.
pub struct Anonymizer {
    key: Hmac<Sha256>,
    /// Names that were seen as values of names, the longest first.
    names: Vec<String>,
}

impl Anonymizer {
    /// With a key of a person.
    pub fn new(key: &[u8]) -> Result<Self, Failure> {
        if key.len() < LEAST_KEY {
            return Err(format!("--anonymize-key: the file must have at least {LEAST_KEY} bytes").into());
        }
        let key = Hmac::new_from_slice(key)?;
        Ok(Self { key, names: Vec::new() })
    }

    /// With a key that is used once.
    pub fn random() -> Self {
        let key: [u8; 32] = rand::random();
        // HMAC takes a key of any length.
        let key = Hmac::new_from_slice(&key)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        Self { key, names: Vec::new() }
    }

    /// Adds names that must be replaced wherever they stand: of namespaces, resources, tenants and Pods.
    pub fn learn(&mut self, names: impl IntoIterator<Item = String>) {
        self.names.extend(names.into_iter().filter(|name| name.len() > 1));
        self.names.sort_by_key(|name| (std::cmp::Reverse(name.len()), name.clone()));
        self.names.dedup();
    }

    /// Replaces everything.
    pub fn replace(&self, text: &str) -> String {
        let mut text = self.all(NUMBER.as_ref(), text, "number");
        text = self.all(HOST.as_ref(), &text, "host");
        for name in &self.names {
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), &self.hash("name", name));
            }
        }
        text
    }

    fn all(&self, pattern: Option<&Regex>, text: &str, kind: &str) -> String {
        let Some(pattern) = pattern else { return text.to_owned() };
        pattern.replace_all(text, |found: &Captures<'_>| self.hash(kind, &found[0])).into_owned()
    }

    fn hash(&self, kind: &str, text: &str) -> String {
        let mut mac = self.key.clone();
        mac.update(text.as_bytes());
        let digits = format!("{:x}", mac.finalize().into_bytes());
        format!("{kind}-{}", &digits[..DIGITS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_hosts_are_replaced_by_stable_hashes() {
        let of = |key: &str| {
            let mut anonymizer = Anonymizer::new(key.repeat(16).as_bytes()).unwrap();
            anonymizer.learn(["acme-dental".to_owned(), "team-a".to_owned()]);
            anonymizer.replace(
                "team-a/acme-dental +15551234567 at redis.data.svc:6379, 10.1.2.3; again +15551234567",
            )
        };
        let text = of("k");
        for secret in ["acme", "team-a", "1555", "redis.data", "10.1"] {
            assert!(!text.contains(secret), "{text}");
        }
        let numbers: Vec<&str> = text.split_whitespace().filter(|word| word.starts_with("number-")).collect();
        assert!(numbers.len() == 2 && numbers[0] == numbers[1], "{text}");
        assert_eq!(text, of("k"));
        assert_ne!(text, of("l"));
        assert!(Anonymizer::new(&[1; 15]).is_err());
    }
}
