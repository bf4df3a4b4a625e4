//! The chart's memory limit: a control group where that takes effect, else only a comparison.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The chart's limit.
const LIMIT: u64 = 256 << 20;
/// The limit of the trial, and the bytes that exceed it.
const TRIAL: (u64, &str) = (32 << 20, "200M");

/// The limit on an operator's memory.
pub struct MemoryLimit(Option<PathBuf>);

impl MemoryLimit {
    /// Makes a control group, if it ends a program that exceeds its limit.
    pub async fn find() -> Self {
        let group =
            Path::new("/sys/fs/cgroup").join(format!("runtime-operator-bench-{}", std::process::id()));
        let is_effective =
            std::fs::create_dir(&group).is_ok() && set(&group, TRIAL.0) && exceeds(&group).await;
        if is_effective && set(&group, LIMIT) {
            return Self(Some(group));
        }
        let _ = std::fs::remove_dir(&group);
        Self(None)
    }

    pub fn text(&self) -> &'static str {
        match self.0 {
            Some(_) => {
                "in a control group with the chart's limit of 256 MiB, which ended a program that exceeded it"
            }
            None => {
                "with no control group that takes effect on this machine: the peak is compared with 256 MiB"
            }
        }
    }

    /// Puts a process into the group.
    pub fn apply(&self, process: u32) {
        if let Some(group) = &self.0 {
            std::fs::write(group.join("cgroup.procs"), process.to_string()).unwrap();
        }
    }
}

/// True for a peak below the chart's limit.
pub fn is_within_limit(peak: u64) -> bool {
    peak < LIMIT
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Some(group) = &self.0 {
            let _ = std::fs::remove_dir(group);
        }
    }
}

fn set(group: &Path, bytes: u64) -> bool {
    let _ = std::fs::write(group.join("memory.swap.max"), "0");
    std::fs::write(group.join("memory.max"), bytes.to_string()).is_ok()
}

/// True if a program of the group that takes more memory than its limit is killed.
async fn exceeds(group: &Path) -> bool {
    let script = format!("echo $$ > {}/cgroup.procs && exec tail -c {} /dev/zero", group.display(), TRIAL.1);
    let status = Command::new("timeout").args(["20", "sh", "-c", &script]).output().await.unwrap().status;
    // 128 + SIGKILL; or 124, where it is never killed: /dev/zero has no end.
    status.code() == Some(137)
}
