//! `scripts/demo.sh` shows and ends as it promises, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
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
        "each is Ready, and shows how many numbers are published",
        "the command line names the number, its holder and who waits",
        "the command line says who answers the number, and why",
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
    demo.wait_for("== Tenants, as");

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

/// A machine that has none of the demo's programs, with `tools/install.sh` in a folder of its own, and `go` and Redis by name only.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: TempDir::new().unwrap() };
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools");
        for folder in ["tools", "programs"] {
            fs::create_dir(machine.path(folder)).unwrap();
        }
        for file in ["install.sh", "go.mod", "go.sum"] {
            fs::copy(tools.join(file), machine.path("tools").join(file)).unwrap();
        }
        let build = r#"#!/bin/sh
[ "$1" = env ] && echo go1.99.0 && exit
while [ $# -gt 0 ]; do [ "$1" = -o ] && echo built >"$2" && chmod +x "$2"; shift; done
"#;
        machine.program("programs/go", build);
        machine.program("programs/redis-server", "#!/bin/sh\necho Redis server v=7.0.15\n");
        machine.program("programs/redis-cli", "#!/bin/sh\n");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Packs an archive as controller-tools do, and returns it with its checksum.
    fn archive(&self) -> (Vec<u8>, String) {
        for name in ["etcd", "kube-apiserver", "kubectl"] {
            self.program(&format!("pack/controller-tools/envtest/{name}"), "downloaded\n");
        }
        let archive = self.path("archive.tar.gz");
        let packed = Command::new("tar")
            .arg("-czf")
            .arg(&archive)
            .args(["-C".as_ref(), self.path("pack").as_os_str(), "controller-tools".as_ref()])
            .status();
        assert!(packed.unwrap().success());
        let sum = Command::new("sha512sum").arg(&archive).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().to_owned();
        (fs::read(archive).unwrap(), sum)
    }

    /// Runs the installation, and returns what it says and what it installs as kube-apiserver.
    fn install(&self, server: &str, sum: &str) -> (String, String) {
        let output = Command::new("bash")
            .arg(self.path("tools/install.sh"))
            .arg("demo")
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("programs").display()))
            .env("HOME", self.folder.path())
            .env("RUNTIME_OPERATOR_CACHE", self.path("cache"))
            .env("ENVTEST_URL", server)
            .env("ENVTEST_SHA512", sum)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{said}");
        let installed = fs::read_to_string(self.path("tools/bin/kube-apiserver")).unwrap();
        (said, installed.trim().to_owned())
    }

    /// Returns the names of the installed programs.
    fn programs(&self) -> Vec<String> {
        let mut names: Vec<_> = files(&self.path("tools/bin"))
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }
}

/// Serves a file to every request, or accepts requests and never replies. Returns the URL.
fn server(file: Option<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(file) = &file else {
                silent.push(stream);
                continue;
            };
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while reader.read_line(&mut request).unwrap() > 2 {}
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", file.len());
            stream.write_all(head.as_bytes()).unwrap();
            if request.starts_with("GET") {
                stream.write_all(file).unwrap();
            }
        }
    });
    url
}

#[test]
fn the_demo_installs_an_archive_and_no_program_that_it_does_not_need() {
    let machine = Machine::new();
    let (archive, sum) = machine.archive();

    let (said, installed) = machine.install(&server(Some(archive)), &sum);

    assert_eq!(installed, "downloaded", "{said}");
    assert_eq!(machine.programs(), ["etcd", "kube-apiserver", "kubectl", "redis-cli", "redis-server"]);
    // The second time needs no server.
    assert_eq!(machine.install("http://127.0.0.1:1", &sum).1, "downloaded");
}

#[test]
fn an_archive_with_another_checksum_is_built_instead() {
    let machine = Machine::new();
    let (archive, sum) = machine.archive();

    let (said, installed) = machine.install(&server(Some(archive)), &sum.replace(|_: char| true, "0"));

    assert_eq!(installed, "built", "{said}");
    assert!(said.contains("envtest-v1.36.2 is not what it should be"), "{said}");
    assert_eq!(files(&machine.path("cache")).len(), 1, "the archive is left in the cache");
}

#[test]
fn an_archive_that_can_not_be_reached_is_built_instead_after_three_seconds() {
    let machine = Machine::new();
    let began = Instant::now();

    let (said, installed) = machine.install(&server(None), "");

    assert_eq!(installed, "built", "{said}");
    assert!(said.contains("envtest-v1.36.2 can't be reached within 3 s"), "{said}");
    // Nothing else waits: a second attempt would take three more.
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
}
