//! The walls of the house: which room knows what, how long a file gets, and what is never named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// The longest that a file's code gets, without the unit tests at its end.
const LONGEST: usize = 450;
/// What is not written by hand, or not part of the repository.
const NOT_OURS: [&str; 5] = [".git", "target", "tools/bin", "Cargo.lock", "tools/go.sum"];

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

/// A Rust file's code: no comments, and no unit tests, which may look over a wall.
fn code(file: &str) -> String {
    let text = read(file);
    let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.map(|line| line.split_once("//").map_or(line, |(code, _)| code)).collect::<Vec<_>>().join("\n")
}

fn is_rust(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|extension| extension == "rs")
}

/// What one of the patterns matches in the code of these files, as `file: what is there`.
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

/// The use of a room of this crate, also within braces: `use crate::{api, store}`.
fn room_use(name: &str) -> String {
    format!(r"\bcrate::({name}\b|\{{[^}}]*\b{name}\b)")
}

#[test]
fn only_the_store_knows_redis_and_only_the_admin_room_knows_warp() {
    let sources = files("src");
    for (name, room) in [("redis", "src/store/"), ("warp", "src/admin/")] {
        let (inside, outside): (Vec<_>, Vec<_>) = sources.iter().partition(|file| file.starts_with(room));
        assert_eq!(found(&[crate_use(name)], outside), Vec::<String>::new());
        assert!(!found(&[crate_use(name)], inside).is_empty(), "{name} is not found where it is");
    }
}

#[test]
fn domain_and_contract_are_pure() {
    let mut impure: Vec<String> =
        ["kube", "redis", "tokio", "tracing", "warp", "rand", "futures"].map(crate_use).into();
    impure.extend(
        [r"\bnow\(", r"\b(SystemTime|Instant)\b", r"\bstd::(fs|net|env|process|thread)\b"].map(str::to_owned),
    );
    let rooms = [files("src/domain"), files("src/contract")].concat();
    assert_eq!(found(&impure, &rooms), Vec::<String>::new());
    assert!(!found(&impure, &files("src/controller")).is_empty(), "what is impure is not recognised");
}

#[test]
fn a_room_knows_only_rooms_that_come_before_it() {
    let all = [
        "admin",
        "api",
        "cli",
        "contract",
        "controller",
        "domain",
        "leader",
        "settings",
        "store",
        "telemetry",
    ];
    for (room, known) in [
        ("contract", &["contract"][..]),
        ("api", &["api", "contract"]),
        ("domain", &["api", "contract", "domain"]),
        ("store", &["contract", "domain", "store"]),
    ] {
        let others: Vec<String> =
            all.iter().filter(|name| !known.contains(name)).map(|name| room_use(name)).collect();
        assert_eq!(found(&others, &files(&format!("src/{room}"))), Vec::<String>::new());
    }
    assert!(
        !found(&[room_use("contract")], &files("src/domain")).is_empty(),
        "no use of a room is recognised"
    );
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let sources = files("src").into_iter().chain(files("tests"));
    let sources = sources.chain(if root().join("benches").exists() { files("benches") } else { Vec::new() });
    let long: Vec<String> = sources
        .filter(|file| is_rust(file))
        .map(|file| (code(&file).lines().count(), file))
        .filter(|(lines, _)| *lines > LONGEST)
        .map(|(lines, file)| format!("{file}: {lines} lines"))
        .collect();
    assert_eq!(long, Vec::<String>::new(), "a file has one subject: split these");
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
fn every_script_is_executable_and_says_what_it_is_for() {
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
