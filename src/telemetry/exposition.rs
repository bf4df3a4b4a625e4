//! The two text formats of metrics.

use std::collections::HashSet;

/// The format of a scrape's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// <https://prometheus.io/docs/specs/om/open_metrics_spec/>
    OpenMetrics,
    /// <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>, which every scraper reads.
    Text,
}

impl Format {
    /// Chooses by the value of a request's `Accept` header.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        let openmetrics = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
        if openmetrics { Self::OpenMetrics } else { Self::Text }
    }

    /// The response's `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Converts OpenMetrics to Prometheus' older text format: a counter is described by its name with `_total`, and there are no
/// `# UNIT` and `# EOF` lines.
pub(super) fn plain_text(openmetrics: &str) -> String {
    let counters: HashSet<&str> = openmetrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut text = String::with_capacity(openmetrics.len());
    for line in openmetrics.lines() {
        if line.starts_with("# UNIT ") || line == "# EOF" {
            continue;
        }
        let described = ["# HELP ", "# TYPE "]
            .into_iter()
            .find_map(|kind| Some((kind, line.strip_prefix(kind)?.split_once(' ')?)));
        match described {
            Some((kind, (name, rest))) if counters.contains(name) => {
                text.extend([kind, name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_described_by_the_name_of_its_samples() {
        let openmetrics = "# HELP a_b What b is.\n# TYPE a_b counter\na_b_total{x=\"# EOF\"} 1\n\
            # HELP a_s_seconds How long.\n# TYPE a_s_seconds gauge\n# UNIT a_s_seconds seconds\na_s_seconds 2\n# EOF\n";
        let text = "# HELP a_b_total What b is.\n# TYPE a_b_total counter\na_b_total{x=\"# EOF\"} 1\n\
            # HELP a_s_seconds How long.\n# TYPE a_s_seconds gauge\na_s_seconds 2\n";
        assert_eq!(plain_text(openmetrics), text);
    }

    #[test]
    fn a_scrape_that_does_not_accept_openmetrics_gets_the_text_format() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("*/*")), Format::Text);
        assert_eq!(Format::accepted(None), Format::Text);
    }
}
