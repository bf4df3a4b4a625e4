//! The types of the contract's tables: a row describes one member of an object, and its rule what the value must be.

use std::fmt;

use super::modes::Modes;

/// The greatest value of an integer to which the contract sets no limit.
pub const UNLIMITED: i64 = i64::MAX;

/// The member that selects an object's mode.
pub const MODE: &str = "mode";

/// The condition that a value must meet. Its `Display` completes the sentence "must be …".
#[derive(Debug)]
pub enum Rule {
    /// This string alone.
    Literal(&'static str),
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// A string whose length is in this range, counted in UTF-16 units as JavaScript does.
    Text {
        /// The least length.
        min: usize,
        /// The greatest length.
        max: usize,
    },
    /// An endpoint: any text of at least one character to the runtime; an absolute http or https URL in a resource.
    HttpUrl,
    /// An audio file: a URL of any scheme to the runtime, which parses it; an absolute http or https URL in a resource.
    AudioUrl,
    /// A text of at least one character that is usually a URL.
    UrlText,
    /// A phone number that is already in normalised E.164.
    Did,
    /// A phone number in normalised E.164 with 8 to 15 digits.
    LongDid,
    /// A place to which a call can be forwarded: any text of at least one character to the runtime; a number, a dial string,
    /// or a SIP or telephone URI to the API server.
    Destination,
    /// Five ASCII digits.
    Zip,
    /// An email address.
    Email,
    /// A UTC time.
    DateTime,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction (`10.0` and `1e3` have none) in this range.
    Integer {
        /// The least value.
        min: i64,
        /// The greatest value, or [`UNLIMITED`].
        max: i64,
    },
    /// Any number.
    Number,
    /// A number greater than this one.
    NumberAbove(f64),
    /// A number from the first to the second, both included.
    NumberIn(f64, f64),
    /// A number greater than the first and not greater than the second.
    NumberAboveTo(f64, f64),
    /// An array of `min` to `max` items, each under one rule.
    List {
        /// The rule of each item.
        item: &'static Rule,
        /// The least number of items.
        min: usize,
        /// The greatest number of items.
        max: usize,
    },
    /// An object with members of any name, each under one rule.
    Map(&'static Rule),
    /// An object with these members, and any others. The runtime takes each of them in every mode; a resource may have
    /// them only in the modes of their row.
    Object(&'static [Member]),
    /// A day of business hours: `closed` is true, or both `open` and `close` are given. The other members do not count then.
    Day(&'static [Member]),
    /// `null`, or a value under this rule.
    Nullable(&'static Rule),
    /// An object whose members depend on its member `mode`: a row counts only in its own modes.
    ByMode(&'static [Member]),
}

/// A row of a table: a member of an object.
#[derive(Debug)]
pub struct Member {
    /// The member's name in the JSON.
    pub name: &'static str,
    /// The condition for its value; `null` is a value.
    pub rule: Rule,
    /// The condition for its presence.
    pub presence: Presence,
    /// The modes that make use of it.
    pub modes: Modes,
}

/// The condition for a member's presence, in the modes of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The runtime refuses a config without it.
    Required,
    /// The runtime takes a config without it, but the mode does nothing then: a resource must have it.
    Expected,
    /// It may be left out.
    Optional,
}

impl Member {
    /// Narrows the row to these modes of its object.
    #[must_use]
    pub(super) const fn with(self, modes: Modes) -> Self {
        Self { modes, ..self }
    }
}

/// Returns the names of an object's modes, in the order in which [`Modes`] counts them. Empty for an object without modes.
#[must_use]
pub fn mode_names(members: &[Member]) -> &'static [&'static str] {
    match members.iter().find(|member| member.name == MODE).map(|member| &member.rule) {
        Some(Rule::OneOf(names)) => names,
        _ => &[],
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => write!(f, "\"{text}\""),
            Self::OneOf(names) => write_names(f, names),
            Self::Text { min: 0, max: usize::MAX } => f.write_str("a string"),
            Self::Text { min, max } => {
                write!(f, "a string of {}", Count { min: *min, max: *max, unit: "character" })
            }
            Self::HttpUrl | Self::UrlText | Self::Destination => f.write_str("a string of at least 1 character"),
            Self::AudioUrl => f.write_str("a URL with its scheme, as in https://example.com/hold.wav"),
            Self::Did => f.write_str(
                "an E.164 number: a plus sign, then 2 to 15 digits of which the first is not 0, without white space",
            ),
            Self::LongDid => f.write_str("an E.164 number of 8 to 15 digits, as in +15551234567"),
            Self::Zip => f.write_str("five digits, as in 90210"),
            Self::Email => f.write_str("an email address, as in desk@example.com"),
            Self::DateTime => f.write_str("a time in UTC, as in 2026-09-30T12:00:00Z"),
            Self::Boolean => f.write_str("true or false"),
            Self::Integer { min: 1, max: UNLIMITED } => f.write_str("an integer greater than 0"),
            Self::Integer { min, max: UNLIMITED } => write!(f, "an integer of at least {min}"),
            Self::Integer { min, max } => write!(f, "an integer from {min} to {max}"),
            Self::Number => f.write_str("a number"),
            Self::NumberAbove(limit) => write!(f, "a number greater than {limit}"),
            Self::NumberIn(min, max) => write!(f, "a number from {min} to {max}"),
            Self::NumberAboveTo(min, max) => write!(f, "a number greater than {min} and at most {max}"),
            Self::List { min: 0, max: usize::MAX, .. } => f.write_str("an array"),
            Self::List { min, max, .. } => {
                write!(f, "an array of {}", Count { min: *min, max: *max, unit: "item" })
            }
            Self::Day(_) => f.write_str(
                "an object in which closed is true, or open and close are strings of 1 to 8 characters",
            ),
            Self::Nullable(rule) => write!(f, "{rule}, or null"),
            Self::Map(_) | Self::Object(_) | Self::ByMode(_) => f.write_str("an object"),
        }
    }
}

fn write_names(f: &mut fmt::Formatter<'_>, names: &[&str]) -> fmt::Result {
    for (position, name) in names.iter().enumerate() {
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
