//! The rules for a document that is about to be published, beyond the runtime's own: the runtime would take a redacted URL
//! for an endpoint, a redacted reference for the secret itself, and a blank secret for none.

use serde_json::{Map, Value};

use super::check::{Check, mode_of};
use super::formats::REDACTED;
use super::rule::{Member, Rule};
use super::tables::{CONFIG, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};
use crate::contract::e164::trim;
use crate::contract::violation::Violation;

const NOT_REDACTED: &str = "must not be a redacted value: take the value from where the config is stored";
const NOT_BLANK: &str = "must not be white space alone, which the runtime takes for no secret";

/// Returns the places at which a document must not be published although the runtime accepts it.
#[must_use]
pub fn submitted_violations(document: &Map<String, Value>) -> Vec<Violation> {
    let mut check = Check::default();
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let is_blank = |text: &str| !text.is_empty() && trim(text).is_empty();
    if text(WEBHOOK_SECRET_REF).is_some_and(|reference| reference.starts_with(REDACTED)) {
        check.violation_at(WEBHOOK_SECRET_REF, NOT_REDACTED);
    }
    if text(WEBHOOK_SECRET).is_none() && text(WEBHOOK_SECRET_REF).is_some_and(is_blank) {
        check.violation_at(WEBHOOK_SECRET_REF, NOT_BLANK);
    }
    if text(WEBHOOK_SECRET).is_some_and(is_blank) {
        check.violation_at(WEBHOOK_SECRET, NOT_BLANK);
    }
    members(&mut check, document, CONFIG.iter());
    check.finish().violations
}

fn members<'d>(
    check: &mut Check<'d>,
    object: &'d Map<String, Value>,
    table: impl Iterator<Item = &'static Member>,
) {
    for member in table {
        if let Some(value) = object.get(member.name) {
            check.in_member(member.name, |check| value_of(check, value, &member.rule));
        }
    }
}

fn value_of<'d>(check: &mut Check<'d>, value: &'d Value, rule: &'static Rule) {
    match (rule, value) {
        (Rule::HttpUrl | Rule::AudioUrl | Rule::UrlText, Value::String(text))
            if text.starts_with(REDACTED) =>
        {
            check.violation(NOT_REDACTED);
        }
        (Rule::Object(table), Value::Object(object)) => members(check, object, table.iter()),
        (Rule::ByMode(table), Value::Object(object)) => {
            if let Some(mode) = mode_of(table, object) {
                members(check, object, table.iter().filter(|member| member.modes.contains(mode)));
            }
        }
        (Rule::List { item, .. }, Value::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                check.in_item(index, |check| value_of(check, value, item));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations(document: &Value) -> Vec<String> {
        let found = submitted_violations(document.as_object().unwrap());
        found.iter().map(|violation| violation.path.to_string()).collect()
    }

    #[test]
    fn a_redacted_url_or_reference_is_refused_and_other_text_is_not() {
        for redacted in ["[redacted]", "[redacted-internal]", "[redacted-host:a.example]"] {
            let document = json!({
                "webhookSecretRef": redacted,
                "stt": { "mode": "disabled", "whisperUrl": redacted, "config": { "url": redacted } },
                "tts": { "mode": "coqui_xtts", "coquiXttsUrl": redacted, "speakerWavUrl": redacted, "voice": redacted, "kokoroUrl": redacted },
                "audio": { "publicBaseUrl": redacted, "storageDir": redacted },
                "callForwarding": { "destination": redacted, "audioUrl": redacted },
                "transferProfiles": [{ "name": redacted }, { "audioUrl": redacted }],
                "assistantContext": { "hours": redacted },
            });
            assert_eq!(
                violations(&document),
                [
                    "webhookSecretRef",
                    "stt.whisperUrl",
                    "stt.config.url",
                    "tts.coquiXttsUrl",
                    "tts.speakerWavUrl",
                    "audio.publicBaseUrl",
                    "callForwarding.audioUrl",
                    "transferProfiles[1].audioUrl",
                ]
            );
        }
        assert_eq!(violations(&json!({ "audio": { "publicBaseUrl": "a [redacted] b" } })), [""; 0]);
    }

    #[test]
    fn a_blank_secret_is_refused() {
        assert_eq!(violations(&json!({ "webhookSecret": " \t" })), ["webhookSecret"]);
        assert_eq!(
            violations(&json!({ "webhookSecret": "\u{feff}", "webhookSecretRef": "env:A" })),
            ["webhookSecret"]
        );
        assert_eq!(violations(&json!({ "webhookSecretRef": " " })), ["webhookSecretRef"]);
        assert_eq!(violations(&json!({ "webhookSecretRef": " ", "webhookSecret": "s" })), [""; 0]);
    }
}
