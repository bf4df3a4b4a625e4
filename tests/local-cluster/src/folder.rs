//! Temporary folders that are removed with their owner, and when this process ends in any way.
//!
//! All are inside one folder of the process. A guardian shell waits for the end of a pipe whose other end only this process
//! holds, and then removes that folder. So a killed test leaves none, and neither does one whose cluster is a `static`, which
//! is never dropped.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::Result;
use crate::error::Context;

/// Removes a folder, with several attempts: a process that is ending may still write a file into it.
const GUARDIAN: &str =
    r#"cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$0" && exit; sleep 0.2; done"#;

/// The folder of this process. The kernel closes the pipe when the process ends.
struct Root {
    path: PathBuf,
    _pipe: ChildStdin,
}

static ROOT: OnceLock<std::result::Result<Root, String>> = OnceLock::new();

fn root() -> Result<&'static Path> {
    match ROOT.get_or_init(|| make_root().map_err(|error| error.to_string())) {
        Ok(root) => Ok(&root.path),
        Err(why) => Err(std::io::Error::other(why.clone())).context(|| "make a temporary folder".into()),
    }
}

fn make_root() -> std::io::Result<Root> {
    let path = TempDir::with_prefix("local-cluster-")?.keep();
    let mut guardian = Command::new("sh")
        .args(["-c", GUARDIAN])
        .arg(&path)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A process group of its own, so that a signal to this process' group does not reach it.
        .process_group(0)
        .spawn()?;
    let pipe = guardian.stdin.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
    Ok(Root { path, _pipe: pipe })
}

/// A temporary folder, removed on drop or when this process ends.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// Creates a folder whose name begins with `name`.
    pub fn new(name: &str) -> Result<Self> {
        let folder = TempDir::with_prefix_in(format!("{name}-"), root()?)
            .context(|| format!("create a folder for {name}"))?;
        Ok(Self(folder))
    }

    /// Returns its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in it that only this user can read; returns its path.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let path = self.file(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

/// Copies a folder with its contents to a path that does not exist yet.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = std::fs::create_dir_all(to)
        .and_then(|()| std::fs::read_dir(from)?.collect::<std::io::Result<Vec<_>>>());
    for entry in copied.context(|| format!("copy {}", from.display()))? {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).context(|| format!("copy {}", from.display()))?;
        }
    }
    Ok(())
}
