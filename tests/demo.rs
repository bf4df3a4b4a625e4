//! `scripts/demo.sh` shows and ends as it promises, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running demo, in a process group of its own and started outside the repository, with the binaries that were built with
/// this test.
struct Demo {
    child: Child,
    output: BufReader<Box<dyn Read + Send>>,
    printed: String,
    temporary: TempDir,
}

fn programs() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_runtime-operator")).parent().unwrap();
    let there = folder.join("local-cluster").exists();
    assert!(there, "local-cluster is not built: run `cargo build --workspace --bins`, or test the workspace");
    folder.to_owned()
}

impl Demo {
    fn start(programs: &Path, keep: &str) -> Self {
        let temporary = TempDir::new().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let child = Command::new("env")
            // A shell can't trap a signal that was ignored when it started, as SIGINT is in a background job.
            .args(["--default-signal=INT", "bash"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo.sh"))
            .current_dir(temporary.path())
            .env("TMPDIR", temporary.path())
            .env("BIN", programs)
            .env("KEEP", keep)
            // A user's shell may have these variables set for something else.
            .env("KUBECONFIG", "/nonexistent")
            .env("REDIS_URL", "redis://nonexistent.invalid")
            .env("WATCH_NAMESPACES", "elsewhere")
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, output: BufReader::new(Box::new(reader)), printed: String::new(), temporary }
    }

    /// Reads its output until it contains `words`.
    fn wait_for(&mut self, words: &str) {
        let begin = self.printed.len();
        while !self.printed[begin..].contains(words) {
            let read = self.output.read_line(&mut self.printed).unwrap();
            assert!(read > 0, "it ended without printing {words:?}:\n{}", self.printed);
        }
    }

    /// Sends what Ctrl-C on its terminal sends.
    fn interrupt(&self) {
        let group = format!("-{}", self.child.id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    }

    /// Reads its output until it ends, and waits until nothing of it is left. Returns the output and the exit status.
    fn end(mut self) -> (String, Option<i32>) {
        self.output.read_to_string(&mut self.printed).unwrap();
        let status = self.child.wait().unwrap().code();
        let left = || (files(self.temporary.path()), processes(self.temporary.path()));
        let deadline = Instant::now() + Duration::from_secs(60);
        while left() != (Vec::new(), Vec::new()) {
            assert!(Instant::now() < deadline, "{:?} are left behind after:\n{}", left(), self.printed);
            sleep(Duration::from_millis(20));
        }
        (self.printed, status)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Returns the command lines of all processes with this folder for temporary files.
fn processes(folder: &Path) -> Vec<String> {
    let variable = format!("TMPDIR={}\0", folder.display());
    let found = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process = entry.ok()?.path();
        let environment = fs::read(process.join("environ")).ok()?;
        let concerned = environment.windows(variable.len()).any(|window| window == variable.as_bytes());
        concerned.then(|| fs::read_to_string(process.join("cmdline")).unwrap_or_default())
    });
    found.collect()
}

#[test]
fn the_demo_shows_what_it_promises_and_ends() {
    let (output, status) = Demo::start(&programs(), "").end();

    assert_eq!(status, Some(0), "{output}");
    for outcome in [
        "all seven are Ready",
        "the number is mapped to its tenant",
        "the conflict is reported, naming the number and its holder",
        "the number is mapped to the waiting tenant",
        "an event reports it",
        "the new one is published",
        "both keys are restored",
        "every number is restored",
        "its keys are removed",
        "the operator stopped cleanly",
    ] {
        assert!(output.contains(&format!("ok: {outcome}")), "{outcome} is missing:\n{output}");
    }
    assert!(!output.contains("whsec_example"), "a secret's value was shown:\n{output}");
}

#[test]
fn the_demo_stays_up_with_keep_until_ctrl_c() {
    let mut demo = Demo::start(&programs(), "1");
    demo.wait_for("Commands to try:");
    demo.wait_for("/metrics");
    assert!(demo.child.try_wait().unwrap().is_none());

    demo.interrupt();

    let (output, status) = demo.end();
    assert_eq!(status, Some(0), "{output}");
    assert!(output.contains("ok: the operator stopped cleanly"), "{output}");
}

#[test]
fn ctrl_c_ends_the_demo_and_leaves_nothing_behind() {
    let mut demo = Demo::start(&programs(), "");
    demo.wait_for("== Seven tenants");

    demo.interrupt();

    let (output, status) = demo.end();
    assert_eq!(status, Some(130), "{output}");
    assert!(output.contains("interrupted: stopping"), "{output}");
}

#[test]
fn a_wrong_outcome_ends_the_demo_with_a_line_that_names_it() {
    let bin = TempDir::new().unwrap();
    symlink(programs().join("local-cluster"), bin.path().join("local-cluster")).unwrap();
    symlink("/bin/false", bin.path().join("runtime-operator")).unwrap();

    let (output, status) = Demo::start(bin.path(), "").end();

    assert_eq!(status, Some(1), "{output}");
    assert!(
        output.contains(r#"demo: FAILED at "The operator": the operator exited unexpectedly"#),
        "{output}"
    );
}
