//! The architecture: which module imports which, how large a file and a folder may get, and what is never named.
//!
//! The exceptions of a rule are in its table, each with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use graph::{Graph, Sources, circles};

/// The longest that a file's code gets, without the unit tests at its end.
const MAX_LINES: usize = 450;
/// The most files of a folder, subfolders not counted.
const MAX_FILES: usize = 12;
/// Files that are not written by hand, or not part of the repository.
const NOT_OURS: [&str; 5] = [".git", "target", "tools/bin", "Cargo.lock", "tools/go.sum"];

/// The modules that each top-level module may import.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("contract", &[]),
    ("api", &["contract"]),
    ("domain", &["api", "contract"]),
    ("store", &["api", "contract", "domain"]),
    // The leader acquires its epoch from the store, and reports the errors of the store and of the API server.
    ("leader", &["api", "contract", "domain", "store", "telemetry"]),
    ("telemetry", &["domain"]),
    ("controller", &["api", "contract", "domain", "leader", "store", "telemetry"]),
    ("http", &[]),
    ("probes", &["http", "telemetry"]),
    ("admin", &["contract", "domain", "http", "store", "telemetry"]),
    // The modules define the types of their settings.
    ("settings", &["admin", "contract", "domain", "http", "leader", "store", "telemetry"]),
];
/// The command line starts all of them.
const UNRESTRICTED: [&str; 1] = ["cli"];

/// Circles of files that may stay, each with its reason.
const FILE_CIRCLES: [(&[&str], &str); 1] = [(
    &[
        "domain/index/audit.rs",
        "domain/index/publish_delay.rs",
        "domain/index/effects.rs",
        "domain/index/loss.rs",
        "domain/index/mod.rs",
        "domain/index/prefetch.rs",
        "domain/index/records.rs",
        "domain/index/repairs.rs",
        "domain/index/results.rs",
        "domain/index/snapshot.rs",
        "domain/index/tenant.rs",
    ],
    "`impl Index` in files of one subject each",
)];

/// Folders that may have more files, each with its reason.
const LARGE_FOLDERS: [(&str, &str); 0] = [];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the repository, by their path in it.
fn files(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let name = name(&entry.path());
            if NOT_OURS.contains(&name.as_str()) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn read(file: &str) -> String {
    String::from_utf8_lossy(&fs::read(root().join(file)).unwrap()).into_owned()
}

/// A Rust file's code: no comments, and no unit tests, which may import more.
fn code(file: &str) -> String {
    let text = read(file);
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

/// The matches of the patterns in the code of these files, as `file: match`.
fn found<'a>(patterns: &[String], files: impl IntoIterator<Item = &'a String>) -> Vec<String> {
    let pattern = Regex::new(&patterns.join("|")).unwrap();
    let mut all = Vec::new();
    for file in files.into_iter().filter(|file| is_rust(file)) {
        let code = code(file);
        all.extend(pattern.find_iter(&code).map(|found| format!("{file}: {}", found.as_str().trim())));
    }
    all
}

/// The use of a crate: `name::…`, or `use name;`.
fn crate_use(name: &str) -> String {
    format!(r"(^|[^\w:]){name}::|\b(use|extern crate) {name}\b")
}

fn sources() -> Sources {
    let files: Vec<(String, String)> = files("src")
        .into_iter()
        .filter(|file| is_rust(file))
        .map(|file| (file.strip_prefix("src/").unwrap().to_owned(), code(&file)))
        .collect();
    Sources::new(files.iter().map(|(file, code)| (file.as_str(), code.as_str())))
}

/// Fails with the violations of a rule.
fn assert_none(rule: &str, violations: impl IntoIterator<Item = String>) {
    let violations: Vec<String> = violations.into_iter().collect();
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

fn described(circle: &BTreeSet<String>) -> String {
    format!("circle: {}", circle.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
}

#[test]
fn top_level_modules_import_each_other_in_no_circle() {
    assert_none("circles of modules", circles(&sources().rooms()).iter().map(described));
}

#[test]
fn files_import_each_other_in_no_circle_but_the_listed_ones() {
    let found = circles(&sources().files());
    let listed: Vec<BTreeSet<String>> = FILE_CIRCLES
        .iter()
        .map(|(files, reason)| {
            assert!(!reason.is_empty());
            files.iter().map(|file| (*file).to_owned()).collect()
        })
        .collect();
    let stale = listed.iter().filter(|circle| !found.contains(circle)).map(described);
    assert_none("circles that are listed and are none", stale);
    assert_none("circles of files", found.iter().filter(|circle| !listed.contains(circle)).map(described));
}

#[test]
fn a_module_imports_only_the_modules_below_it() {
    let graph: Graph = sources().rooms();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into();
    assert!(graph["controller"].contains("domain"), "no import is recognised");
    let mut violations = Vec::new();
    for (module, imports) in graph {
        let Some(allowed) = allowed.get(module.as_str()) else {
            assert!(UNRESTRICTED.contains(&module.as_str()), "{module} has no row in ALLOWED");
            continue;
        };
        let forbidden = imports.iter().filter(|import| !allowed.contains(&import.as_str()));
        violations.extend(forbidden.map(|import| format!("{module} imports {import}")));
    }
    assert_none("imports in the wrong direction", violations);
}

#[test]
fn only_the_store_imports_redis_and_only_admin_and_probes_import_warp() {
    let sources = files("src");
    for (name, rooms) in [("redis", &["src/store/"][..]), ("warp", &["src/admin/", "src/probes/"])] {
        let (inside, outside): (Vec<_>, Vec<_>) =
            sources.iter().partition(|file| rooms.iter().any(|room| file.starts_with(room)));
        assert_eq!(found(&[crate_use(name)], outside), Vec::<String>::new());
        assert!(!found(&[crate_use(name)], inside).is_empty(), "{name} is not found in {rooms:?}");
    }
}

#[test]
fn domain_and_contract_are_pure() {
    let mut impure: Vec<String> =
        ["kube", "redis", "tokio", "tracing", "warp", "rand", "futures"].map(crate_use).into();
    // `Instant` may be an argument: what reads the clock is `now` and `elapsed`.
    impure.extend(
        [r"\bnow\(", r"\belapsed\(", r"\bSystemTime\b", r"\bstd::(fs|net|env|process|thread)\b"]
            .map(str::to_owned),
    );
    let pure = [files("src/domain"), files("src/contract")].concat();
    assert_eq!(found(&impure, &pure), Vec::<String>::new());
    assert!(!found(&impure, &files("src/controller")).is_empty(), "impure code is not recognised");
}

#[test]
fn every_file_is_below_the_size_limit() {
    let long = ["src", "tests", "benches"]
        .into_iter()
        .flat_map(files)
        .filter(|file| is_rust(file))
        .map(|file| (code(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .map(|(lines, file)| format!("{file}: {lines} lines"));
    assert_none("a file has one subject: split these", long);
}

#[test]
fn every_folder_is_below_the_size_limit() {
    let mut folders: BTreeMap<String, usize> = BTreeMap::new();
    for file in files("src").into_iter().filter(|file| is_rust(file)) {
        *folders.entry(file.rsplit_once('/').unwrap().0.to_owned()).or_default() += 1;
    }
    let listed: BTreeMap<&str, &str> = LARGE_FOLDERS.into();
    let large = folders
        .into_iter()
        .filter(|(folder, count)| *count > MAX_FILES && !listed.contains_key(folder.as_str()));
    assert_none(
        "a folder has one subject: divide these",
        large.map(|(folder, _)| format!("{folder} is too large")),
    );
}

#[test]
fn files_are_included_by_path_in_the_instruction_counts_alone() {
    let attribute = Regex::new(r"(?m)^\s*#!?\[path\b").unwrap();
    let included = files("").into_iter().filter(|file| is_rust(file) && attribute.is_match(&read(file)));
    let elsewhere: Vec<String> = included.filter(|file| !file.starts_with("benches/instructions/")).collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}

/// Each in two parts, so that this file does not name them either.
fn never_named() -> Regex {
    let hosts = [
        ("crates", "io"),
        ("proxy.golang", "org"),
        ("registry.npmjs", "org"),
        ("pypi", "org"),
        ("docker", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
        ("gcr", "io"),
        ("registry.k8s", "io"),
    ];
    let hosts = hosts.map(|(name, end)| format!(r"\b{name}\.{end}\b")).join("|");
    let folders = ["work", "home", "root", "Users"].join("|");
    Regex::new(&format!(r#"{hosts}|(^|[\s"'`=(:])/({folders})/"#)).unwrap()
}

#[test]
fn nothing_names_a_folder_of_one_machine_or_the_host_of_a_package_registry() {
    let never = never_named();
    assert!(never.is_match(&format!("see /{}/me", "home")) && !never.is_match("see tests/work/me"));
    let mut named = Vec::new();
    for file in files("") {
        let text = read(&file);
        let lines = text.lines().enumerate().filter(|(_, line)| never.is_match(line));
        named.extend(lines.map(|(number, line)| format!("{file}:{}: {}", number + 1, line.trim())));
    }
    assert_eq!(named, Vec::<String>::new());
}

#[test]
fn every_script_is_executable_and_begins_with_its_purpose() {
    use std::os::unix::fs::PermissionsExt;
    for script in ["scripts/demo.sh", "scripts/test.sh", "tools/install.sh", ".ci/run"].map(PathBuf::from) {
        let mode = fs::metadata(root().join(&script)).unwrap().permissions().mode();
        assert!(mode & 0o111 == 0o111, "{} is not executable", script.display());
        assert!(
            read(script.to_str().unwrap()).starts_with("#!/usr/bin/env bash\n# "),
            "{}",
            script.display()
        );
    }
}

#[test]
fn the_index_is_locked_in_one_file() {
    let locks = [r"\.index\(\)".to_owned(), r"\bindex\.lock\(".to_owned()];
    let sources = files("src/controller");
    let (inside, outside): (Vec<_>, Vec<_>) =
        sources.iter().partition(|file| *file == "src/controller/context.rs");
    assert_eq!(found(&locks, outside), Vec::<String>::new());
    assert!(!found(&locks, inside).is_empty(), "the pattern finds no lock");
}

/// The blocks in a text that begin with this, without what begins them.
fn blocks<'a>(code: &'a str, beginning: &Regex) -> Vec<&'a str> {
    let body = |begin: usize| {
        let mut depth = 1;
        let end = code[begin..].find(|letter| {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            depth == 0
        });
        &code[begin..begin + end.unwrap_or_default()]
    };
    beginning.find_iter(code).map(|head| body(head.end())).collect()
}

/// The timers in a text that restart in each iteration of the loop around them, so that whatever keeps the loop busy keeps
/// them from ending: one that a branch of `select!` makes, and one around the wait for the next of many events. A deadline that is
/// kept outside of the loop (`sleep_until`, an `interval`, a pinned `sleep`) does end.
fn restarted_timers(code: &str) -> Vec<String> {
    let timer = Regex::new(r"=\s*(tokio::time::)?(sleep|interval|timeout)\(").unwrap();
    let next = Regex::new(r"\btimeout\([^;{]*?\.(recv|changed|tick|notified)\(\)").unwrap();
    let (loops, select) =
        (Regex::new(r"\b(loop|while [^{;]*) \{").unwrap(), Regex::new(r"select! \{").unwrap());
    let mut all: Vec<String> = next.find_iter(code).map(|found| found.as_str().to_owned()).collect();
    for body in blocks(code, &loops).into_iter().flat_map(|body| blocks(body, &select)) {
        all.extend(timer.find_iter(body).map(|found| found.as_str().to_owned()));
    }
    all
}

#[test]
fn no_timer_restarts_in_each_iteration_of_a_loop() {
    let caught = "loop { tokio::select! { x = next() => { y }, () = sleep(RETRY), if failed => retry() } }";
    assert_eq!(restarted_timers(caught), ["= sleep("]);
    assert_eq!(restarted_timers("while let Ok(x) = timeout(TIME, events.recv()).await {}").len(), 1);
    assert!(
        restarted_timers("loop { select! { () = sleep_until(at) => {}, _ = ticks.tick() => {} } }")
            .is_empty()
    );
    assert!(restarted_timers("select! { ended = &mut connection => {}, () = sleep(TIME) => {} }").is_empty());
    let sources = files("src");
    let timers = sources.iter().filter(|file| is_rust(file)).flat_map(|file| {
        restarted_timers(&code(file)).into_iter().map(move |timer| format!("{file}: {timer}"))
    });
    assert_none("a timer that restarts in each iteration of its loop", timers);
}
