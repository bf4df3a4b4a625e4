//! No process or folder outlives its owner, and a reserved port has one holder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local_cluster::{Error, Folder, Launch, Port, Process};

struct Kept {
    parent: Child,
    kubeconfig: PathBuf,
}

/// Starts the program that runs a cluster for people, and waits for its two lines.
fn keep_a_cluster() -> Kept {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local-cluster"));
    let mut parent = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<_> =
        BufReader::new(parent.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    let [kubeconfig, redis] = &lines[..] else { panic!("it ended early: {lines:?}") };
    assert!(redis.starts_with("export REDIS_URL=redis://127.0.0.1:"), "{redis}");
    Kept { parent, kubeconfig: kubeconfig.strip_prefix("export KUBECONFIG=").unwrap().into() }
}

/// Returns process id, name and parent: /proc/<pid>/stat, fields 1, 2 and 4; proc(5).
fn children_of(parent: u32) -> Vec<(u32, String)> {
    let stats = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
        let of: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (of == parent).then(|| (pid, name.to_owned()))
    });
    stats.collect()
}

/// Returns true if the process has ended, reaped or not.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}

fn eventually(what: &str, check: impl Fn() -> bool) {
    let begin = Instant::now();
    while !check() {
        assert!(begin.elapsed() < Duration::from_secs(90), "timeout after 90 s: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_killed_parent_leaves_no_process_and_no_folder() {
    let mut kept = keep_a_cluster();
    let children = children_of(kept.parent.id());
    let names: HashSet<_> = children.iter().map(|(_, name)| name.as_str()).collect();
    // A process's name is truncated to 15 characters.
    for name in ["etcd", "kube-apiserver", "kube-controller", "redis-server"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }

    kept.parent.kill().unwrap();
    kept.parent.wait().unwrap();

    for (pid, name) in children {
        eventually(&format!("{name} is gone"), || is_gone(pid));
    }
    let root = kept.kubeconfig.ancestors().nth(2).unwrap();
    eventually(&format!("{} is gone", root.display()), || !root.exists());
}

#[test]
fn an_interrupted_parent_ends_with_status_0_and_leaves_nothing() {
    let mut kept = keep_a_cluster();
    let children = children_of(kept.parent.id());

    let pid = kept.parent.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());

    assert_eq!(kept.parent.wait().unwrap().code(), Some(0));
    assert!(children.into_iter().all(|(pid, name)| name == "sh" || is_gone(pid)));
    let root = kept.kubeconfig.ancestors().nth(2).unwrap();
    eventually(&format!("{} is gone", root.display()), || !root.exists());
}

#[test]
fn ports_are_unique_and_below_the_ephemeral_range() {
    let ports: Vec<_> = (0..200).map(|_| Port::reserve().unwrap()).collect();

    let numbers: HashSet<_> = ports.iter().map(Port::number).collect();
    assert_eq!(numbers.len(), ports.len());
    assert!(numbers.iter().all(|number| local_cluster::ports::RANGE.contains(number)));
}

fn shell(folder: &Folder, script: &str) -> Launch {
    Launch::new("script", "sh", folder.file("log")).args(["-c", script])
}

#[tokio::test]
async fn a_failed_start_shows_the_end_of_the_log() {
    let folder = Folder::new("test").unwrap();
    let launch = shell(&folder, "echo no such flag >&2; exit 3").ready(|| async { Err("not yet".into()) });

    let error = Process::start(launch).await.err().unwrap();

    assert!(matches!(error, Error::EndedEarly { .. }), "{error}");
    assert!(error.to_string().contains("status: 3") && error.to_string().contains("no such flag"), "{error}");
}

#[tokio::test]
async fn a_stop_returns_the_status_and_a_second_one_nothing() {
    let folder = Folder::new("test").unwrap();
    let script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    let log = folder.file("log");
    let ready = move || {
        let begun = fs::read_to_string(&log).is_ok_and(|text| text.contains("ready"));
        async move { if begun { Ok(()) } else { Err("silent".to_owned()) } }
    };
    let process = Process::start(shell(&folder, script).ready(ready)).await.unwrap();

    assert_eq!(process.stop().await.unwrap().status.code(), Some(7));
    assert!(matches!(process.stop().await, Err(Error::NotRunning(_))));
    assert_eq!(process.exited().unwrap().and_then(|status| status.code()), Some(7));
}

#[test]
fn a_dropped_folder_is_removed() {
    let folder = Folder::new("test").unwrap();
    let path = folder.write("secret", "text").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "text");

    drop(folder);

    assert!(!Path::new(&path).exists());
}
