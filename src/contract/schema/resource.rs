//! The rules for a resource that go beyond the runtime's own: the runtime ignores a member of another mode and an endpoint
//! that is no URL until a call needs it.

use serde_json::{Map, Value};
use url::Url;

use super::check::{Check, mode_of};
use super::rule::{Member, Presence, Rule, mode_names};
use super::tables::CONFIG;
use crate::contract::e164::is_white_space;
use crate::contract::violation::Violation;

/// Returns the places of a resource's config at which a member belongs to another mode, the mode's own member is missing,
/// or an endpoint is no absolute http or https URL. Everything else is checked by
/// [`RuntimeTenantConfig`](crate::contract::RuntimeTenantConfig).
#[must_use]
pub fn resource_violations(document: &Map<String, Value>) -> Vec<Violation> {
    let mut check = Check::default();
    members(&mut check, document, CONFIG, None);
    check.finish().violations
}

/// Checks an object. `outer` is the mode of the object around it, which counts for an object that has none itself.
fn members<'d>(
    check: &mut Check<'d>,
    object: &'d Map<String, Value>,
    table: &'static [Member],
    outer: Option<&str>,
) {
    let mode = mode_of(table, object);
    let mode_name = mode.map(|mode| mode_names(table)[mode]).or(outer);
    let counts = |member: &&Member| mode.is_none_or(|mode| member.modes.contains(mode));
    for (name, value) in object {
        // A member can have one row for each mode.
        let rows = || table.iter().filter(|member| member.name == name);
        if let Some(Member { rule, .. }) = rows().find(counts) {
            check.in_member(name, |check| value_of(check, value, rule, mode_name));
        } else if let (Some(_), Some(mode)) = (rows().next(), mode_name) {
            check.violation_at(name, format!("must not be set when mode is {mode}"));
        }
    }
    for member in expected(table).filter(counts).filter(|member| !object.contains_key(member.name)) {
        check.in_member(member.name, |check| missing(check, &member.rule, mode_name));
    }
}

/// Returns the members that a resource must have although the runtime takes a config without them.
fn expected(table: &'static [Member]) -> impl Iterator<Item = &'static Member> {
    table.iter().filter(|member| member.presence == Presence::Expected)
}

fn value_of<'d>(check: &mut Check<'d>, value: &'d Value, rule: &'static Rule, mode: Option<&str>) {
    match (rule, value) {
        (Rule::HttpUrl | Rule::AudioUrl, Value::String(text)) if !is_absolute_http(text) => {
            check.violation("must be an absolute http or https URL");
        }
        (Rule::Object(table) | Rule::ByMode(table), Value::Object(object)) => {
            members(check, object, table, mode);
        }
        (Rule::List { item, .. }, Value::Array(items)) => {
            for (index, value) in items.iter().enumerate() {
                check.in_item(index, |check| value_of(check, value, item, mode));
            }
        }
        (Rule::Map(rule), Value::Object(values)) => {
            for (name, value) in values {
                check.in_member(name, |check| value_of(check, value, rule, mode));
            }
        }
        _ => {}
    }
}

/// Names the missing member itself: of an object that is missing as a whole, the members that it must have.
fn missing(check: &mut Check<'_>, rule: &'static Rule, mode: Option<&str>) {
    match rule {
        Rule::Object(table) if expected(table).next().is_some() => {
            for member in expected(table) {
                check.in_member(member.name, |check| missing(check, &member.rule, mode));
            }
        }
        _ => match mode {
            Some(mode) => check.violation(format!("must be set when mode is {mode}")),
            None => check.violation("must be set"),
        },
    }
}

fn is_absolute_http(text: &str) -> bool {
    // The URL standard repairs a URL that is not absolute ("http:host"), so the form is checked first.
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| ["http", "https"].iter().any(|http| scheme.eq_ignore_ascii_case(http)))
        && !text.contains(is_white_space)
        && Url::parse(text).is_ok_and(|url| url.host_str().is_some_and(|host| !host.is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn violations(document: &Value) -> Vec<String> {
        resource_violations(document.as_object().unwrap()).iter().map(Violation::to_string).collect()
    }

    #[test]
    fn an_endpoint_must_be_an_absolute_http_url() {
        for good in ["http://a", "HTTPS://A.example:8443/x?y=z", "http://[::1]:80/"] {
            assert!(is_absolute_http(good), "{good}");
        }
        for bad in ["a", "//a", "http:a", "http://", "ftp://a", "http://a b", " http://a"] {
            assert!(!is_absolute_http(bad), "{bad}");
        }
        assert_eq!(
            violations(&json!({"transferProfiles": [{"audioUrl": "http://a"}, {"audioUrl": "a"}]})),
            ["transferProfiles[1].audioUrl must be an absolute http or https URL"]
        );
    }

    #[test]
    fn a_missing_member_of_the_mode_is_named() {
        let url = "stt.config.url must be set when mode is http_wav_json";
        assert_eq!(violations(&json!({"stt": {"mode": "http_wav_json"}})), [url]);
        assert_eq!(violations(&json!({"stt": {"mode": "http_wav_json", "config": {}}})), [url]);
        assert_eq!(
            violations(&json!({"stt": {"mode": "whisper_http"}})),
            ["stt.whisperUrl must be set when mode is whisper_http"]
        );
        assert_eq!(violations(&json!({"stt": {"mode": "disabled"}})), [""; 0]);
    }

    #[test]
    fn a_member_of_another_mode_is_a_violation() {
        let document = json!({
            "stt": {"mode": "disabled", "config": {"url": "a"}},
            "tts": {"mode": "chatterbox_http", "voice": "v", "rate": 1, "speaker": "s"},
        });
        assert_eq!(
            violations(&document),
            [
                "stt.config must not be set when mode is disabled",
                "tts.rate must not be set when mode is chatterbox_http",
                "tts.speaker must not be set when mode is chatterbox_http",
            ]
        );
        assert_eq!(violations(&json!({"tts": {"mode": "coqui_xtts", "rate": 1}})), [""; 0]);
    }
}
