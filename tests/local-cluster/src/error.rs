//! The errors of this crate.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation that failed, and why.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program is missing in `tools/bin`.
    #[error("{name} is missing in {}: run `make tools`", folder.display())]
    ToolMissing {
        /// The program's name.
        name: String,
        /// The searched folder.
        folder: PathBuf,
    },
    /// Every port of the range is in use.
    #[error("no free port between {} and {}", crate::ports::RANGE.start, crate::ports::RANGE.end - 1)]
    NoFreePort,
    /// An operation on a file, a folder, a process or a signal failed.
    #[error("can't {what}: {source}")]
    System {
        /// The operation, as in `write /tmp/x`.
        what: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The process ended before it was ready.
    #[error("{name} ended with {status} while starting; the end of its log:\n{log}")]
    EndedEarly {
        /// The process.
        name: String,
        /// Its exit status.
        status: ExitStatus,
        /// The last lines of its output.
        log: String,
    },
    /// The process runs but is not ready.
    #[error("{name} was not ready after {waited:?}: {why}; the end of its log:\n{log}")]
    NotReady {
        /// The process.
        name: String,
        /// The time waited.
        waited: Duration,
        /// The last probe's error.
        why: String,
        /// The last lines of its output.
        log: String,
    },
    /// The process has ended or was never started.
    #[error("{0} is not running")]
    NotRunning(String),
    /// The process runs already.
    #[error("{0} is running already")]
    Running(String),
    /// The process did not react to a signal in time.
    #[error("{name} did not {what} within {waited:?}; the end of its log:\n{log}")]
    Disobeyed {
        /// The process.
        name: String,
        /// The expected reaction.
        what: &'static str,
        /// The time waited.
        waited: Duration,
        /// The last lines of its output.
        log: String,
    },
    /// A key or a certificate could not be created.
    #[error("can't create a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A request to the API server failed.
    #[error("the API server: {0}")]
    Kubernetes(#[from] Box<kube::Error>),
    /// A kubeconfig that this crate wrote could not be read.
    #[error("the kubeconfig: {0}")]
    Kubeconfig(#[from] Box<kube::config::KubeconfigError>),
    /// A Redis command failed.
    #[error("Redis: {0}")]
    Redis(#[from] ::redis::RedisError),
    /// A request to Toxiproxy failed.
    #[error("Toxiproxy did not {what}: {why}")]
    Toxiproxy {
        /// The request.
        what: String,
        /// The response, or the error.
        why: String,
    },
    /// A document is no Kubernetes resource, or no YAML.
    #[error("document {number}: {why}")]
    Document {
        /// Its position, from 1.
        number: usize,
        /// The violated rule.
        why: String,
    },
    /// A change did not take effect in time.
    #[error("{what} after {waited:?}")]
    Waited {
        /// The state instead.
        what: String,
        /// The time waited.
        waited: Duration,
    },
}

/// The same as `Display`, so that a test that unwraps shows the lines of a log as lines.
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

/// Adds the operation to a system error.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<std::io::Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::System { what: what(), source: error.into() })
    }
}
