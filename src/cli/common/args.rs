//! The flags that the commands for people share.

use std::env;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

use super::text::{Color, print_note};
use crate::cli::failure::Failure;
use crate::settings;
use crate::store::RedisSettings;

/// The longest URL that is read from standard input, in bytes.
const MAX_URL: u64 = 16 << 10;

/// Which cluster, as whom, and what of it.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME", help_heading = "Cluster")]
    pub context: Option<String>,
    /// Kubeconfig [default: KUBECONFIG, else ~/.kube/config, else the Pod's account]
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub kubeconfig: Option<PathBuf>,
    /// User to act as
    #[arg(long = "as", value_name = "USER", help_heading = "Cluster")]
    pub act_as: Option<String>,
    /// Namespace of the resources [default: the context's]
    #[arg(short, long, value_name = "NS", help_heading = "Cluster")]
    pub namespace: Option<String>,
    /// Resources of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace", help_heading = "Cluster")]
    pub all_namespaces: bool,
    /// Namespace in which the operator runs [default: found by app.kubernetes.io/name=runtime-operator]
    #[arg(long, value_name = "NS", help_heading = "Cluster")]
    pub operator_namespace: Option<String>,
    /// Time for one request
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time, help_heading = "Cluster")]
    pub timeout: Duration,
}

/// The flags of the form in which results are written.
#[derive(Args, Clone, Debug)]
#[allow(clippy::doc_markdown, reason = "the help is plain text")]
pub struct OutputArgs {
    /// Form of the result
    #[arg(short, long, value_name = "FORM", default_value = "text", help_heading = "Output")]
    pub output: OutputFormat,
    /// Colour and marks: never writes words in place of marks; NO_COLOR is obeyed
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: Color,
}

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Redis itself, where it can be reached from here.
#[derive(Args, Clone, Debug, Default)]
#[group(skip)]
#[command(mut_arg("redis_url", |arg| arg.help(
    "URL of Redis, to ask it directly; - reads it from standard input [default: asks through a Pod of the operator]"
)))]
pub struct RedisArgs {
    #[command(flatten)]
    settings: settings::RedisArgs,
}

impl RedisArgs {
    /// Returns the settings of the connection; none without a URL. Reads the URL from standard input where `-` asks for that, and
    /// warns of a password in the command line.
    pub fn settings(&self) -> Result<Option<RedisSettings>, Failure> {
        let mut settings = self.settings.clone();
        let Some(given) = settings.url() else { return Ok(None) };
        if given == "-" {
            let mut url = String::new();
            std::io::stdin().take(MAX_URL).read_to_string(&mut url)?;
            settings.set_url(url.trim());
        } else if has_password(&given) && env::var("REDIS_URL").ok().as_deref() != Some(&given) {
            print_note(
                "warning: other users of this machine can read the password in --redis-url: use --redis-password-file, \
                 REDIS_URL, or --redis-url -",
            );
        }
        Ok(Some(settings.parse()?))
    }
}

fn has_password(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.password().is_some())
}

/// Parses a time such as `500ms`, `10s`, `5m`, `1h` or `2d`; a bare number is of seconds.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let parsed = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match parsed {
        Some(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
        _ => Err("must be a time such as 500ms, 10s, 5m or 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_counts_seconds() {
        for (text, seconds) in [("10s", 10), ("7", 7), ("5m", 300), ("1h", 3600), ("2d", 172_800)] {
            assert_eq!(parse_time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse_time("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "s", "0s", "-1s", "1.5s", "1w", "99999999999999999999s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
