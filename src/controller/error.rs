//! Why a resource could not be dealt with now, though it may be by itself later.

use crate::store::StoreError;

/// What could not be done. What can't succeed before somebody changes something is no error but a verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This replica has not begun to write, or no longer does.
    #[error("not leading: {0}")]
    NotLeading(String),
    /// Redis could not be asked or told.
    #[error("Redis: {0}")]
    Store(#[from] StoreError),
    /// A webhook secret could not be read.
    #[error("reading the Secret of {0}: {1}")]
    ReadSecret(String, #[source] kube::Error),
    /// The status, a finalizer or an event could not be written.
    #[error("writing {0}: {1}")]
    Write(&'static str, #[source] kube::Error),
    /// Ownership changed again and again while it was looked at.
    #[error("ownership in Redis kept changing")]
    Unsettled,
}

impl Error {
    /// The error as a metric's label and a condition's reason has it: one of a closed set.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotLeading(_) => "NotLeading",
            Self::Store(error) => error.reason(),
            Self::ReadSecret(..) => "SecretReadFailed",
            Self::Write(..) => "StatusWriteFailed",
            Self::Unsettled => "Unsettled",
        }
    }
}
