//! Findings as text, and in the forms of SARIF and of GitHub's workflow commands.

use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::super::common::escaped;
use super::finding::{Finding, Level, Report};

/// Returns the lines for people: one for each finding, then a summary.
#[must_use]
pub fn text(report: &Report) -> String {
    let places = report.findings.iter().map(|finding| place(finding).chars().count());
    let width = places.max().unwrap_or_default().min(60);
    let mut text = String::new();
    for finding in &report.findings {
        let (place, level) = (place(finding), finding.level);
        // Writing to memory can't fail.
        let _ = writeln!(text, "{place:width$} {level:5} {}", escaped(&finding.text()));
    }
    text + &summary(report)
}

fn summary(report: &Report) -> String {
    format!(
        "{}, {}; {} in {}\n",
        count(report.errors, "error"),
        count(report.warnings, "warning"),
        count(report.resources, "resource"),
        count(report.files, "file"),
    )
}

fn place(finding: &Finding) -> String {
    let file = escaped(&finding.file).into_owned();
    if finding.line == 0 { file } else { format!("{file}:{}:{}", finding.line, finding.column) }
}

fn count(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Returns workflow commands, which GitHub shows beside the lines of a pull request; then the summary.
#[must_use]
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let command = match finding.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        let place = match finding.line {
            0 => String::new(),
            line => format!(",line={line},col={}", finding.column),
        };
        let file = property(&finding.file);
        let _ = writeln!(text, "::{command} file={file}{place}::{}", data(&finding.text()));
    }
    text + &summary(report)
}

/// Escapes a message as the runner reads it.
fn data(text: &str) -> String {
    escaped(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns a log of the Static Analysis Results Interchange Format, 2.1.0.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let results: Vec<_> = report.findings.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "runtime-operator",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": [
                    { "id": "error", "shortDescription": { "text": "The API server or the operator would refuse the resource." } },
                    { "id": "warning", "shortDescription": { "text": "It is odd, and prevents nothing." } },
                ],
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let level = match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    let mut location = json!({ "artifactLocation": { "uri": uri(&finding.file) } });
    if finding.line > 0 {
        location["region"] = json!({ "startLine": finding.line, "startColumn": finding.column });
    }
    json!({
        "ruleId": level,
        "level": level,
        "message": { "text": escaped(&finding.text()) },
        "locations": [{ "physicalLocation": location }],
    })
}

/// Writes a path as a relative reference (RFC 3986).
fn uri(file: &str) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');
    utf8_percent_encode(file, ESCAPED).to_string()
}
