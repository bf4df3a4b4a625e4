//! Records a profile of the operator's processor time with `perf`; `scripts/profile.sh` draws it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use local_cluster::Process;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Each sample contains as much of the stack as perf can copy: libraries in C have no frame pointers, and a future's stack is
/// deep.
const STACKS: &str = "dwarf,65528";

pub struct Recording {
    perf: Child,
    control: pipe::Sender,
}

impl Recording {
    /// Records an operator, `frequency` times in a second of its processor time, into a file of the folder `PROFILE`, if that is
    /// set. An operator that has just started is frozen until the recording begins.
    pub async fn of(operator: &Process, name: &str, frequency: u32) -> Option<Self> {
        let file = PathBuf::from(crate::variable("PROFILE")?).join(name);
        let id = operator.id().unwrap();
        // Before that the process is the shell that becomes the operator, and perf would resolve its stacks wrongly.
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
        assert!(pipes.success(), "the folder of PROFILE must exist and be empty");
        // This program opens both ends of both pipes, so that opening one does not block.
        let open = || {
            let mut options = pipe::OpenOptions::new();
            options.read_write(true);
            options
        };
        let mut sender = open().open_sender(&control).unwrap();
        let mut receiver = open().open_receiver(&answers).unwrap();
        let mut perf = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tools/bin/perf"))
            .args(["record", "--quiet", "--event", "cpu-clock", "--call-graph", STACKS])
            // The recording begins with a command on the pipe.
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
        assert!(self.perf.wait().await.unwrap().success(), "perf failed");
    }
}
