//! The key file: read at start, and again when it changes.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::keys::{KeyLineError, Keys};
use crate::admin::limits::MAX_KEY_FILE_BYTES;
use crate::admin::tls::{FileIdentity, identity};
use crate::telemetry::Metrics;

/// The interval at which the file is checked: a kubelet changes it without a notification.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// A key file that can't be used. The message contains nothing of the file.
#[derive(Debug, thiserror::Error)]
#[error("--runtime-admin-key-file {}: {cause}", .file.display())]
pub struct KeyFileError {
    file: PathBuf,
    cause: KeyFileCause,
}

#[derive(Debug, thiserror::Error)]
enum KeyFileCause {
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("must have at most {MAX_KEY_FILE_BYTES} bytes")]
    TooLarge,
    #[error(transparent)]
    Line(#[from] KeyLineError),
}

/// Says why the present key file is not in use. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct KeyFileNotice(Arc<Mutex<Option<String>>>);

impl KeyFileNotice {
    /// Returns why the keys are those of an earlier file; `None` while all is well.
    #[must_use]
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, notice: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = notice;
    }
}

/// The path of a key file.
#[derive(Clone, Debug)]
pub struct KeyFile(pub(crate) PathBuf);

impl KeyFile {
    pub(crate) fn load(&self) -> Result<Keys, KeyFileError> {
        self.read().map_err(|cause| KeyFileError { file: self.0.clone(), cause })
    }

    fn read(&self) -> Result<Keys, KeyFileCause> {
        let mut text = String::new();
        File::open(&self.0)?.take(MAX_KEY_FILE_BYTES + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_KEY_FILE_BYTES {
            return Err(KeyFileCause::TooLarge);
        }
        Ok(text.parse()?)
    }

    fn identity(&self) -> FileIdentity {
        identity(&self.0)
    }

    /// Reads the file again whenever it changes, until every receiver is dropped. While the new one can't be used, the earlier
    /// keys stay, and log, metric and notice say so.
    pub(crate) async fn watch(self, keys: watch::Sender<Arc<Keys>>, notice: KeyFileNotice, metrics: Metrics) {
        // None at first, since the file may have changed after it was read at start.
        let mut loaded = None;
        let mut checks = tokio::time::interval(CHECK_INTERVAL);
        while !keys.is_closed() {
            checks.tick().await;
            let current = self.identity();
            if loaded == Some(current) {
                continue;
            }
            match self.load() {
                Ok(new) => {
                    if loaded.is_some() {
                        info!("admin keys reloaded");
                    }
                    keys.send_replace(Arc::new(new));
                    notice.set(None);
                    metrics.admin_key_file_usable.set(1);
                }
                Err(error) => {
                    warn!(%error, "failed to reload admin keys; keeping the current ones");
                    notice.set(Some(format!("{error}; the earlier keys stay")));
                    metrics.admin_key_file_usable.set(0);
                }
            }
            loaded = Some(current);
        }
    }
}
