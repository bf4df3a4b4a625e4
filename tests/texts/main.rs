//! All texts that a person can meet, in one file to read in a review: `texts.snap`. After an intended change,
//! `INSTA_UPDATE=always cargo test --test texts` writes it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cel;
mod health;
mod literals;
mod states;

use std::fmt::Write;

use runtime_operator::domain::reason::Reason;
use runtime_operator::domain::status::{self, StatusDetails};

/// Renders the conditions of each state that a status can describe.
fn conditions() -> String {
    let mut text = String::new();
    for (what, assessment) in states::all() {
        let details = StatusDetails::read(true);
        let status = status::next(None, &assessment, &details, states::time());
        writeln!(text, "{what}: {}", status.dids.unwrap()).unwrap();
        for condition in status.conditions {
            let (type_, is, reason) = (condition.type_, condition.status, condition.reason);
            writeln!(text, "  {type_:<15}{is:<8}{reason:<21}{}", condition.message).unwrap();
        }
    }
    text
}

#[test]
fn every_text_is_the_reviewed_one() {
    let parts = [
        ("Conditions of each state", conditions()),
        ("Refusals of the API server", cel::messages()),
        ("Texts in the code, by file: log lines, events, errors, probes, help", literals::all()),
    ];
    let text: String =
        parts.map(|(heading, text)| format!("{heading}\n{}\n{text}\n", "=".repeat(heading.len()))).concat();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(".");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("texts", text));
}

#[test]
fn every_reason_that_ready_can_have_is_shown() {
    // The reasons of other conditions; and one that no status has, since another epoch is acquired immediately.
    let others = [Reason::Resolved, Reason::Claimed, Reason::SpecWarnings, Reason::Fenced];
    let shown: Vec<Reason> = states::all().iter().map(|(_, assessment)| assessment.reason()).collect();
    for reason in Reason::ALL {
        assert_eq!(shown.contains(&reason), !others.contains(&reason), "{reason}");
    }
}

#[test]
fn a_message_is_one_line_that_begins_with_its_cause() {
    for (what, assessment) in states::all() {
        let message = assessment.message();
        assert!(!message.contains('\n') && !message.contains("  "), "{what}: {message}");
        assert!(!message.starts_with(' ') && !message.ends_with(['.', ' ', ';']), "{what}: {message}");
        assert!(message.len() <= 500, "{what}: {message}");
    }
}
