//! A place of a spec at which a rule is broken.

use crate::contract::PathSegment;

/// A path below `spec`, and the rule at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The steps.
    pub path: Vec<PathSegment>,
    /// A clause that says what must hold. It never quotes the value.
    pub rule: String,
    /// True if the key is at fault, and not its value.
    pub is_key: bool,
}

impl Place {
    /// A value that breaks a rule, or is missing.
    #[must_use]
    pub fn value(path: Vec<PathSegment>, rule: impl Into<String>) -> Self {
        Self { path, rule: rule.into(), is_key: false }
    }

    /// A key that must not be there.
    #[must_use]
    pub fn key(path: Vec<PathSegment>, rule: impl Into<String>) -> Self {
        Self { path, rule: rule.into(), is_key: true }
    }

    /// True if one of the paths leads through the other.
    #[must_use]
    pub fn is_near(&self, other: &Self) -> bool {
        self.path.starts_with(&other.path) || other.path.starts_with(&self.path)
    }
}
