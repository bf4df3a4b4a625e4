//! `docs/metrics.md` is generated from the registry, and a running operator exposes the same metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use regex::Regex;
use runtime_operator::admin::endpoint::Endpoint;
use runtime_operator::cli;
use runtime_operator::telemetry::{Certificate, Format};
use test_support::{World, tenant};

use crate::scrape::tls_operator;

const HEADER: &str = "\
# Metrics

<!-- Generated from src/telemetry: `UPDATE=1 cargo test --test observability page` writes it. -->

`/metrics` on the telemetry port (`TELEMETRY_ADDR`) serves them, as OpenMetrics if the scraper accepts it and in Prometheus'
older text format otherwise. Every replica serves its own: use `max` over the replicas for facts that all of them report
(tenants by condition), and `sum` for their activity. The values of a label are a closed set, so the number of series does not
grow with the number of tenants, and every series exists from the start with the value 0. Times are seconds.

The chart's alerts and dashboard use these metrics; each alert has a [runbook](runbooks/README.md).
";

/// The label whose values are those of a setting.
const WATCHED: &str = "watched_namespace";

/// A metric as the text format describes it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Described {
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

/// The metrics of a scrape, by name.
pub fn described(text: &str) -> BTreeMap<String, Described> {
    let mut all: BTreeMap<String, Described> = BTreeMap::new();
    let label = Regex::new(r#"(\w+)="((?:[^"\\]|\\.)*)""#).unwrap();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|line| line.split_once(' ')) {
            help.trim_end_matches('.').clone_into(&mut all.entry(name.to_owned()).or_default().help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' '))
        {
            kind.clone_into(&mut all.entry(name.to_owned()).or_default().kind);
        } else {
            let sample = line.split([' ', '{']).next().unwrap();
            let of_histogram = ["_bucket", "_count", "_sum"].iter().find_map(|end| sample.strip_suffix(end));
            let name = of_histogram.filter(|name| all.contains_key(*name)).unwrap_or(sample);
            let metric = all.get_mut(name).unwrap_or_else(|| panic!("{line} is not described"));
            for found in label.captures_iter(line).filter(|found| &found[1] != "le") {
                metric.labels.entry(found[1].to_owned()).or_default().insert(found[2].to_owned());
            }
        }
    }
    all
}

/// All metrics of the registry.
fn registered() -> BTreeMap<String, Described> {
    let metrics = cli::metrics();
    for endpoint in Endpoint::ALL {
        metrics.register_route(endpoint.method().as_str(), endpoint.template());
    }
    let certificate = tempfile::NamedTempFile::new().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(certificate.path(), made.cert.pem()).unwrap();
    for one in [Certificate::Admin, Certificate::RedisClient] {
        metrics.watch_certificate(one, certificate.path().to_owned());
    }
    described(&metrics.encode(Format::Text))
}

fn page() -> String {
    let mut page = HEADER.to_owned();
    page.push_str("\n| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n");
    let all = registered();
    let code = |names: &mut dyn Iterator<Item = &String>| {
        names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
    };
    for (name, Described { kind, help, labels }) in &all {
        writeln!(page, "| `{name}` | {kind} | {} | {help} |", code(&mut labels.keys())).unwrap();
    }
    page.push_str("\n## Labels\n\n| metric | label | values |\n| --- | --- | --- |\n");
    for (name, Described { labels, .. }) in &all {
        for (label, values) in labels {
            let values = match label.as_str() {
                "version" => "the version".to_owned(),
                WATCHED => "each watched namespace; `*`: all".to_owned(),
                _ => code(&mut values.iter()),
            };
            writeln!(page, "| `{name}` | `{label}` | {values} |").unwrap();
        }
    }
    page
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let is = fs::read_to_string(&path).unwrap_or_default();
    assert!(is == page, "docs/metrics.md is stale: run `UPDATE=1 cargo test --test observability page`");
}

#[tokio::test]
async fn a_running_operator_exposes_exactly_the_documented_metrics() {
    let (world, operator) = tls_operator().await;
    world.apply(&tenant("acme").dids(["+15551230001"])).await;
    world.wait_ready("acme").await;

    let exposed = described(&operator.metrics().await);

    let registered = registered();
    let names = |all: &BTreeMap<String, Described>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&exposed), names(&registered));
    for (name, mut metric) in exposed {
        if let Some(watched) = metric.labels.get_mut(WATCHED) {
            assert_eq!(std::mem::take(watched), [world.namespace().to_owned()].into());
            watched.insert("*".to_owned());
        }
        assert_eq!(metric, registered[&name], "{name}");
    }
    world.finish().await;
}

#[tokio::test]
async fn no_label_grows_with_the_number_of_tenants() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("first").dids(["+15551230100"])).await;
    world.wait_ready("first").await;
    let series = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let before = series(&operator.metrics().await);

    let dids: Vec<String> = (0..20).map(|n| format!("+155512302{n:02}")).collect();
    for (n, did) in dids.iter().enumerate() {
        world.apply(&tenant(&format!("tenant-{n}")).dids([did.as_str()])).await;
    }
    for n in 0..dids.len() {
        world.wait_ready(&format!("tenant-{n}")).await;
    }

    let text = operator.metrics().await;
    assert_eq!(series(&text), before, "{text}");
    assert!(!text.contains("tenant-1") && !text.contains("+1555"), "{text}");
    world.finish().await;
}
