//! The walk that checks a document against the contract's tables.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::rule::{MAX_SAFE_INTEGER, MODE, Member, Rule, mode_names};
use crate::contract::e164::{Did, is_white_space};
use crate::contract::violation::{InvalidConfig, MAX_VIOLATIONS, Violation};

/// A walk through one document: the present place, and the violations found so far.
#[derive(Debug, Default)]
pub struct Check<'d> {
    path: Vec<Segment<'d>>,
    violations: Vec<Violation>,
    omitted: usize,
}

/// A step into an object or an array. Only a violation turns the steps into text.
#[derive(Clone, Copy, Debug)]
enum Segment<'d> {
    Member(&'d str),
    Item(usize),
}

impl<'d> Check<'d> {
    /// Checks the members that a table describes. Other members are not checked.
    pub fn members(
        &mut self,
        object: &'d Map<String, Value>,
        members: impl IntoIterator<Item = &'static Member>,
    ) {
        use super::rule::Presence::Required;
        for member in members {
            match object.get(member.name) {
                Some(value) => self.in_member(member.name, |check| check.value(value, &member.rule)),
                None if member.presence == Required => {
                    self.in_member(member.name, |check| check.missing(&member.rule));
                }
                None => {}
            }
        }
    }

    /// Records that this rule is broken at `name`, a member of the present place.
    pub fn violation_at(&mut self, name: &'d str, rule: impl Into<String>) {
        self.in_member(name, |check| check.violation(rule));
    }

    /// Returns the violations; none when all rules hold.
    pub fn finish(self) -> InvalidConfig {
        let Self { violations, omitted, .. } = self;
        InvalidConfig { violations, omitted }
    }

    fn value(&mut self, value: &'d Value, rule: &'static Rule) {
        match (rule, value) {
            (Rule::List { item, .. }, Value::Array(items)) => {
                if !holds(rule, value) {
                    self.must_be(rule);
                }
                for (index, value) in items.iter().enumerate() {
                    self.in_item(index, |check| check.value(value, item));
                }
            }
            (Rule::Map(rule), Value::Object(members)) => {
                for (name, value) in members {
                    self.in_member(name, |check| check.value(value, rule));
                }
            }
            (Rule::Object(members), Value::Object(object)) => self.members(object, *members),
            (Rule::ByMode(members), Value::Object(object)) => {
                // Without a valid mode, `mode` is the only row that can be checked.
                let mode = mode_of(members, object);
                let counts =
                    |member: &&Member| mode.map_or(member.name == MODE, |mode| member.modes.contains(mode));
                self.members(object, members.iter().filter(counts));
            }
            (Rule::Integer { max: MAX_SAFE_INTEGER, .. }, Value::Number(number)) if is_huge(number) => {
                self.violation(format!("must be at most {MAX_SAFE_INTEGER}"));
            }
            _ if holds(rule, value) => {}
            _ => self.must_be(rule),
        }
    }

    fn must_be(&mut self, rule: &Rule) {
        self.violation(format!("must be {rule}"));
    }

    fn missing(&mut self, rule: &Rule) {
        self.violation(format!("must be given, and be {rule}"));
    }

    /// Records that this rule is broken at the present place.
    pub fn violation(&mut self, rule: impl Into<String>) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { path: path(&self.path), rule: rule.into() });
        } else {
            self.omitted += 1;
        }
    }

    /// Walks into a member of the present object.
    pub fn in_member(&mut self, name: &'d str, walk: impl FnOnce(&mut Self)) {
        self.inside(Segment::Member(name), walk);
    }

    /// Walks into an item of the present array.
    pub fn in_item(&mut self, index: usize, walk: impl FnOnce(&mut Self)) {
        self.inside(Segment::Item(index), walk);
    }

    fn inside(&mut self, segment: Segment<'d>, walk: impl FnOnce(&mut Self)) {
        self.path.push(segment);
        walk(self);
        self.path.pop();
    }
}

/// Writes a path as JavaScript would: `quickReplies[3].match[0]`, `assistantContext["opening hours"]`.
fn path(segments: &[Segment<'_>]) -> String {
    let is_plain = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let mut path = String::new();
    for segment in segments {
        let separator = if path.is_empty() { "" } else { "." };
        // Writing to a String can't fail.
        let _ = match segment {
            Segment::Item(index) => write!(path, "[{index}]"),
            Segment::Member(name) if is_plain(name) => write!(path, "{separator}{name}"),
            Segment::Member(name) => write!(path, "[{}]", Value::from(*name)),
        };
    }
    path
}

/// Returns the position of an object's mode among the modes of its table; none without a valid mode.
pub fn mode_of(members: &[Member], object: &Map<String, Value>) -> Option<usize> {
    let mode = object.get(MODE)?.as_str()?;
    mode_names(members).iter().position(|name| *name == mode)
}

/// Returns true if the value itself meets the rule. Items and members inside it are not checked.
fn holds(rule: &Rule, value: &Value) -> bool {
    match rule {
        Rule::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
        Rule::Text { min, max } => {
            value.as_str().is_some_and(|text| (*min..=*max).contains(&text.encode_utf16().count()))
        }
        Rule::HttpUrl => value.as_str().is_some_and(|text| !text.is_empty()),
        Rule::Did => value.as_str().is_some_and(|text| Did::parse_exact(text).is_ok()),
        Rule::Destination => value.as_str().is_some_and(is_destination),
        Rule::Boolean => value.is_boolean(),
        Rule::Integer { min, max } => {
            let integer = value.as_number().and_then(integer);
            integer.is_some_and(|integer| (i128::from(*min)..=i128::from(*max)).contains(&integer))
        }
        Rule::Number => value.is_number(),
        Rule::NumberAbove(limit) => value.as_f64().is_some_and(|number| number > *limit),
        Rule::NumberIn(min, max) => value.as_f64().is_some_and(|number| (*min..=*max).contains(&number)),
        Rule::List { min, max, .. } => {
            value.as_array().is_some_and(|items| (*min..=*max).contains(&items.len()))
        }
        Rule::Map(_) | Rule::Object(_) | Rule::ByMode(_) => value.is_object(),
    }
}

/// Accepts E.164 without white space, or `sip:`/`sips:` in any case (RFC 3261, 19.1.1) with something after it and no
/// white space. The runtime passes the URI to its SIP stack unchanged, so the rest of the URI is not checked here.
fn is_destination(text: &str) -> bool {
    let after_scheme = |scheme: &str| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let uri = after_scheme("sip:").or_else(|| after_scheme("sips:"));
    Did::parse_exact(text).is_ok()
        || uri.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c| is_white_space(c) || c.is_control()))
}

/// Returns the value of a number without a fraction, as JavaScript sees it: `10.0` and `1e3` are integers.
fn integer(number: &Number) -> Option<i128> {
    // A double's whole part is exact in 128 bits up to 2^127. Beyond that the conversion saturates, which is out of
    // every rule's range too.
    #[allow(clippy::cast_possible_truncation, reason = "the conversion saturates")]
    let from_double = || number.as_f64().filter(|double| double.fract() == 0.0).map(|double| double as i128);
    number.as_i128().or_else(from_double)
}

fn is_huge(number: &Number) -> bool {
    integer(number).is_some_and(|integer| integer > i128::from(MAX_SAFE_INTEGER))
}
