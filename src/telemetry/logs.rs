//! Log lines: text on a terminal, JSON for log collectors.

use std::env;
use std::io::IsTerminal;

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::traces::Traces;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For log collectors: one JSON object a line.
    Json,
}

/// An invalid `RUST_LOG`.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG: {0}; for example info, or info,runtime_operator=debug")]
pub struct LogFilterError(String);

/// Reads the filter of log lines from `RUST_LOG`; `info` without it.
pub fn filter() -> Result<EnvFilter, LogFilterError> {
    parse_filter(&env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default())
}

/// Parses a filter. The library takes a word that is no level for the name of a module, and would log nothing else.
fn parse_filter(text: &str) -> Result<EnvFilter, LogFilterError> {
    let text = if text.trim().is_empty() { "info" } else { text };
    let is_word = |part: &&str| part.chars().all(|letter| letter.is_ascii_alphanumeric());
    let words = text.split(',').map(str::trim).filter(|part| !part.is_empty()).filter(is_word);
    for word in words {
        if word.parse::<LevelFilter>().is_err() {
            let problem = format!("{word:?} is no level: use error, warn, info, debug, trace or off");
            return Err(LogFilterError(problem));
        }
    }
    EnvFilter::try_new(text).map_err(|error| LogFilterError(error.to_string()))
}

/// Logs to standard error from now on, as `filter` says, and exports spans if there are `traces`. Without a `format`, a
/// terminal gets text, and everything else JSON.
pub fn init(format: Option<LogFormat>, filter: EnvFilter, traces: Option<&Traces>) {
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // The filter applies to log lines only: `RUST_LOG` has no influence on traces.
    let lines = match format {
        LogFormat::Text => lines.with_ansi(terminal).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(lines).with(traces.map(Traces::layer)).init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_that_is_none_is_refused() {
        for valid in [
            "",
            "info",
            "WARN",
            "off",
            "info,runtime_operator=trace",
            "runtime_operator::store=debug",
            "warn,kube_client=info",
        ] {
            assert!(parse_filter(valid).is_ok(), "{valid}");
        }
        for invalid in ["verbose", "info,loud", "runtime_operator=verbose"] {
            let error = parse_filter(invalid).unwrap_err().to_string();
            assert!(error.starts_with("RUST_LOG: "), "{error}");
        }
    }
}
