//! The warnings about the value of a webhook secret.

use secrecy::{ExposeSecret, SecretString};

use super::warning::Warning;
use crate::contract::{WEBHOOK_SECRET_REF, trim};

/// Returns the warnings about a webhook secret as it is published. The value itself is never part of a warning.
#[must_use]
pub fn of_secret(secret: &SecretString) -> Vec<Warning> {
    let value = secret.expose_secret();
    let lines = value.trim_end_matches(['\r', '\n']);
    let mut found = Vec::new();
    if value.starts_with('\u{feff}') {
        found.push("begins with a byte order mark, which some editors write");
    }
    if lines.contains(['\r', '\n']) {
        found.push("has a line break inside it");
    } else if lines.len() < value.len() {
        found.push("ends with more than one line break, or with a lone carriage return");
    }
    if found.is_empty() && trim(value) != value {
        found.push("begins or ends with white space, which the runtime removes");
    }
    let warning = |text: &str| Warning::new(WEBHOOK_SECRET_REF, format!("the value of the Secret {text}"));
    found.into_iter().map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_secret_is_described_and_never_quoted() {
        let of = |value: &str| {
            let warnings = of_secret(&SecretString::from(value));
            assert!(warnings.iter().all(|warning| !warning.to_string().contains("whsec")));
            warnings.iter().map(Warning::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(of("whsec"), "");
        assert_eq!(
            of("\u{feff}whsec"),
            "webhookSecretRef: the value of the Secret begins with a byte order mark, which some editors write"
        );
        for value in ["whsec\n", "whsec\r", "whsec\r\n\r"] {
            assert!(of(value).ends_with("or with a lone carriage return"), "{value:?}");
        }
        for value in ["whsec\rb", "whsec\nb\n"] {
            assert!(of(value).ends_with("has a line break inside it"), "{value:?}");
        }
        assert!(of(" whsec").ends_with("begins or ends with white space, which the runtime removes"));
    }
}
