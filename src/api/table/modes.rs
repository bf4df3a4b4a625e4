//! The CEL rules of an object with modes: the members that a mode has, those that it needs, and the ranges that are narrower in
//! some modes.
//!
//! Each access to a member of `self` makes the API server build a map of all the object's properties, so that a rule for each
//! member would cost more than everything else in a create. `dyn(self)` is iterated over the names that are there instead.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::ValidationRule;

use super::shape::{is_limited, widest_range};
use crate::contract::{Member, Modes, Presence, Rule, mode_names};

/// Returns the rules of an object; none without modes that matter.
pub fn mode_rules(members: &[Member]) -> Vec<ValidationRule> {
    let modes = mode_names(members);
    let mut rules: Vec<_> = [allowed(members, modes), needed(members, modes)].into_iter().flatten().collect();
    for member in members {
        let widest = widest_range(members, member.name);
        match member.rule {
            Rule::NumberIn(min, max) if widest != Some((min, max)) => {
                rules.push(within(member.name, &names_of(member.modes, modes), min, max));
            }
            _ => {}
        }
    }
    rules
}

fn names_of(set: Modes, modes: &[&'static str]) -> Vec<&'static str> {
    let modes = modes.iter().enumerate();
    modes.filter(|(position, _)| set.contains(*position)).map(|(_, name)| *name).collect()
}

/// Returns the rule that there are only members of the mode.
fn allowed(members: &[Member], modes: &[&'static str]) -> Option<ValidationRule> {
    let mut limited: Vec<(&str, Modes)> = Vec::new();
    for member in members {
        let rows = members.iter().filter(|row| row.name == member.name);
        let union = rows.fold(Modes::NONE, |union, row| union.or(row.modes));
        if is_limited(union, modes) && limited.iter().all(|(name, _)| *name != member.name) {
            limited.push((member.name, union));
        }
    }
    if limited.is_empty() {
        return None;
    }
    let of_mode = |position: usize| {
        let is_there = |member: &&Member| member.modes.contains(position);
        let names = members.iter().filter(is_there).map(|member| member.name).collect::<Vec<_>>();
        format!("[{}]", quoted(&names))
    };
    let lists = choice("mode", (0..modes.len()).map(|position| (modes[position], of_mode(position))), "[]");
    let messages = limited.iter().map(|(name, union)| {
        let (with, without) = (names_of(*union, modes), names_of(union.complement(), modes));
        match without.as_slice() {
            [mode] => (
                format!("has(self.{name}) && self.mode == '{mode}'"),
                format!("{name} must be left out with mode {mode}"),
            ),
            _ => (
                format!("has(self.{name}) && !(self.mode in [{}])", quoted(&with)),
                format!("{name} must be left out unless mode is {}", with.join(" or ")),
            ),
        }
    });
    let message = "members of other modes must be left out";
    Some(ValidationRule {
        rule: format!("[self.mode].all(mode, dyn(self).all(name, name in ({lists})))"),
        message: Some(message.to_owned()),
        message_expression: Some(first_of(messages, message)),
        reason: Some("FieldValueForbidden".to_owned()),
        ..ValidationRule::default()
    })
}

/// Returns the rule that the members are there without which a mode does nothing.
fn needed(members: &[Member], modes: &[&'static str]) -> Option<ValidationRule> {
    let is_needed =
        |member: &&Member| is_limited(member.modes, modes) && member.presence != Presence::Optional;
    let mut needed = Vec::new();
    for member in members.iter().filter(is_needed) {
        let path = path_to_needed(member);
        let steps: Vec<_> =
            (1..=path.len()).map(|end| format!("has(self.{})", path[..end].join("."))).collect();
        for mode in names_of(member.modes, modes) {
            needed.push((mode, path.join("."), steps.join(" && ")));
        }
    }
    if needed.is_empty() {
        return None;
    }
    let message = "the endpoint of the mode must be set";
    let messages = needed.iter().map(|(mode, path, _)| {
        (format!("self.mode == '{mode}'"), format!("{path} must be set with mode {mode}"))
    });
    let messages = first_of(messages, message);
    let conditions = choice("mode", needed.into_iter().map(|(mode, _, steps)| (mode, steps)), "true");
    Some(ValidationRule {
        rule: format!("[self.mode].all(mode, {conditions})"),
        message: Some(message.to_owned()),
        message_expression: Some(messages),
        reason: Some("FieldValueRequired".to_owned()),
        ..ValidationRule::default()
    })
}

/// Returns the names on the way to the member that must be set: of an object, the member that the object must have.
fn path_to_needed(member: &Member) -> Vec<&'static str> {
    let mut path = vec![member.name];
    if let Rule::Object(members) = member.rule {
        let inner = members.iter().find(|inner| inner.presence == Presence::Expected);
        path.extend(inner.into_iter().flat_map(path_to_needed));
    }
    path
}

fn within(member: &str, modes: &[&str], min: f64, max: f64) -> ValidationRule {
    let other_mode = match modes {
        [mode] => format!("self.mode != '{mode}'"),
        _ => format!("!(self.mode in [{}])", quoted(modes)),
    };
    ValidationRule {
        // With a fraction: CEL compares doubles with doubles.
        rule: format!(
            "!has(self.{member}) || {other_mode} || (self.{member} >= {min:?} && self.{member} <= {max:?})"
        ),
        message: Some(format!("{member} must be from {min} to {max} with mode {}", modes.join(" or "))),
        field_path: Some(format!(".{member}")),
        ..ValidationRule::default()
    }
}

/// Returns the expression with the value of the case that a variable is equal to.
fn choice<'m>(variable: &str, cases: impl Iterator<Item = (&'m str, String)>, otherwise: &str) -> String {
    let cases = cases.map(|(name, value)| format!("{variable} == '{name}' ? {value} : "));
    format!("{}{otherwise}", cases.collect::<String>())
}

/// Returns the expression with the text of the first condition that holds.
fn first_of(cases: impl Iterator<Item = (String, String)>, otherwise: &str) -> String {
    let cases = cases.map(|(condition, text)| format!("{condition} ? '{text}' : "));
    format!("{}'{otherwise}'", cases.collect::<String>())
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::config_member;

    fn rules(section: &str) -> Vec<ValidationRule> {
        let Some(Rule::Object(members) | Rule::ByMode(members)) =
            config_member(section).map(|member| &member.rule)
        else {
            panic!("{section} has no members")
        };
        // CEL names members otherwise that are words of its own.
        assert!(members.iter().all(|member| member.name.chars().all(|c| c.is_ascii_alphanumeric())));
        mode_rules(members)
    }

    #[test]
    fn a_rule_for_modes_names_the_mode_and_the_member() {
        let [allowed, needed] = &rules("stt")[..] else { panic!() };
        assert_eq!(
            allowed.rule,
            "[self.mode].all(mode, dyn(self).all(name, name in (\
             mode == 'whisper_http' ? ['mode', 'whisperUrl', 'chunkMs', 'language', 'model'] : \
             mode == 'http_wav_json' ? ['mode', 'chunkMs', 'language', 'model', 'config'] : \
             mode == 'disabled' ? ['mode', 'chunkMs', 'language', 'model'] : \
             mode == 'openai_whisper' ? ['mode', 'chunkMs', 'language', 'model'] : \
             mode == 'deepgram' ? ['mode', 'chunkMs', 'language', 'model'] : [])))"
        );
        assert_eq!(
            allowed.message_expression.as_deref(),
            Some(
                "has(self.whisperUrl) && !(self.mode in ['whisper_http']) ? 'whisperUrl must be left out unless mode is whisper_http' : \
                 has(self.config) && !(self.mode in ['http_wav_json']) ? 'config must be left out unless mode is http_wav_json' : \
                 'members of other modes must be left out'"
            )
        );
        assert_eq!(
            needed.rule,
            "[self.mode].all(mode, mode == 'whisper_http' ? has(self.whisperUrl) : \
             mode == 'http_wav_json' ? has(self.config) && has(self.config.url) : true)"
        );
        assert_eq!(rules("tts").len(), 3);
        let within = within("x", &["a", "b"], 0.8, 2.0);
        assert_eq!(
            within.rule,
            "!has(self.x) || !(self.mode in ['a', 'b']) || (self.x >= 0.8 && self.x <= 2.0)"
        );
        assert_eq!(within.message.as_deref(), Some("x must be from 0.8 to 2 with mode a or b"));
        assert_eq!(rules("llmRouting"), []);
    }
}
