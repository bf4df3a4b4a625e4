//! The file of a report: new, and for its owner alone.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use tar::{Builder, Header};

use super::anonymize::Anonymizer;
use crate::cli::failure::Failure;

/// The archive, as it is written.
pub struct Archive {
    tar: Builder<GzEncoder<File>>,
    anonymizer: Option<Anonymizer>,
    now: Timestamp,
    taken: Vec<(String, usize)>,
}

impl Archive {
    /// Creates the file, which must not exist; a link in its place is not followed.
    pub fn create(file: &Path, now: Timestamp, anonymizer: Option<Anonymizer>) -> Result<Self, Failure> {
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        let created = created.map_err(|error| format!("{} can't be written: {error}", file.display()))?;
        let tar = Builder::new(GzEncoder::new(created, Compression::default()));
        Ok(Self { tar, anonymizer, now, taken: Vec::new() })
    }

    /// Adds names that must not be shown.
    pub fn learn(&mut self, names: impl IntoIterator<Item = String>) {
        if let Some(anonymizer) = &mut self.anonymizer {
            anonymizer.learn(names);
        }
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let (name, text) = match &self.anonymizer {
            Some(anonymizer) => (anonymizer.replace(name), anonymizer.replace(text)),
            None => (name.to_owned(), text.to_owned()),
        };
        let mut header = Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now.as_second()).unwrap_or_default());
        self.tar.append_data(&mut header, &name, text.as_bytes())?;
        self.taken.push((name, text.len()));
        Ok(())
    }

    /// Writes the end, and returns what was taken: each file with its length.
    pub fn finish(mut self, missing: &[String]) -> Result<Vec<(String, usize)>, Failure> {
        self.add("not-taken.txt", &format!("{}\n", missing.join("\n")))?;
        self.tar.into_inner()?.finish()?.sync_all()?;
        Ok(self.taken)
    }
}
