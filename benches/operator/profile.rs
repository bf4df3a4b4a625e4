//! What the operator's processor time goes to: `perf` records a piece of its work, `scripts/profile.sh` draws it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

/// Each sample has all of the stack that perf can copy: libraries in C and the kernel keep no frame pointers, and a future's
/// stack is deep.
const STACKS: &str = "dwarf,65528";

pub struct Recording {
    perf: Child,
    control: pipe::Sender,
    file: PathBuf,
}

impl Recording {
    /// Records a process and what it starts from now on, so many times in a second of processor time, into the folder that
    /// `PROFILE` names, if it does.
    pub async fn of(name: &str, process: u32, frequency: u32) -> Option<Self> {
        let file = PathBuf::from(crate::variable("PROFILE")?).join(name);
        let [control, answers, data] = ["control", "answers", "data"].map(|end| file.with_extension(end));
        fifo(&control).await;
        fifo(&answers).await;
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
        Some(Self { perf, control: sender, file })
    }

    /// Ends it, and notes which processes are the operator's.
    pub async fn finish(mut self, operators: &[u32]) {
        self.control.write_all(b"stop\n").await.unwrap();
        assert!(self.perf.wait().await.unwrap().success(), "perf ends what it began");
        let operators: Vec<String> = operators.iter().map(u32::to_string).collect();
        std::fs::write(self.file.with_extension("pids"), operators.join(",")).unwrap();
    }
}

/// A named pipe, made anew.
async fn fifo(path: &Path) {
    drop(std::fs::remove_file(path));
    assert!(Command::new("mkfifo").arg(path).status().await.unwrap().success());
}
