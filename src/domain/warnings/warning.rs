//! One warning.

use std::fmt;

/// A warning and its place. It never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Warning {
    /// The place in the config, as in `tts.mode` or `transferProfiles[0].audioUrl`.
    pub path: String,
    /// What is unusual and what it leads to, in a clause.
    pub text: String,
}

impl Warning {
    pub(super) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    /// Returns the line of the condition `Warnings`, with the path in the resource.
    #[must_use]
    pub fn line(&self) -> String {
        format!("spec.{self}")
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.text)
    }
}
