//! Folders that go with their owner, and with this process whatever ends it.
//!
//! All are inside one folder a process. A guardian shell waits for the end of a pipe whose other end only this process
//! holds, then removes that folder: so a killed test, and one whose cluster is a `static` that is never dropped, leave
//! none either.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::Result;
use crate::error::Context;

/// Several tries: a process that is dying may still write a file into a folder that is being removed.
const GUARDIAN: &str =
    r#"cat >/dev/null; for i in 1 2 3 4 5 6 7 8 9; do rm -rf -- "$0" && exit; sleep 0.2; done"#;

/// The folder of this process. The pipe is closed by the kernel when the process ends.
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
        // A group of its own, so that what kills the group of this process spares it.
        .process_group(0)
        .spawn()?;
    let pipe = guardian.stdin.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
    Ok(Root { path, _pipe: pipe })
}

/// A temporary folder, removed on drop or when this process ends.
#[derive(Debug)]
pub struct Folder(TempDir);

impl Folder {
    /// Makes one whose name begins with `name`.
    pub fn new(name: &str) -> Result<Self> {
        let folder = TempDir::with_prefix_in(format!("{name}-"), root()?)
            .context(|| format!("make a folder for {name}"))?;
        Ok(Self(folder))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of a file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file in it that only this user can read, and says where it is.
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

/// Copies a folder and all that is in it to where nothing is yet.
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
