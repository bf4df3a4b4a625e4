//! The findings of a validation.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::common::Document;
use super::super::manifests::{Position, Source};

/// The level of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The API server or the operator would refuse the resource.
    Error,
    /// It prevents nothing.
    Warning,
}

/// Something that is wrong, and its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Finding {
    /// The text's name.
    pub file: String,
    /// The line, from 1; 0 where there is no place.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// Its level.
    pub level: Level,
    /// The field, as in `spec.dids[1]`; empty for the whole text.
    pub path: String,
    /// A clause that says what must hold, or what is odd. It quotes no secret.
    pub message: String,
}

impl Finding {
    /// An error at a place.
    #[must_use]
    pub fn error(file: &str, at: Position, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: at.line,
            column: at.column,
            level: Level::Error,
            path: path.into(),
            message: message.into(),
        }
    }

    /// The same as a warning.
    #[must_use]
    pub fn into_warning(self) -> Self {
        Self { level: Level::Warning, ..self }
    }

    /// The path and the message.
    #[must_use]
    pub fn text(&self) -> String {
        if self.path.is_empty() { self.message.clone() } else { format!("{}: {}", self.path, self.message) }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warn",
        })
    }
}

/// The findings in all texts.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Report {
    /// In the order of the texts.
    pub findings: Vec<Finding>,
    /// The number of errors.
    pub errors: usize,
    /// The number of warnings.
    pub warnings: usize,
    /// The number of `RuntimeTenant`s and of other resources.
    pub resources: usize,
    /// The number of texts.
    pub files: usize,
}

impl Document for Report {
    const KIND: &'static str = "Findings";
}

impl Report {
    /// Puts the findings in the order of the texts, and counts them.
    #[must_use]
    pub fn counted(mut self, sources: &[Source]) -> Self {
        let order: std::collections::HashMap<&str, usize> =
            sources.iter().enumerate().map(|(index, source)| (source.name.as_str(), index)).collect();
        let place =
            |finding: &Finding| (order.get(finding.file.as_str()).copied(), finding.line, finding.column);
        self.findings
            .sort_by(|one, other| place(one).cmp(&place(other)).then_with(|| one.path.cmp(&other.path)));
        self.findings.dedup();
        self.errors = self.findings.iter().filter(|finding| finding.level == Level::Error).count();
        self.warnings = self.findings.len() - self.errors;
        self
    }
}
