//! The errors of reconciles and status writes, all of which are retried.

use crate::domain::ResourceName;
use crate::domain::index::Failure;
use crate::domain::reason::Reason;
use crate::leader::WriterState;
use crate::store::StoreError;
use crate::telemetry::api_server_cause;

/// The failure of a reconcile or a status write, which may succeed later without any change. A fault that only a person
/// can correct is no error but an [`Assessment`](crate::domain::assessment::Assessment).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This replica writes nothing now. When it can, every tenant is reconciled.
    #[error("{}", not_writing(.0))]
    NotWriting(WriterState),
    /// A Redis command failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A webhook secret could not be read.
    #[error("Secret {secret} could not be read: {}", api_server_cause(source))]
    ReadSecret {
        /// The Secret, `<namespace>/<name>`.
        secret: ResourceName,
        /// The error.
        source: kube::Error,
    },
    /// A resource could not be read.
    #[error("{resource} could not be read: {}", api_server_cause(source))]
    ReadResource {
        /// The resource, `<namespace>/<name>`.
        resource: ResourceName,
        /// The error.
        source: kube::Error,
    },
    /// The watches do not show a resource that exists.
    #[error("the watch cache has not seen {0} yet")]
    WatchBehind(String),
    /// The status could not be written.
    #[error("the status could not be written: {}", api_server_cause(.0))]
    WriteStatus(#[source] kube::Error),
    /// The finalizers could not be written.
    #[error("the finalizers could not be written: {}", api_server_cause(.0))]
    WriteFinalizers(#[source] kube::Error),
    /// Ownership changed during every attempt.
    #[error("ownership records kept changing during {0} attempts")]
    OwnershipKeptChanging(usize),
}

impl Error {
    /// The error's reason, which is also the label of a metric. `None`: this replica does not lead, which is no failure.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotWriting(WriterState::RedisUnavailable { error, .. }) | Self::Store(error) => {
                Some(error.reason())
            }
            Self::NotWriting(_) => None,
            Self::ReadSecret { .. } => Some(Reason::SecretUnreadable),
            Self::ReadResource { .. }
            | Self::WatchBehind(_)
            | Self::WriteStatus(_)
            | Self::WriteFinalizers(_) => Some(Reason::ApiServerUnavailable),
            Self::OwnershipKeptChanging(_) => Some(Reason::OwnershipKeptChanging),
        }
    }

    /// Every reason that is counted as a failure.
    #[must_use]
    pub fn reasons() -> Vec<&'static str> {
        Reason::ALL.into_iter().filter(|reason| reason.is_failure()).map(Reason::as_str).collect()
    }

    /// True while Redis can't be used: every tenant is reconciled once it can.
    #[must_use]
    pub fn waits_for_redis(&self) -> bool {
        matches!(self, Self::NotWriting(WriterState::RedisUnavailable { .. }))
    }

    /// True where Redis, and not something of one tenant, is the cause.
    #[must_use]
    pub fn is_of_redis(&self) -> bool {
        matches!(self, Self::NotWriting(_) | Self::Store(_))
    }

    /// True where this replica does not lead, or is about to begin: it reports nothing.
    #[must_use]
    pub fn is_not_leading(&self) -> bool {
        matches!(self, Self::NotWriting(_)) && !self.waits_for_redis()
    }

    /// The error as a status reports it.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Failure {
            reason: self.reason().unwrap_or(Reason::RedisUnreachable),
            message: self.to_string(),
            is_store: matches!(self, Self::Store(_)),
            is_epoch_lost: matches!(self, Self::Store(StoreError::Fenced { .. })),
        }
    }
}

fn not_writing(state: &WriterState) -> String {
    match state {
        WriterState::RedisUnavailable { error, .. } => error.to_string(),
        _ => "not the leader".to_owned(),
    }
}

/// The code of the API server's response, or of a proxy that answered in its place; none without a response.
#[must_use]
pub fn http_code(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}
