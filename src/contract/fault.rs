//! What is wrong with a document: where, and what must hold there. Never what stands there.

use std::fmt;

use serde::Serialize;

/// How many faults one answer lists; what is beyond is counted only.
///
/// A body of 10 MB may hold a million faults, and an answer must not be larger than its question.
pub const MAX_FAULTS: usize = 1000;

/// One place of a document where the contract does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where, as JavaScript would write it: `dids[1]`, `tts.rate`, `quickReplies[3].match[0]`,
    /// `assistantContext["opening hours"]`. Empty for the whole document.
    pub path: String,
    /// What must hold there: a clause that begins with "must". It never quotes the document.
    pub must: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the document" } else { &self.path };
        write!(f, "{place} {}", self.must)
    }
}

/// A document that the runtime would refuse, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidConfig {
    /// At least one and at most [`MAX_FAULTS`], in the order of the contract's tables.
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub omitted: usize,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.faults.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{fault}")?;
        }
        match self.omitted {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
