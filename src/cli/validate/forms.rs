//! The CEL rules of the CRD that are about one value. Their patterns are read from the CRD, so that there is no second copy. The
//! operator's own check of a spec covers all other rules.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;
use url::Url;

use super::super::manifests::Place;
use crate::api::crd;
use crate::contract::{MAX_VIOLATIONS, PathSegment};

/// The CRD's schema of `spec`, with its rules.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = serde_json::to_value(crd()).unwrap_or_default();
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone()
});

/// The rules that are checked here, by their text.
static FORMS: LazyLock<HashMap<String, Form>> = LazyLock::new(|| {
    let mut rules = Vec::new();
    collect(&SCHEMA, &mut rules);
    rules.into_iter().filter_map(|rule| Some((rule.clone(), Form::read(&rule)?))).collect()
});

/// The form that a value must have.
#[derive(Debug)]
enum Form {
    /// One of these holds: the pattern matches, or does not match where it must not.
    OneOf(Vec<(bool, Regex)>),
    /// The pattern matches, and the text is a URL with a port that exists.
    Url(Regex),
    /// It does not begin with this.
    NotPrefix(String),
    /// It is never given.
    Never,
    /// Each name of a map has at most this number of characters.
    Names(usize),
}

impl Form {
    /// Reads a rule; none that is not about one text.
    fn read(rule: &str) -> Option<Self> {
        if let Some(prefix) = rule.strip_prefix("!self.startsWith('") {
            return Some(Self::NotPrefix(prefix.strip_suffix("')")?.to_owned()));
        }
        if let Some(most) = rule.strip_prefix("self.all(name, name.size() <= ") {
            return Some(Self::Names(most.strip_suffix(')')?.parse().ok()?));
        }
        if rule == "false" {
            return Some(Self::Never);
        }
        let mut patterns = Vec::new();
        let mut rest = rule;
        loop {
            let (must, inside) = match rest.strip_prefix('!') {
                Some(negated) => (false, negated),
                None => (true, rest),
            };
            let quoted = inside.strip_prefix("self.matches(r")?;
            let quote = quoted.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
            let (pattern, after) = quoted[1..].split_once(&format!("{quote})"))?;
            patterns.push((must, Regex::new(pattern).ok()?));
            if after.is_empty() {
                return Some(Self::OneOf(patterns));
            }
            if after.starts_with(" && isURL(self) && ") {
                return patterns.pop().map(|(_, pattern)| Self::Url(pattern));
            }
            rest = after.strip_prefix(" || ")?;
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Never, _) => false,
            (Self::OneOf(patterns), Value::String(text)) => {
                patterns.iter().any(|(must, pattern)| pattern.is_match(text) == *must)
            }
            (Self::Url(pattern), Value::String(text)) => pattern.is_match(text) && is_url(text),
            (Self::NotPrefix(prefix), Value::String(text)) => !text.starts_with(prefix.as_str()),
            (Self::Names(most), Value::Object(members)) => {
                members.keys().all(|name| name.chars().count() <= *most)
            }
            _ => true,
        }
    }
}

/// Returns true for what Go's `net/url` reads too: an escape is a percent sign and two hexadecimal digits.
fn is_url(text: &str) -> bool {
    // Go leaves the query as it is.
    let (before, fragment) = text.split_once('#').unwrap_or((text, ""));
    let path = before.split_once('?').map_or(before, |(path, _)| path);
    let is_escaped = |part: &str| {
        part.split('%')
            .skip(1)
            .all(|rest| rest.len() > 1 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
    };
    is_escaped(path) && is_escaped(fragment) && Url::parse(text).is_ok()
}

fn collect(schema: &Value, rules: &mut Vec<String>) {
    let here = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.extend(here.filter_map(|rule| rule["rule"].as_str()).map(str::to_owned));
    let properties = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
    for below in properties.chain(schema.get("items")).chain(schema.get("additionalProperties")) {
        collect(below, rules);
    }
}

/// Returns the places below `spec` at which a value does not have its form.
#[must_use]
pub fn faults(spec: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    walk(&SCHEMA, spec, &mut Vec::new(), &mut found);
    found
}

fn walk(schema: &Value, value: &Value, path: &mut Vec<PathSegment>, found: &mut Vec<Place>) {
    if found.len() >= MAX_VIOLATIONS {
        return;
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let form = rule["rule"].as_str().and_then(|rule| FORMS.get(rule));
        if form.is_some_and(|form| !form.holds(value)) {
            found.push(Place::value(path.clone(), rule["message"].as_str().unwrap_or_default()));
        }
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let known = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                if let Some(schema) = known {
                    path.push(PathSegment::Member(name.clone()));
                    walk(schema, member, path, found);
                    path.pop();
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(PathSegment::Item(index));
                walk(&schema["items"], item, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of the rules that the operator's own check of a spec covers.
    const CHECKED_ELSEWHERE: [&str; 7] = [
        "numbers must be unique",
        "tenantId is immutable",
        "a day must have",
        "must be left out",
        "of the mode must be set",
        "must be from",
        "each object in extensions",
    ];

    #[test]
    fn each_rule_of_the_crd_is_checked_here_or_elsewhere() {
        fn check(schema: &Value, here: &mut usize) {
            for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
                let message = rule["message"].as_str().unwrap();
                if FORMS.contains_key(rule["rule"].as_str().unwrap()) {
                    *here += 1;
                } else {
                    assert!(CHECKED_ELSEWHERE.iter().any(|part| message.contains(part)), "{message}: {rule}");
                }
            }
            let properties = schema["properties"].as_object().into_iter().flat_map(serde_json::Map::values);
            for below in properties.chain(schema.get("items")).chain(schema.get("additionalProperties")) {
                check(below, here);
            }
        }
        let mut here = 0;
        check(&SCHEMA, &mut here);
        assert!(here > 20, "{here}");
    }
}
