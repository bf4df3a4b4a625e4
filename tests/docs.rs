//! The documents agree with the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, CommandFactory};
use regex::Regex;
use runtime_operator::api;
use runtime_operator::cli::Cli;
use runtime_operator::domain::event::EventReason;
use runtime_operator::domain::reason::Reason;
use runtime_operator::domain::status;

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_default()
}

/// Returns the matches of the pattern's group.
fn all(pattern: &str, text: &str) -> BTreeSet<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found[1].to_owned()).collect()
}

/// Returns the names in the first column of the tables below a heading.
fn documented(heading: &str) -> BTreeSet<String> {
    let reference = text("docs/reference.md");
    let section = reference.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    all(r"(?m)^\| `([^`]+)`", section)
}

const SETTINGS_HEADER: &str = "\
# Settings of `runtime-operator run`

<!-- Generated from src/settings/args.rs: `UPDATE=1 cargo test --test docs` writes it. -->

Every setting is a flag and an environment variable; a flag wins, and an empty variable counts as not given. All settings
are validated at startup, and all errors are reported together, each with its flag and variable. A `BOOL` is `true` or
`false` (`1`, `yes`, `on`, `required`; `0`, `no`, `off`, in any case); a flag alone is true. `RUST_LOG` sets the log level: `warn`,
`info` (the default), `debug`, or `runtime_operator=trace`. The cluster is found in the same way as by kubectl: the one that
the operator runs in, else `KUBECONFIG`, else `~/.kube/config`. [Traces](tracing.md) have the variables of OpenTelemetry.
";

/// Returns a flag's row. The default is the end of its help: the flags themselves have none, so that an empty variable
/// counts as not set.
fn row(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help()).unwrap().to_string().replace('\n', " ");
    let (help, default) = help.split_once(" [default: ").unwrap_or((&help, "none]"));
    let default = default.strip_suffix(']').expect("the default is the end of the help");
    let value = arg.get_value_names().unwrap()[0].as_str();
    let flag = arg.get_long().unwrap();
    let variable = arg.get_env().unwrap().to_str().unwrap();
    format!("| `--{flag}` | `{variable}` | {value} | {default} | {help} |\n")
}

fn settings() -> String {
    let mut document = SETTINGS_HEADER.to_owned();
    let cli = Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let mut heading = "";
    for arg in run.get_arguments().filter(|arg| arg.get_env().is_some()) {
        let of = arg.get_help_heading().unwrap();
        if of != heading {
            heading = of;
            write!(document, "\n## {of}\n\n| flag | variable | value | default | meaning |\n").unwrap();
            document.push_str("| --- | --- | --- | --- | --- |\n");
        }
        document.push_str(&row(arg));
    }
    document
}

#[test]
fn the_page_of_settings_is_the_generated_one() {
    let generated = settings();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path("docs/settings.md"), &generated).unwrap();
    }
    let stale = "docs/settings.md is stale: run `UPDATE=1 cargo test --test docs`";
    assert!(text("docs/settings.md") == generated, "{stale}");
}

#[test]
fn every_reason_of_a_condition_is_documented_and_no_other() {
    assert_eq!(documented("Reasons"), Reason::ALL.map(|reason| reason.as_str().to_owned()).into());
}

#[test]
fn every_condition_is_documented_and_no_other() {
    let conditions = [
        status::READY,
        status::SECRET_RESOLVED,
        status::DIDS_CLAIMED,
        status::PUBLISHED,
        status::RECONCILING,
        status::STALLED,
        status::SUSPENDED,
        status::WARNINGS,
    ];
    assert_eq!(documented("Conditions"), conditions.map(str::to_owned).into());
}

/// Splits a page at the lines `<!-- begin: NAME -->` and `<!-- end: NAME -->`, which stay outside of the middle part.
fn around_generated<'a>(page: &'a str, name: &str) -> [&'a str; 3] {
    let (begin, end) = (format!("<!-- begin: {name} -->\n"), format!("<!-- end: {name} -->"));
    let start = page.find(&begin).expect("the page has the first marker") + begin.len();
    let stop = page.find(&end).expect("the page has the last marker");
    [&page[..start], &page[start..stop], &page[stop..]]
}

fn table_of_events() -> String {
    let mut table = "\n| event | type | when |\n| --- | --- | --- |\n".to_owned();
    for reason in EventReason::ALL {
        writeln!(table, "| `{reason}` | {} | {} |", reason.event_type(), reason.meaning()).unwrap();
    }
    table.push('\n');
    table
}

#[test]
fn the_table_of_events_is_the_generated_one() {
    let (file, generated) = ("docs/reference.md", table_of_events());
    if std::env::var_os("UPDATE").is_some() {
        let page = text(file);
        let [before, _, after] = around_generated(&page, "events");
        fs::write(path(file), [before, &generated, after].concat()).unwrap();
    }
    let stale = "the events in docs/reference.md are stale: run `UPDATE=1 cargo test --test docs`";
    assert!(around_generated(&text(file), "events")[1] == generated, "{stale}");
}

#[test]
fn every_event_is_documented_and_no_other() {
    let reasons = EventReason::ALL.map(|reason| reason.as_str().to_owned());
    assert_eq!(documented("Events"), reasons.into());
}

#[test]
fn every_annotation_and_the_finalizer_are_documented_and_no_other() {
    let names = [api::TAKE_OVER, api::FORCE_DELETE, api::FINALIZER];
    assert_eq!(documented("Annotations"), names.map(str::to_owned).into());
}

fn pages_in(folder: &str) -> Vec<String> {
    let entries =
        fs::read_dir(path(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    entries
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"))
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

/// Returns all pages that people read, each with its text outside of blocks of code.
fn pages() -> Vec<(String, String)> {
    let pages =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "charts/runtime-operator/README.md"];
    let folders = ["docs", "docs/runbooks", "docs/decisions"].map(pages_in).concat();
    let block = Regex::new(r"(?ms)^\s*```.*?^\s*```$").unwrap();
    let pages = pages.map(str::to_owned).into_iter().chain(folders);
    pages.map(|page| (page.clone(), block.replace_all(&text(&page), "").into_owned())).collect()
}

/// Returns the anchors of a page's headings, as GitHub and other renderers make them.
fn anchors(prose: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for heading in all(r"(?m)^#+ (.+)$", prose) {
        let kept = |it: &char| it.is_alphanumeric() || " -_".contains(*it);
        let anchor: String = heading.to_lowercase().chars().filter(kept).collect();
        found.insert(anchor.replace(' ', "-"));
    }
    found
}

#[test]
fn every_link_of_a_page_has_a_target() {
    let link = Regex::new(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)").unwrap();
    let code = Regex::new("`[^`\n]*`").unwrap();
    let pages = pages();
    let mut count = 0;
    for (page, prose) in &pages {
        assert!(!prose.is_empty(), "{page} is missing");
        let folder = path(page).parent().unwrap().to_owned();
        // A pattern may look like a link.
        for found in link.captures_iter(&code.replace_all(prose, "")) {
            let target = if found[1].is_empty() { path(page) } else { folder.join(&found[1]) };
            assert!(target.exists(), "{page} links to {}, which does not exist", &found[1]);
            count += 1;
            let Some(anchor) = found.get(2) else { continue };
            let target = target.canonicalize().unwrap();
            let linked = pages.iter().find(|(name, _)| path(name).canonicalize().unwrap() == target);
            let (_, linked) =
                linked.unwrap_or_else(|| panic!("{page} links into {}, which is no page", &found[1]));
            let there = anchors(linked);
            assert!(
                there.contains(anchor.as_str()),
                "{page} links to {}, which has none of {there:?}",
                &found[0]
            );
        }
    }
    assert!(count > 100, "only {count} links are found");
    assert!(text("README.md").lines().count() < 150, "README.md is longer than a quick read");
}

#[test]
fn every_page_is_reached_from_the_index() {
    let index = text("docs/README.md");
    let linked = all(r"\]\(([^)#:\s]+)", &index);
    for page in pages_in("docs") {
        let name = page.strip_prefix("docs/").unwrap();
        assert!(name == "README.md" || linked.contains(name), "docs/README.md does not link to {name}");
    }
    assert!(text("README.md").contains("(docs/README.md)"), "README.md does not link to the index");
}

#[test]
fn every_promise_names_existing_tests() {
    let page = text("docs/guarantees.md");
    let named = Regex::new(r"\[[^\]]+\]\(\.\./([^)]+\.rs)\)((?:\s+`\w+`)*)").unwrap();
    let name = Regex::new(r"`(\w+)`").unwrap();
    let mut count = 0;
    for found in named.captures_iter(&page) {
        let (file, tests) = (&found[1], &found[2]);
        let code = text(file);
        assert!(name.is_match(tests), "no test of {file} is named");
        for test in name.captures_iter(tests) {
            let is_test = format!(r"#\[(tokio::)?test[^\]]*\]\s+(#\[[^\]]*\]\s+)*(async )?fn {}\(", &test[1]);
            assert!(Regex::new(&is_test).unwrap().is_match(&code), "{file} has no test {}", &test[1]);
            count += 1;
        }
    }
    assert!(count > 40, "only {count} tests are found");
    let promises = page.split("\n## Faults injected").next().unwrap();
    for row in promises.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| promise")) {
        assert!(row.starts_with("| ---") || named.is_match(row), "no test shows this: {row}");
    }
}

#[test]
fn the_page_of_performance_has_figures_of_each_benchmark() {
    let page = text("docs/performance.md");
    for name in ["operator", "growth", "day"] {
        let (begin, end) = (format!("<!-- figures: {name} -->"), format!("<!-- end: {name} -->"));
        let figures = page.split_once(&begin).and_then(|(_, rest)| rest.split_once(&end)).unwrap().0;
        assert!(figures.contains("\n| --- |"), "{name} has no table: UPDATE=1 writes it");
    }
}

#[test]
fn figures_on_pages_are_those_of_the_code() {
    let figures = [
        ("docs/scaling.md", "controller/limits.rs", r"RECONCILE_CONCURRENCY\D+(\d+)", "Up to {} reconciles"),
        ("docs/scaling.md", "controller/limits.rs", r"STATUS_CONCURRENCY\D+(\d+)", "{} status writes"),
        (
            "docs/scaling.md",
            "controller/queue/priority.rs",
            r"SATURATION_THRESHOLD: u32 = (\d+)",
            "From {} publishes within",
        ),
        ("docs/scaling.md", "controller/queue/priority.rs", r"const WINDOW\D+(\d+)", "{} ms on"),
        (
            "docs/scaling.md",
            "controller/queue/priority.rs",
            r"MAX_STATUS_DELAY\D+(\d+)",
            "waited for {} s is written",
        ),
        (
            "docs/guarantees.md",
            "domain/index/repairs.rs",
            r"REPAIR_BURST: u32 = (\d+)",
            "burst of {} repairs",
        ),
    ];
    for (page, file, constant, phrase) in figures {
        let code = text(&format!("src/{file}"));
        let found =
            Regex::new(constant).unwrap().captures(&code).unwrap_or_else(|| panic!("{file}: {constant}"));
        let phrase = phrase.replace("{}", &found[1]);
        let page_text = text(page).replace('\n', " ");
        assert!(page_text.contains(&phrase), "{page} does not say {phrase:?}, as {file} does");
    }
}
