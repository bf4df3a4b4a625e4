//! What the operator's processor time goes to: `perf` records a piece of its work, `scripts/profile.sh` draws it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use local_cluster::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Each sample has all of the stack that perf can copy: libraries in C and the kernel keep no frame pointers, and a future's
/// stack is deep.
const STACKS: &str = "dwarf,65528";

pub struct Recording {
    perf: Child,
    control: pipe::Sender,
}

impl Recording {
    /// Records an operator, so many times in a second of its processor time, into a file of the folder that `PROFILE` names, if
    /// it does. One that has just been started does nothing before it is recorded.
    pub async fn of(operator: &Process, name: &str, frequency: u32) -> Option<Self> {
        let file = PathBuf::from(crate::variable("PROFILE")?).join(name);
        let id = operator.id().unwrap();
        // Before that it is the shell that becomes the operator, whose stacks perf would mistake for the operator's.
        while !std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap().starts_with("runtime-op") {
            tokio::task::yield_now().await;
        }
        operator.freeze().await.unwrap();
        let recording = Self::start(&file, id, frequency).await;
        operator.thaw().unwrap();
        Some(recording)
    }

    async fn start(file: &Path, process: u32, frequency: u32) -> Self {
        let [control, answers, data] = ["control", "answers", "data"].map(|end| file.with_extension(end));
        let pipes = Command::new("mkfifo").args([&control, &answers]).status().await.unwrap();
        assert!(pipes.success(), "the folder of PROFILE is there, and empty");
        // This program opens both ends of both, so that it waits for nobody who never comes.
        let open = || {
            let mut options = pipe::OpenOptions::new();
            options.read_write(true);
            options
        };
        let mut sender = open().open_sender(&control).unwrap();
        let mut receiver = open().open_receiver(&answers).unwrap();
        let mut perf = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/bin/perf"))
            .args(["record", "--quiet", "--event", "cpu-clock", "--call-graph", STACKS])
            // Nothing is recorded before it is told to.
            .args(["--delay", "-1", "--control"])
            .arg(format!("fifo:{},{}", control.display(), answers.display()))
            .args(["--freq", &frequency.to_string(), "--pid", &process.to_string(), "--output"])
            .arg(data)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        sender.write_all(b"enable\n").await.unwrap();
        let mut answer = [0; 4];
        tokio::select! {
            read = receiver.read_exact(&mut answer) => drop(read.unwrap()),
            end = perf.wait() => panic!("perf can't record: {}", end.unwrap()),
        }
        Self { perf, control: sender }
    }

    pub async fn finish(mut self) {
        self.control.write_all(b"stop\n").await.unwrap();
        assert!(self.perf.wait().await.unwrap().success(), "perf ends what it began");
    }
}
