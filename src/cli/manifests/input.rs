//! The texts of manifests: files, folders, and standard input.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The longest text that is read.
const MAX_BYTES: u64 = 8 << 20;
/// The most files that are read.
const MAX_FILES: usize = 20_000;
/// The most bytes that are read together.
const MAX_TOTAL: u64 = 256 << 20;
/// The most folders inside each other.
const MAX_DEPTH: usize = 32;
/// The endings of the files of a folder that are read.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// Where manifests come from, as the command line says.
#[derive(Clone, Debug)]
pub enum Input {
    /// Standard input.
    Standard,
    /// A file, or a folder with the folders in it.
    Path(PathBuf),
}

/// A text and its name.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as it was given, or `-`.
    pub name: String,
    /// The text.
    pub text: String,
}

/// A text that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {why}")]
pub struct NotRead {
    /// The path, or `-`.
    pub name: String,
    /// The cause, in words.
    pub why: String,
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Standard } else { Self::Path(text.into()) }
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard => f.write_str("-"),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// The bytes and files that may still be read.
struct Budget {
    bytes: u64,
    files: usize,
}

impl Input {
    /// Reads all texts, those of a folder in the order of their paths. Stops at the first that can't be read.
    pub fn read(inputs: &[Self]) -> Result<Vec<Source>, NotRead> {
        let mut budget = Budget { bytes: MAX_TOTAL, files: MAX_FILES };
        let mut sources = Vec::new();
        for input in inputs {
            match input {
                Self::Standard => sources.push(budget.read("-", io::stdin().lock())?),
                Self::Path(path) => {
                    let is_folder = fs::metadata(path).map_err(|error| not_read(path, &error))?.is_dir();
                    if is_folder {
                        for file in files(path)? {
                            sources.push(budget.file(&file)?);
                        }
                    } else {
                        sources.push(budget.file(path)?);
                    }
                }
            }
        }
        Ok(sources)
    }
}

impl Budget {
    fn file(&mut self, path: &Path) -> Result<Source, NotRead> {
        let file = fs::File::open(path).map_err(|error| not_read(path, &error))?;
        self.read(&path.display().to_string(), file)
    }

    fn read(&mut self, name: &str, from: impl Read) -> Result<Source, NotRead> {
        let not_read = |why: String| NotRead { name: name.to_owned(), why };
        self.files = self
            .files
            .checked_sub(1)
            .ok_or_else(|| not_read(format!("there are more than {MAX_FILES} files: choose fewer")))?;
        let mut bytes = Vec::new();
        from.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| not_read(error.to_string()))?;
        let length = bytes.len() as u64;
        if length > MAX_BYTES {
            return Err(not_read(format!("is longer than {} MiB", MAX_BYTES >> 20)));
        }
        self.bytes = self
            .bytes
            .checked_sub(length)
            .ok_or_else(|| not_read(format!("the files are longer than {} MiB together", MAX_TOTAL >> 20)))?;
        let text = String::from_utf8(bytes).map_err(|_| not_read("is not UTF-8".to_owned()))?;
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        Ok(Source { name: name.to_owned(), text })
    }
}

fn not_read(path: &Path, error: &io::Error) -> NotRead {
    NotRead { name: path.display().to_string(), why: error.to_string() }
}

/// The manifests of a folder and of the folders in it, in the order of their paths. Hidden ones, and links to folders, are left out.
fn files(folder: &Path) -> Result<Vec<PathBuf>, NotRead> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| not_read(&folder, &error))? {
            let entry = entry.map_err(|error| not_read(&folder, &error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| not_read(&path, &error))?;
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            let is_manifest =
                path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
            if is_hidden {
            } else if kind.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(NotRead {
                        name: path.display().to_string(),
                        why: "lies too deep".to_owned(),
                    });
                }
                folders.push((path, depth + 1));
            } else if is_manifest && (kind.is_file() || fs::metadata(&path).is_ok_and(|file| file.is_file()))
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
