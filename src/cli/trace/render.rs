//! A trace as text.

use super::document::Trace;
use crate::cli::common::{Style, escaped};

/// Returns the text of a trace.
#[must_use]
pub fn text(trace: &Trace, style: Style) -> String {
    let mut text = format!("{}\n", escaped(&trace.query));
    for step in &trace.steps {
        text.push_str(&style.line(step.sign, &step.subject, &step.text));
    }
    for advice in &trace.advice {
        text.push_str(&style.advice(advice));
    }
    if let Some(document) = trace.config.as_ref().and_then(|config| config.document.as_ref()) {
        // JSON escapes controls; what else a terminal would obey is escaped here.
        let document = serde_json::to_string_pretty(document).unwrap_or_default();
        for line in document.lines() {
            text.push_str(&escaped(line));
            text.push('\n');
        }
    }
    text
}
