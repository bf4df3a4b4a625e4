//! The JSON and the text of a check, in the shape of linkerd's.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::common::{Document, Mark, Outcome, Style, escaped};

/// The answer of `check`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// True if no check has failed.
    pub success: bool,
    /// The checks, by subject.
    pub categories: Vec<Category>,
}

impl Document for Check {
    const KIND: &'static str = "Check";
}

/// The checks of one subject.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    /// The subject.
    pub category_name: String,
    /// The checks.
    pub checks: Vec<OneCheck>,
}

/// A check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OneCheck {
    /// The fact that must hold.
    pub description: String,
    /// The result.
    pub result: CheckResult,
    /// A page that says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The difference, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// True if it could not be determined.
    #[serde(skip)]
    pub(super) unknown: bool,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckResult {
    /// It is so.
    Success,
    /// It is otherwise, and the operator works nevertheless; or it is not known.
    Warning,
    /// It is otherwise.
    Error,
}

impl OneCheck {
    /// A check that succeeds.
    pub(super) fn fine(description: impl Into<String>) -> Self {
        let description = description.into();
        Self { description, result: CheckResult::Success, hint: None, error: None, unknown: false }
    }

    /// A check that fails, with a page of docs.
    pub(super) fn error(description: &str, hint: &str, error: impl Into<String>) -> Self {
        Self { result: CheckResult::Error, ..Self::warning(description, hint, error) }
    }

    /// A check that warns, with a page of docs.
    pub(super) fn warning(description: &str, hint: &str, error: impl Into<String>) -> Self {
        Self {
            result: CheckResult::Warning,
            hint: Some(hint.to_owned()),
            error: Some(escaped(&error.into()).into_owned()),
            ..Self::fine(description)
        }
    }

    /// A check that could not be made.
    pub(super) fn unknown(description: &str, hint: &str, why: impl Into<String>) -> Self {
        let why = format!("not known: {}", why.into());
        Self { unknown: true, ..Self::warning(description, hint, why) }
    }

    /// A check that succeeds if this holds, and fails with this text if not.
    pub(super) fn that(holds: bool, description: &str, hint: &str, error: &str) -> Self {
        if holds { Self::fine(description) } else { Self::error(description, hint, error) }
    }

    /// A check that succeeds if this holds, and warns with this text if not.
    pub(super) fn rather(holds: bool, description: &str, hint: &str, error: &str) -> Self {
        if holds { Self::fine(description) } else { Self::warning(description, hint, error) }
    }
}

impl Check {
    /// Adds the checks of one subject.
    pub(super) fn add(&mut self, name: &str, checks: Vec<OneCheck>) {
        self.categories.push(Category { category_name: name.to_owned(), checks });
        let fails = self.all().any(|check| check.result == CheckResult::Error);
        self.success = !fails;
    }

    fn all(&self) -> impl Iterator<Item = &OneCheck> {
        self.categories.iter().flat_map(|category| &category.checks)
    }

    /// The exit code: warnings are none of its business.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if !self.success {
            Outcome::Found
        } else if self.all().any(|check| check.unknown) {
            Outcome::Unknown
        } else {
            Outcome::Clean
        }
    }

    /// Returns the text; `short` leaves out what succeeds.
    #[must_use]
    pub fn text(&self, style: Style, short: bool) -> String {
        let mut text = String::new();
        for category in &self.categories {
            let shown = |check: &&OneCheck| !short || check.result != CheckResult::Success;
            let checks: Vec<&OneCheck> = category.checks.iter().filter(shown).collect();
            if checks.is_empty() {
                continue;
            }
            let name = &category.category_name;
            // Writing to a String can't fail.
            let _ = writeln!(text, "{name}\n{}", "-".repeat(name.len()));
            for check in checks {
                let _ = writeln!(text, "{} {}", style.mark(mark(check.result)), check.description);
                if let Some(error) = &check.error {
                    let _ = writeln!(text, "    {error}");
                }
                if let Some(hint) = &check.hint {
                    let _ = writeln!(text, "    see {hint} for hints");
                }
            }
            text.push('\n');
        }
        let sum = match self.outcome() {
            Outcome::Clean => Mark::Ok,
            Outcome::Found => Mark::Fault,
            Outcome::Unknown => Mark::Unknown,
        };
        let _ = writeln!(text, "Status check results are {}", style.mark(sum).trim_end());
        text
    }
}

const fn mark(result: CheckResult) -> Mark {
    match result {
        CheckResult::Success => Mark::Ok,
        CheckResult::Warning => Mark::Note,
        CheckResult::Error => Mark::Fault,
    }
}
