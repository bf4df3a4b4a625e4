//! The places of a document at which the contract does not hold, and the rule at each. Never the value that stands there.

use std::fmt;

/// The most violations that one response lists; the rest is only counted.
///
/// A body of 10 MB may hold a million violations, and a response must not be larger than its request.
pub const MAX_VIOLATIONS: usize = 1000;

/// A place of a document at which the contract does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The place, written as JavaScript would: `dids[1]`, `tts.rate`, `quickReplies[3].match[0]`,
    /// `assistantContext["opening hours"]`. Empty for the whole document.
    pub path: String,
    /// The rule that must hold there: a clause that begins with "must". It never quotes the document.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{place} {}", self.rule)
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
