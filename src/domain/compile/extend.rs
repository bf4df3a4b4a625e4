//! Checks and sorts the extensions of a spec, which `compile` merges into the config: members that the contract does not
//! know, at the top level and below objects that the spec has.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::api::RuntimeTenantSpec;
use crate::contract::{
    Addition, CONFIG, LAST_PUBLISHED_AT, Member, Rule, WEBHOOK_SECRET, mode_of, read_json,
};

/// The longest JSON of a member among the extensions that the contract knows and that the mode of the spec does not use.
const LONGEST_KNOWN: usize = 8 * 1024;

/// What the extensions of a spec are to its config.
#[derive(Default)]
pub struct Extended<'s> {
    /// The members that are published as the text that they are.
    pub additions: Vec<Addition<'s>>,
    /// The members that the contract knows although the spec has no field for them in its mode, with their paths.
    pub known: Vec<(Vec<&'s str>, Value)>,
    /// Each names the place and the rule.
    pub violations: Vec<String>,
}

/// Compares the extensions with the fields of the spec, which the document has.
pub fn extend<'s>(spec: &'s RuntimeTenantSpec, document: &Map<String, Value>) -> Extended<'s> {
    let mut extended = Extended::default();
    // The config has an `audio` even where the spec has none.
    let is_missing = |name: &str| name == "audio" && spec.audio.is_none();
    let members = spec.extensions.iter().filter(|(name, _)| !is_missing(name));
    let members = members.map(|(name, value)| (Cow::Borrowed(name), value));
    extended.members(&mut Vec::new(), document, &Rule::Object(CONFIG), members);
    extended.violations.extend(spec.extensions.names().filter(|name| is_missing(name)).map(moved));
    // The time of a control plane's last publish is the last member, where the drift comparison looks for it.
    extended.additions.sort_by_key(|addition| addition.path.is_empty() && addition.name == LAST_PUBLISHED_AT);
    extended
}

impl<'s> Extended<'s> {
    fn members(
        &mut self,
        path: &mut Vec<&'s str>,
        object: &Map<String, Value>,
        rule: &'static Rule,
        members: impl Iterator<Item = (Cow<'s, str>, &'s RawValue)>,
    ) {
        let table = table_of(rule).unwrap_or_default();
        let mode = mode_of(table, object);
        for (name, value) in members {
            let rows = || table.iter().filter(|member| member.name == name);
            let of_mode = rows().find(|member| mode.is_none_or(|mode| member.modes.contains(mode)));
            match (of_mode, rows().next()) {
                (Some(_), _) if path.is_empty() && name == LAST_PUBLISHED_AT => self.add(path, name, value),
                (Some(member), _) => {
                    let inner = object.get(member.name).and_then(Value::as_object);
                    self.known_member(path, member, inner, value);
                }
                // The contract checks it, whatever the mode.
                (None, Some(member)) if !matches!(rule, Rule::ByMode(_)) => {
                    self.other_mode(path, member, value);
                }
                _ => self.add(path, name, value),
            }
        }
    }

    fn add(&mut self, path: &[&'s str], name: Cow<'s, str>, value: &'s RawValue) {
        self.additions.push(Addition { path: path.to_vec(), name: name.into_owned(), value });
    }

    /// A member that the spec has a field for: only objects that the spec has may be extended.
    fn known_member(
        &mut self,
        path: &mut Vec<&'s str>,
        member: &'static Member,
        inner: Option<&Map<String, Value>>,
        value: &'s RawValue,
    ) {
        path.push(member.name);
        match (table_of(&member.rule), inner) {
            (Some(_), Some(inner)) => {
                match serde_json::from_str::<BTreeMap<Cow<'s, str>, &'s RawValue>>(value.get()) {
                    Ok(members) => self.members(path, inner, &member.rule, members.into_iter()),
                    Err(_) => {
                        self.violations.push(format!("spec.extensions.{} must be an object", path.join(".")));
                    }
                }
            }
            _ => self.violations.push(moved(&path.join("."))),
        }
        path.pop();
    }

    fn other_mode(&mut self, path: &[&'s str], member: &'static Member, value: &'s RawValue) {
        let path: Vec<_> = path.iter().copied().chain([member.name]).collect();
        match Some(value.get())
            .filter(|json| json.len() <= LONGEST_KNOWN)
            .map(|json| read_json(json.as_bytes()))
        {
            Some(Ok(value)) => self.known.push((path, value)),
            _ => self.violations.push(format!(
                "spec.extensions.{} must be at most {LONGEST_KNOWN} bytes long as JSON",
                path.join(".")
            )),
        }
    }
}

/// The members of an object that an extension may stand in.
fn table_of(rule: &'static Rule) -> Option<&'static [Member]> {
    match rule {
        Rule::Object(table) | Rule::ByMode(table) | Rule::Day(table) => Some(table),
        _ => None,
    }
}

/// The violation of a member that has a place of its own.
fn moved(path: &str) -> String {
    let instead = match path {
        "contractVersion" => "the operator sets it".to_owned(),
        WEBHOOK_SECRET => "put the value into a Secret, and refer to it in spec.webhookSecretRef".to_owned(),
        _ => format!("{path} is a field of spec: move it there"),
    };
    format!("spec.extensions.{path} must be left out: {instead}")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;
    use crate::contract::Did;
    use crate::domain::compile::{compile, read};

    /// Compiles a spec with a context, the patch, and these extensions.
    fn compiled(patch: &Value, extensions: &str) -> Result<String, Vec<String>> {
        let mut spec = json!({
            "tenantId": "acme", "dids": ["+15551234567"], "webhookSecretRef": { "name": "hook" },
            "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
            "stt": { "mode": "deepgram", "chunkMs": 500 },
            "tts": { "mode": "chatterbox_http", "chatterboxUrl": "https://tts.example.com" },
            "llmContext": {
                "forwardingProfiles": [], "pricing": { "items": [] },
                "prompts": { "systemPreamble": "", "schemaHint": "", "policyPrompt": "", "voicePrompt": "" },
            },
        });
        spec.as_object_mut().unwrap().extend(patch.as_object().unwrap().clone());
        let text = spec.to_string();
        let text = format!(r#"{},"extensions":{extensions}}}"#, text.strip_suffix('}').unwrap());
        let config = compile(&read(&text).unwrap(), &[Did::parse("+15551234567").unwrap()])?;
        Ok(config.to_json().expose_secret().to_owned())
    }

    #[test]
    fn members_that_an_object_does_not_know_are_merged_into_it_byte_for_byte() {
        let extensions = r#"{"newer": 1e2, "llmContext": {"newer": [1.50, {"b":1,"a":2}], "prompts": {"x": "\u003c"}}, "caps": {"maxX": {}}}"#;
        let json = compiled(&json!({}), extensions).unwrap();
        assert!(json.contains(r#""maxCallsPerMinuteTenant":1,"maxX":{}}"#), "{json}");
        assert!(json.contains(r#""voicePrompt":"","x":"\u003c"},"newer":[1.50, {"b":1,"a":2}]}"#), "{json}");
        assert!(json.ends_with(r#","newer":1e2}"#), "{json}");
        let empty = compiled(&json!({ "audio": {} }), r#"{"audio": {"newer": 1, "also": 2}}"#).unwrap();
        assert!(empty.contains(r#""audio":{"also":2,"newer":1}"#), "{empty}");
    }

    #[test]
    fn members_of_other_modes_are_no_members_of_the_spec() {
        let json = compiled(&json!({}), r#"{"tts": {"rate": 9, "misoTopK": "x"}, "stt": {"whisperUrl": "http://w", "config": {"url": "u"}}}"#).unwrap();
        assert!(json.contains(r#""tts":{"mode":"chatterbox_http","chatterboxUrl":"https://tts.example.com","misoTopK":"x","rate":9}"#), "{json}");
        assert!(json.contains(r#""chunkMs":500,"config":{"url":"u"},"whisperUrl":"http://w"}"#), "{json}");
        for (extensions, violation) in [
            (
                r#"{"stt": {"whisperUrl": ""}}"#,
                "spec.extensions.stt.whisperUrl must be a string of at least 1 character",
            ),
            (r#"{"stt": {"config": 5}}"#, "spec.extensions.stt.config must be an object"),
            (
                r#"{"stt": {"whisperUrl": "[redacted]"}}"#,
                "spec.extensions.stt.whisperUrl must not be a redacted value: take the value from where the config is stored",
            ),
        ] {
            assert_eq!(compiled(&json!({}), extensions).unwrap_err(), [violation]);
        }
    }

    #[test]
    fn a_member_of_the_spec_is_refused_among_the_extensions() {
        let moved = |path: &str| {
            format!("spec.extensions.{path} must be left out: {path} is a field of spec: move it there")
        };
        for (extensions, path) in [
            (r#"{"usageLimits": {}}"#, "usageLimits"),
            (r#"{"usageLimits": 5}"#, "usageLimits"),
            (r#"{"audio": {"newer": 1}}"#, "audio"),
            (r#"{"dids": ["+12"]}"#, "dids"),
            (r#"{"assistantContext": {"a": "b"}}"#, "assistantContext"),
            (r#"{"telnyxPublicKey": "0123456789abcdef"}"#, "telnyxPublicKey"),
            (r#"{"webhookSecretRef": "env:A"}"#, "webhookSecretRef"),
            (r#"{"llmContext": {"prompts": {"greetingText": ""}}}"#, "llmContext.prompts.greetingText"),
            (r#"{"llmContext": {"businessHours": {"newer": 1}}}"#, "llmContext.businessHours"),
            (r#"{"llmContext": {"pricing": {"items": []}}}"#, "llmContext.pricing.items"),
            (r#"{"tts": {"voice": "v"}}"#, "tts.voice"),
            (r#"{"stt": {"model": "m"}}"#, "stt.model"),
        ] {
            assert_eq!(compiled(&json!({}), extensions).unwrap_err(), [moved(path)], "{extensions}");
        }
        for (extensions, violation) in [
            (
                r#"{"contractVersion": "v1"}"#,
                "spec.extensions.contractVersion must be left out: the operator sets it",
            ),
            (
                r#"{"webhookSecret": "s"}"#,
                "spec.extensions.webhookSecret must be left out: put the value into a Secret, and refer to it in spec.webhookSecretRef",
            ),
            (r#"{"llmContext": 5}"#, "spec.extensions.llmContext must be an object"),
            (
                r#"{"lastRuntimePublishedAt": "today"}"#,
                "spec.extensions.lastRuntimePublishedAt must be a time in UTC, as in 2026-09-30T12:00:00Z",
            ),
        ] {
            assert_eq!(compiled(&json!({}), extensions).unwrap_err(), [violation], "{extensions}");
        }
    }

    #[test]
    fn the_time_of_the_last_publish_is_the_last_member() {
        let json = compiled(
            &json!({}),
            r#"{"zzz": 1, "lastRuntimePublishedAt": "2026-09-30T12:00:00.000Z", "aaa": 2}"#,
        );
        assert!(
            json.unwrap()
                .ends_with(r#","aaa":2,"zzz":1,"lastRuntimePublishedAt":"2026-09-30T12:00:00.000Z"}"#)
        );
    }

    #[test]
    fn a_time_of_the_last_publish_may_have_64_characters() {
        let time = format!("2026-09-30T12:00:00.{}Z", "1".repeat(43));
        let json = compiled(&json!({}), &json!({ "lastRuntimePublishedAt": time }).to_string()).unwrap();
        assert!(json.ends_with(&format!(r#","lastRuntimePublishedAt":"{time}"}}"#)), "{json}");
    }

    #[test]
    fn a_day_may_have_members_of_newer_contracts() {
        let mut patch = json!({ "llmContext": {
            "forwardingProfiles": [], "pricing": { "items": [] },
            "prompts": { "systemPreamble": "", "schemaHint": "", "policyPrompt": "", "voicePrompt": "" },
            "businessHours": { "timezone": "UTC", "weekly": { "mon": { "closed": true } } },
        } });
        let day = |day: &str| {
            format!(
                r#"{{"llmContext": {{"businessHours": {{"weekly": {{"{day}": {{"pause": "12:00"}}}}}}}}}}"#
            )
        };
        assert!(compiled(&patch, &day("mon")).unwrap().contains(r#""mon":{"closed":true,"pause":"12:00"}"#));
        assert!(compiled(&patch, &day("tue")).is_err());
        assert!(compiled(&patch, &day("holidays")).unwrap().contains(r#""holidays":{"pause": "12:00"}"#));
        patch["llmContext"]["businessHours"]["weekly"] = json!({});
        assert!(compiled(&patch, &day("mon")).is_err());
    }
}
