//! The places of a document at which the contract does not hold, and the rule at each. Never the value that stands there.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// The maximum number of violations that one response lists; the rest is only counted.
///
/// A body of 10 MB may hold a million violations, and a response must not be larger than its request.
pub const MAX_VIOLATIONS: usize = 1000;

/// A place of a document at which the contract does not hold. It is written to JSON as the publishers of this platform
/// write one: `{"code":"too_small","path":["dids",0],"message":"must be …"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The kind of violation.
    pub code: ViolationCode,
    /// The place. Empty for the whole document.
    pub path: DocumentPath,
    /// The rule that must hold there: a clause that begins with "must". It never quotes the document.
    #[serde(rename = "message")]
    pub rule: String,
}

/// The kind of a violation, by the names that the platform's own schema library (zod 3) gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationCode {
    /// The value is missing, has another type, or is a number with a fraction where there must be none.
    InvalidType,
    /// The value is not the only one that is allowed.
    InvalidLiteral,
    /// The text is not one of those that are allowed.
    InvalidEnumValue,
    /// The value has none of the forms that are allowed.
    InvalidUnion,
    /// The member that selects the form of an object is missing, or names none.
    InvalidUnionDiscriminator,
    /// The text does not have the form that is asked for.
    InvalidString,
    /// The text or array is too short, or the number is too low.
    TooSmall,
    /// The text or array is too long, or the number is too high.
    TooBig,
    /// A rule that is not about one value by itself.
    Custom,
}

/// A path into a document. `Display` writes it as JavaScript would: `dids[1]`, `tts.rate`, `quickReplies[3].match[0]`,
/// `assistantContext["opening hours"]`; in JSON it is an array of names and indexes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DocumentPath(Vec<PathSegment>);

/// A step into an object or an array.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// The name of an object's member.
    Member(String),
    /// The index of an array's item.
    Item(usize),
}

impl DocumentPath {
    /// The steps from the document to the place.
    #[must_use]
    pub fn segments(&self) -> &[PathSegment] {
        &self.0
    }
}

impl FromIterator<PathSegment> for DocumentPath {
    fn from_iter<I: IntoIterator<Item = PathSegment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for DocumentPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        };
        for (position, segment) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "." };
            match segment {
                PathSegment::Item(index) => write!(f, "[{index}]")?,
                PathSegment::Member(name) if is_plain(name) => write!(f, "{separator}{name}")?,
                PathSegment::Member(name) => write!(f, "[{}]", Value::from(name.as_str()))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.0.is_empty() {
            write!(f, "the document {}", self.rule)
        } else {
            write!(f, "{} {}", self.path, self.rule)
        }
    }
}

/// A document that the runtime would refuse, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidConfig {
    /// At least one and at most [`MAX_VIOLATIONS`], in the order of the contract's tables.
    pub violations: Vec<Violation>,
    /// The number of violations beyond [`MAX_VIOLATIONS`].
    pub omitted: usize,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, violation) in self.violations.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{violation}")?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
