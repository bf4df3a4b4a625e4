//! The kinds of rule that the contract's tables are made of, and the walk that checks a document against them.

use std::fmt;
use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::violation::{InvalidConfig, MAX_VIOLATIONS, Violation};
use super::{Did, is_white_space};

/// JavaScript's `Number.MAX_SAFE_INTEGER`: beyond it the runtime can't tell neighbouring integers apart.
pub(super) const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// What must hold for a value. Its `Display` completes the sentence "must be …".
#[derive(Debug)]
pub(super) enum Rule {
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A string whose length in UTF-16 units, as JavaScript counts, is in this range.
    Text { min: usize, max: usize },
    /// A number already in normalised E.164.
    Did,
    /// Where a call can be forwarded: E.164 or a SIP URI.
    Destination,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction (`10.0` and `1e3` are such) from `min` to `max`.
    Integer { min: i64, max: i64 },
    /// Any number.
    Number,
    /// A number greater than this one.
    NumberAbove(f64),
    /// A number from the first to the second, both included.
    NumberIn(f64, f64),
    /// An array of so many items, each under one rule.
    List { item: &'static Rule, min: usize, max: usize },
    /// An object with members of any name, each under one rule.
    Map(&'static Rule),
    /// An object with these members, and any others.
    Object(&'static [Member]),
    /// An object of one of several kinds, told apart by its member `mode`.
    ByMode(&'static [Variant]),
}

/// A member that an object has or may have.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in the JSON.
    pub name: &'static str,
    /// What must hold when it is there; `null` counts as being there.
    pub rule: Rule,
    /// Whether it must be there.
    pub required: bool,
}

/// One kind of a [`Rule::ByMode`] object.
#[derive(Debug)]
pub(super) struct Variant {
    /// The value of `mode`.
    pub mode: &'static str,
    /// The members besides `mode`.
    pub members: &'static [Member],
}

/// The member that tells the kinds of a [`Rule::ByMode`] object apart.
pub(super) const MODE: &str = "mode";

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(names) => write_names(f, names.iter().copied()),
            Self::Text { min: 0, max: usize::MAX } => f.write_str("a string"),
            Self::Text { min, max } => {
                write!(f, "a string of {}", Count { min: *min, max: *max, unit: "character" })
            }
            Self::Did => f.write_str(
                "an E.164 number: a plus sign, then 2 to 15 digits of which the first is not 0, without white space",
            ),
            Self::Destination => {
                f.write_str("an E.164 number without white space, or a SIP URI (sip:… or sips:…)")
            }
            Self::Boolean => f.write_str("true or false"),
            Self::Integer { min: 1, max: MAX_SAFE_INTEGER } => f.write_str("an integer greater than 0"),
            Self::Integer { min, max: MAX_SAFE_INTEGER } => write!(f, "an integer of at least {min}"),
            Self::Integer { min, max } => write!(f, "an integer from {min} to {max}"),
            Self::Number => f.write_str("a number"),
            Self::NumberAbove(limit) => write!(f, "a number greater than {limit}"),
            Self::NumberIn(min, max) => write!(f, "a number from {min} to {max}"),
            Self::List { min: 0, max: usize::MAX, .. } => f.write_str("an array"),
            Self::List { min, max, .. } => {
                write!(f, "an array of {}", Count { min: *min, max: *max, unit: "item" })
            }
            Self::Map(_) | Self::Object(_) | Self::ByMode(_) => f.write_str("an object"),
        }
    }
}

fn write_names<'a>(f: &mut fmt::Formatter<'_>, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    for (position, name) in names.enumerate() {
        let separator = if position == 0 { "" } else { " or " };
        write!(f, "{separator}\"{name}\"")?;
    }
    Ok(())
}

/// "at least 1 character", "1 to 4000 characters", "at most 200 items".
struct Count {
    min: usize,
    max: usize,
    unit: &'static str,
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, max, unit } = *self;
        let last = if max == usize::MAX { min } else { max };
        let plural = if last == 1 { "" } else { "s" };
        match (min, max) {
            (_, usize::MAX) => write!(f, "at least {min} {unit}{plural}"),
            (0, _) => write!(f, "at most {max} {unit}{plural}"),
            _ => write!(f, "{min} to {max} {unit}{plural}"),
        }
    }
}

/// A walk through one document: where it is, and what it found so far.
#[derive(Debug, Default)]
pub(super) struct Check {
    path: String,
    violations: Vec<Violation>,
    omitted: usize,
}

impl Check {
    /// Checks the members that a table describes; any others are left alone.
    pub(super) fn members(&mut self, object: &Map<String, Value>, members: &'static [Member]) {
        for member in members {
            match object.get(member.name) {
                Some(value) => self.in_member(member.name, |check| check.value(value, &member.rule)),
                None if member.required => self.in_member(member.name, |check| check.missing(&member.rule)),
                None => {}
            }
        }
    }

    /// Notes that something must hold at `name`, a member of where the walk is.
    pub(super) fn violation_at(&mut self, name: &str, rule: impl Into<String>) {
        self.in_member(name, |check| check.violation(rule));
    }

    /// What was found; no violations when all rules hold.
    pub(super) fn finish(self) -> InvalidConfig {
        let Self { violations, omitted, .. } = self;
        InvalidConfig { violations, omitted }
    }

    fn value(&mut self, value: &Value, rule: &'static Rule) {
        match (rule, value) {
            (Rule::List { item, .. }, Value::Array(items)) => {
                if !holds(rule, value) {
                    self.must_be(rule);
                }
                for (index, value) in items.iter().enumerate() {
                    self.inside(format_args!("[{index}]"), |check| check.value(value, item));
                }
            }
            (Rule::Map(rule), Value::Object(members)) => {
                for (name, value) in members {
                    self.in_member(name, |check| check.value(value, rule));
                }
            }
            (Rule::Object(members), Value::Object(object)) => self.members(object, members),
            (Rule::ByMode(variants), Value::Object(object)) => self.by_mode(object, variants),
            (Rule::Integer { max: MAX_SAFE_INTEGER, .. }, Value::Number(number)) if is_huge(number) => {
                self.violation(format!("must be at most {MAX_SAFE_INTEGER}"));
            }
            _ if holds(rule, value) => {}
            _ => self.must_be(rule),
        }
    }

    fn by_mode(&mut self, object: &Map<String, Value>, variants: &'static [Variant]) {
        let mode = object.get(MODE);
        let variant = variants.iter().find(|variant| mode.and_then(Value::as_str) == Some(variant.mode));
        if let Some(variant) = variant {
            self.members(object, variant.members);
        } else {
            let must = if mode.is_some() { "must be" } else { "must be given, and be" };
            self.violation_at(MODE, format!("{must} {}", Modes(variants)));
        }
    }

    fn must_be(&mut self, rule: &Rule) {
        self.violation(format!("must be {rule}"));
    }

    fn missing(&mut self, rule: &Rule) {
        self.violation(format!("must be given, and be {rule}"));
    }

    fn violation(&mut self, rule: impl Into<String>) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { path: self.path.clone(), rule: rule.into() });
        } else {
            self.omitted += 1;
        }
    }

    fn in_member(&mut self, name: &str, walk: impl FnOnce(&mut Self)) {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        match (plain, self.path.is_empty()) {
            (true, true) => self.inside(format_args!("{name}"), walk),
            (true, false) => self.inside(format_args!(".{name}"), walk),
            (false, _) => self.inside(format_args!("[{}]", Value::from(name)), walk),
        }
    }

    fn inside(&mut self, step: fmt::Arguments<'_>, walk: impl FnOnce(&mut Self)) {
        let outside = self.path.len();
        // Writing to a String can't fail.
        let _ = self.path.write_fmt(step);
        walk(self);
        self.path.truncate(outside);
    }
}

struct Modes(&'static [Variant]);

impl fmt::Display for Modes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_names(f, self.0.iter().map(|variant| variant.mode))
    }
}

/// Whether the value itself is as the rule says; what stands inside of it is not looked at.
fn holds(rule: &Rule, value: &Value) -> bool {
    match rule {
        Rule::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
        Rule::Text { min, max } => {
            value.as_str().is_some_and(|text| (*min..=*max).contains(&text.encode_utf16().count()))
        }
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

/// E.164 as it stands, or `sip:`/`sips:` in any case (RFC 3261, 19.1.1) with something after it and no white space.
/// The runtime hands the URI to its SIP stack as it is, so its inside is not judged here.
pub(super) fn is_destination(text: &str) -> bool {
    let after_scheme = |scheme: &str| {
        let (head, rest) = text.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let uri = after_scheme("sip:").or_else(|| after_scheme("sips:"));
    Did::parse_exact(text).is_ok()
        || uri.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c| is_white_space(c) || c.is_control()))
}

/// The value of a number without a fraction, as JavaScript sees it: `10.0` and `1e3` are integers.
fn integer(number: &Number) -> Option<i128> {
    // A double's whole part is exact in 128 bits up to 2^127; beyond that the conversion saturates, which is out of
    // every rule's range all the same.
    #[allow(clippy::cast_possible_truncation)]
    let from_double = || number.as_f64().filter(|double| double.fract() == 0.0).map(|double| double as i128);
    number.as_i128().or_else(from_double)
}

fn is_huge(number: &Number) -> bool {
    integer(number).is_some_and(|integer| integer > i128::from(MAX_SAFE_INTEGER))
}
