//! The errors of reconciles and status writes, all of which are retried.

use crate::domain::index::Failure;
use crate::domain::reason::Reason;
use crate::leader::WriterState;
use crate::store::StoreError;

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
    #[error("reading the Secret of {0}: {1}")]
    ReadSecret(String, #[source] kube::Error),
    /// A resource could not be read.
    #[error("reading {0}: {1}")]
    ReadResource(String, #[source] kube::Error),
    /// The watches do not show a resource that exists.
    #[error("the watch cache has not seen {0} yet")]
    WatchBehind(String),
    /// The status could not be written.
    #[error("writing the status: {0}")]
    WriteStatus(#[source] kube::Error),
    /// The finalizers could not be written.
    #[error("writing the finalizers: {0}")]
    WriteFinalizers(#[source] kube::Error),
    /// Ownership changed during every attempt.
    #[error("ownership records kept changing during {0} attempts")]
    OwnershipKeptChanging(usize),
}

/// The reasons of [`Error::reason`] that this room adds to those of Redis.
const OWN_REASONS: [&str; 5] =
    ["SecretReadFailed", "ResourceReadFailed", "WatchBehind", "StatusWriteFailed", "OwnershipKeptChanging"];

impl Error {
    /// The error as the label of a metric: one of [`Self::reasons`], or `NotLeading`, which is not counted.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let [secret, resource, behind, write, ownership] = OWN_REASONS;
        match self {
            Self::NotWriting(WriterState::RedisUnavailable { error, .. }) | Self::Store(error) => {
                error.reason()
            }
            Self::NotWriting(_) => "NotLeading",
            Self::ReadSecret(..) => secret,
            Self::ReadResource(..) => resource,
            Self::WatchBehind(_) => behind,
            Self::WriteStatus(_) | Self::WriteFinalizers(_) => write,
            Self::OwnershipKeptChanging(_) => ownership,
        }
    }

    /// Every reason that is counted as a failure.
    #[must_use]
    pub fn reasons() -> Vec<&'static str> {
        OWN_REASONS.into_iter().chain(StoreError::REASONS).collect()
    }

    /// True while Redis can't be used: every tenant is reconciled once it can.
    #[must_use]
    pub fn waits_for_redis(&self) -> bool {
        matches!(self, Self::NotWriting(WriterState::RedisUnavailable { .. }))
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
            reason: match self {
                Self::NotWriting(_) | Self::Store(_) => Reason::RedisUnavailable,
                Self::ReadSecret(..) => Reason::SecretUnreadable,
                Self::ReadResource(..)
                | Self::WatchBehind(_)
                | Self::WriteStatus(_)
                | Self::WriteFinalizers(_) => Reason::ApiServerUnavailable,
                Self::OwnershipKeptChanging(_) => Reason::OwnershipKeptChanging,
            },
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

/// An error with its causes, leaving out those that repeat what was said: `client error (Connect)` alone does not say what
/// is wrong.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{what}")]
    struct Layer {
        what: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn each_cause_is_named_once() {
        let layers = ["refused", "client: refused", "connecting"].into_iter();
        let error = layers.fold(None, |source, what| Some(Box::new(Layer { what, source })));
        assert_eq!(with_causes(&error.unwrap()), "connecting: client: refused");
    }
}
