//! The walk that checks a document against the contract's tables.

use serde_json::{Map, Number, Value};

use super::formats;
use super::rule::{MODE, Member, Rule, UNLIMITED, mode_names};
use crate::contract::e164::Did;
use crate::contract::violation::{InvalidConfig, MAX_VIOLATIONS, PathSegment, Violation, ViolationCode};

/// A walk through one document: the present place, and the violations found so far.
#[derive(Debug, Default)]
pub struct Check<'d> {
    path: Vec<Segment<'d>>,
    violations: Vec<Violation>,
    omitted: usize,
    /// True if a value of the wrong type was found, so that rules across members can't be checked.
    wrong_type: bool,
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

    /// True if every value has the type that it must have.
    pub fn all_types_hold(&self) -> bool {
        !self.wrong_type
    }

    /// Records that this rule is broken at `name`, a member of the present place.
    pub fn violation_at(&mut self, name: &'d str, rule: impl Into<String>) {
        self.in_member(name, |check| check.violation(rule));
    }

    /// Records that this rule is broken at a path below the present place.
    pub fn violation_in(&mut self, path: impl Iterator<Item = &'d str>, rule: String) {
        let outside = self.path.len();
        self.path.extend(path.map(Segment::Member));
        self.violation(rule);
        self.path.truncate(outside);
    }

    /// Returns the violations; none when all rules hold.
    pub fn finish(self) -> InvalidConfig {
        let Self { violations, omitted, .. } = self;
        InvalidConfig { violations, omitted }
    }

    fn value(&mut self, value: &'d Value, rule: &'static Rule) {
        if let Some(fault) = fault(rule, value) {
            self.must_be(rule, fault);
        }
        match (rule, value) {
            (Rule::List { item, .. }, Value::Array(items)) => {
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
            (Rule::ByMode(members), Value::Object(object)) => match mode_of(members, object) {
                Some(mode) => {
                    self.members(object, members.iter().filter(|member| member.modes.contains(mode)));
                }
                None => self.without_mode(members),
            },
            (Rule::Day(members), Value::Object(day)) => self.day(day, members),
            _ => {}
        }
    }

    /// Without a valid mode, nothing else of the object can be checked.
    fn without_mode(&mut self, members: &'static [Member]) {
        if let Some(mode) = members.iter().find(|member| member.name == MODE) {
            self.in_member(MODE, |check| {
                check.must_be(&mode.rule, Fault::abort(ViolationCode::InvalidUnionDiscriminator));
            });
        }
    }

    /// Checks a day that is not closed: if `open` and `close` are texts, their lengths are what can be wrong.
    fn day(&mut self, day: &'d Map<String, Value>, members: &'static [Member]) {
        let is_closed = day.get("closed") == Some(&Value::Bool(true));
        let has_hours = ["open", "close"].iter().all(|name| day.get(*name).is_some_and(Value::is_string));
        if has_hours && !is_closed {
            self.members(day, members.iter().filter(|member| member.name != "closed"));
        }
    }

    fn must_be(&mut self, rule: &Rule, fault: Fault) {
        self.wrong_type |= fault.aborts;
        self.push(fault.code, format!("must be {rule}"));
    }

    fn missing(&mut self, rule: &Rule) {
        let code = match rule {
            Rule::Literal(_) => ViolationCode::InvalidLiteral,
            _ => ViolationCode::InvalidType,
        };
        self.wrong_type = true;
        self.push(code, format!("must be given, and be {rule}"));
    }

    /// Records that this rule is broken at the present place.
    pub fn violation(&mut self, rule: impl Into<String>) {
        self.push(ViolationCode::Custom, rule.into());
    }

    fn push(&mut self, code: ViolationCode, rule: String) {
        if self.violations.len() < MAX_VIOLATIONS {
            let path = self.path.iter().map(|segment| match *segment {
                Segment::Member(name) => PathSegment::Member(name.to_owned()),
                Segment::Item(index) => PathSegment::Item(index),
            });
            self.violations.push(Violation { code, path: path.collect(), rule });
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

/// Returns the position of an object's mode among the modes of its table; none without a valid mode.
#[must_use]
pub fn mode_of(members: &[Member], object: &Map<String, Value>) -> Option<usize> {
    let mode = object.get(MODE)?.as_str()?;
    mode_names(members).iter().position(|name| *name == mode)
}

/// The faults of a value by itself.
#[derive(Clone, Copy)]
struct Fault {
    code: ViolationCode,
    /// True if the reader can't go on to rules across members.
    aborts: bool,
}

impl Fault {
    const fn abort(code: ViolationCode) -> Self {
        Self { code, aborts: true }
    }

    const fn go_on(code: ViolationCode) -> Self {
        Self { code, aborts: false }
    }
}

const WRONG_TYPE: Fault = Fault::abort(ViolationCode::InvalidType);
const TOO_SMALL: Fault = Fault::go_on(ViolationCode::TooSmall);
const TOO_BIG: Fault = Fault::go_on(ViolationCode::TooBig);

/// Returns what is wrong with the value itself. Items and members inside it are not checked.
fn fault(rule: &Rule, value: &Value) -> Option<Fault> {
    match rule {
        Rule::Literal(text) => {
            (value.as_str() != Some(*text)).then_some(Fault::abort(ViolationCode::InvalidLiteral))
        }
        Rule::OneOf(names) => text_fault(value, |text| {
            (!names.contains(&text)).then_some(Fault::abort(ViolationCode::InvalidEnumValue))
        }),
        Rule::Text { min, max } => text_fault(value, |text| size_fault(utf16_length(text), *min, *max)),
        Rule::HttpUrl | Rule::UrlText | Rule::Destination => {
            text_fault(value, |text| text.is_empty().then_some(TOO_SMALL))
        }
        Rule::AudioUrl => text_fault(value, |text| form_fault(formats::is_url(text))),
        Rule::Did => text_fault(value, |text| form_fault(Did::parse_exact(text).is_ok())),
        Rule::LongDid => text_fault(value, |text| {
            // A plus sign and at least 8 digits.
            form_fault(text.len() > 8 && Did::parse_exact(text).is_ok())
        }),
        Rule::Zip => text_fault(value, |text| form_fault(formats::is_zip(text))),
        Rule::Email => text_fault(value, |text| form_fault(formats::is_email(text))),
        Rule::DateTime => text_fault(value, |text| form_fault(formats::is_date_time(text))),
        Rule::Boolean => (!value.is_boolean()).then_some(WRONG_TYPE),
        Rule::Integer { min, max } => match value.as_number() {
            None => Some(WRONG_TYPE),
            Some(number) => integer_fault(number, *min, *max),
        },
        Rule::Number => (!value.is_number()).then_some(WRONG_TYPE),
        Rule::NumberAbove(limit) => number_fault(value, |number| number > *limit, |_| true),
        Rule::NumberIn(min, max) => number_fault(value, |number| number >= *min, |number| number <= *max),
        Rule::NumberAboveTo(min, max) => number_fault(value, |number| number > *min, |number| number <= *max),
        Rule::List { min, max, .. } => match value.as_array() {
            None => Some(WRONG_TYPE),
            Some(items) => size_fault(items.len(), *min, *max),
        },
        Rule::Nullable(rule) => {
            if value.is_null() {
                None
            } else {
                fault(rule, value)
            }
        }
        Rule::Day(_) => (!is_day(value)).then_some(Fault::abort(ViolationCode::InvalidUnion)),
        Rule::Map(_) | Rule::Object(_) | Rule::ByMode(_) => (!value.is_object()).then_some(WRONG_TYPE),
    }
}

/// The length as JavaScript counts it.
fn utf16_length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.encode_utf16().count() }
}

fn text_fault(value: &Value, check: impl FnOnce(&str) -> Option<Fault>) -> Option<Fault> {
    value.as_str().map_or(Some(WRONG_TYPE), check)
}

fn form_fault(holds: bool) -> Option<Fault> {
    (!holds).then_some(Fault::go_on(ViolationCode::InvalidString))
}

fn size_fault(size: usize, min: usize, max: usize) -> Option<Fault> {
    if size < min { Some(TOO_SMALL) } else { (size > max).then_some(TOO_BIG) }
}

fn number_fault(
    value: &Value,
    is_enough: impl FnOnce(f64) -> bool,
    is_low_enough: impl FnOnce(f64) -> bool,
) -> Option<Fault> {
    match value.as_f64() {
        None => Some(WRONG_TYPE),
        Some(number) if !is_enough(number) => Some(TOO_SMALL),
        Some(number) => (!is_low_enough(number)).then_some(TOO_BIG),
    }
}

/// Checks a number without a fraction, as JavaScript sees it: `10.0`, `1e3` and `1e300` are integers.
fn integer_fault(number: &Number, min: i64, max: i64) -> Option<Fault> {
    let Some(integer) = integer(number) else {
        return Some(Fault::go_on(ViolationCode::InvalidType));
    };
    if integer < i128::from(min) {
        Some(TOO_SMALL)
    } else {
        (max != UNLIMITED && integer > i128::from(max)).then_some(TOO_BIG)
    }
}

/// Returns the value of a number without a fraction.
fn integer(number: &Number) -> Option<i128> {
    // A double's whole part is exact in 128 bits up to 2^127. Beyond that the conversion saturates, which is out of
    // every limit too.
    #[allow(clippy::cast_possible_truncation, reason = "the conversion saturates")]
    let from_double = || number.as_f64().filter(|double| double.fract() == 0.0).map(|double| double as i128);
    number.as_i128().or_else(from_double)
}

/// Returns true if one of a day's two forms is there, as far as types go.
fn is_day(value: &Value) -> bool {
    value.get("closed") == Some(&Value::Bool(true))
        || ["open", "close"].iter().all(|name| value.get(name).is_some_and(Value::is_string))
}
