//! The folder of an export: new or empty, for its owner alone, and nothing in it is ever overwritten.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A folder that this export alone writes to.
#[derive(Debug)]
pub struct Folder(PathBuf);

/// A file or folder that could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub struct NotWritten {
    path: PathBuf,
    why: String,
}

impl Folder {
    /// Makes a folder, or takes an empty one.
    pub fn create(path: &Path) -> Result<Self, NotWritten> {
        let failed = |error: &io::Error| NotWritten { path: path.to_owned(), why: error.to_string() };
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // A link to a folder is none.
                let kind = fs::symlink_metadata(path).map_err(|error| failed(&error))?;
                let is_empty =
                    kind.is_dir() && fs::read_dir(path).map_err(|error| failed(&error))?.next().is_none();
                if !is_empty {
                    let why = "must be a new or an empty folder".to_owned();
                    return Err(NotWritten { path: path.to_owned(), why });
                }
                fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(|error| failed(&error))?;
            }
            Err(error) => return Err(failed(&error)),
        }
        Ok(Self(path.to_owned()))
    }

    /// Makes a folder in it.
    pub fn folder(&self, name: &str) -> Result<Self, NotWritten> {
        let path = self.0.join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| NotWritten { path: path.clone(), why: error.to_string() })?;
        Ok(Self(path))
    }

    /// Writes a new file, which only its owner can read.
    pub fn write(&self, name: &str, text: &str) -> Result<(), NotWritten> {
        let path = self.0.join(name);
        // A new file is never a link: O_EXCL follows none.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| NotWritten { path, why: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_new_or_empty_and_private_and_no_file_is_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("out");
        let folder = Folder::create(&path).unwrap();
        folder.write("a", "1").unwrap();
        assert!(folder.write("a", "2").is_err());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("a")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Folder::create(&path).is_err(), "it is not empty");
        std::os::unix::fs::symlink("/etc/hostname", path.join("link")).unwrap();
        assert!(folder.write("link", "1").is_err());
        let target = parent.path().join("target");
        fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, parent.path().join("to-target")).unwrap();
        assert!(Folder::create(&parent.path().join("to-target")).is_err(), "it is a link");
        fs::set_permissions(&target, Permissions::from_mode(0o755)).unwrap();
        Folder::create(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
