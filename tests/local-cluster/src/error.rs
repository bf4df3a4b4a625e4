//! What could not be done.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What could not be done, and why.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program of `tools/bin` is not there.
    #[error("{name} is not in {}: run `make tools`", folder.display())]
    ToolMissing {
        /// The program's name.
        name: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Every port of the range is taken.
    #[error("no free port between {} and {}", crate::ports::RANGE.start, crate::ports::RANGE.end - 1)]
    NoFreePort,
    /// A file, a folder, a process or a signal.
    #[error("can't {what}: {source}")]
    System {
        /// The deed, as in `write /tmp/x`.
        what: String,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The process ended before it was ready.
    #[error("{name} ended with {status} while starting; the end of its log:\n{log}")]
    EndedEarly {
        /// The process.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its output.
        log: String,
    },
    /// The process runs but is not ready.
    #[error("{name} was not ready after {waited:?}: {why}; the end of its log:\n{log}")]
    NotReady {
        /// The process.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// What the last probe said.
        why: String,
        /// The last lines of its output.
        log: String,
    },
    /// A signal or a wait for a process that has ended or was never started.
    #[error("{0} is not running")]
    NotRunning(String),
    /// The process runs already.
    #[error("{0} is running already")]
    Running(String),
    /// The process did not do in time what a signal asked for.
    #[error("{name} did not {what} within {waited:?}; the end of its log:\n{log}")]
    Disobeyed {
        /// The process.
        name: String,
        /// What it was asked for.
        what: &'static str,
        /// How long it was waited for.
        waited: Duration,
        /// The last lines of its output.
        log: String,
    },
    /// A key or a certificate could not be made.
    #[error("can't make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The API server refused, or could not be asked.
    #[error("the API server: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// A kubeconfig that this crate wrote could not be read.
    #[error("the kubeconfig: {0}")]
    Kubeconfig(#[from] Box<kube::config::KubeconfigError>),
    /// Redis refused, or could not be asked.
    #[error("Redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// Toxiproxy refused, or could not be asked.
    #[error("Toxiproxy did not {what}: {why}")]
    Toxiproxy {
        /// The request.
        what: String,
        /// What it said.
        why: String,
    },
    /// A document that is not a Kubernetes resource, or not YAML.
    #[error("document {number}: {why}")]
    Document {
        /// Counted from 1.
        number: usize,
        /// What must hold.
        why: String,
    },
    /// Something applied did not come to be in time.
    #[error("{what} after {waited:?}")]
    Waited {
        /// What still is not so.
        what: String,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// As it reads: a test that unwraps shows the log's lines as lines.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Box::new(error).into()
    }
}

/// Names the deed that a system error ended.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::System { what: what(), source: error.into() })
    }
}
