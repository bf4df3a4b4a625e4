//! Why a resource could not be dealt with now, though it may be by itself later.

use crate::store::StoreError;

/// Every [`Error::reason`] that is counted as a failure: beside those of Redis, what this room adds.
pub const ERRORS: [&str; StoreError::REASONS.len() + 5] = {
    let mut all = ["SecretReadFailed"; StoreError::REASONS.len() + 5];
    [all[1], all[2], all[3], all[4]] =
        ["ResourceReadFailed", "WatchBehind", "StatusWriteFailed", "Unsettled"];
    let mut at = 0;
    while at < StoreError::REASONS.len() {
        all[at + 5] = StoreError::REASONS[at];
        at += 1;
    }
    all
};

/// What could not be done. What can't succeed before somebody changes something is no error but a assessment.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This replica does not write: another leads, or it is about to begin. When it begins, everything is looked at.
    #[error("this replica does not lead")]
    NotLeading,
    /// Redis can't be used, and everything is looked at once it can: what is wrong with it.
    #[error("{0}")]
    Waiting(StoreError),
    /// Redis could not be asked or told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A webhook secret could not be read.
    #[error("reading the Secret of {0}: {1}")]
    ReadSecret(String, #[source] kube::Error),
    /// A resource could not be read.
    #[error("reading {0}: {1}")]
    ReadResource(String, #[source] kube::Error),
    /// The watches do not show a resource that is there.
    #[error("the watches are behind: they do not show {0} yet")]
    Behind(String),
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
            Self::NotLeading => "NotLeading",
            Self::Waiting(error) | Self::Store(error) => error.reason(),
            Self::ReadSecret(..) => "SecretReadFailed",
            Self::ReadResource(..) => "ResourceReadFailed",
            Self::Behind(_) => "WatchBehind",
            Self::Write(..) => "StatusWriteFailed",
            Self::Unsettled => "Unsettled",
        }
    }
}

/// Why this replica writes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Not every watch has listed.
    Starting,
    /// Another replica leads.
    Following,
    /// Another replica leads, and this one can't ask Redis for what it is asked: why.
    FollowingBlindly(StoreError),
    /// It can't take part in the election: what it may not do.
    Lease(String),
    /// Redis can't be asked or told.
    Redis(StoreError),
}

impl From<Hold> for Error {
    fn from(hold: Hold) -> Self {
        match hold {
            Hold::Starting | Hold::Following | Hold::FollowingBlindly(_) | Hold::Lease(_) => Self::NotLeading,
            Hold::Redis(why) => Self::Waiting(why),
        }
    }
}

/// An error with what caused it, each cause that does not say the same again: `client error (Connect)` alone does not
/// say what is wrong.
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
    fn every_cause_is_told_once() {
        let layers = ["refused", "client: refused", "connecting"].into_iter();
        let error = layers.fold(None, |source, what| Some(Box::new(Layer { what, source })));
        assert_eq!(with_causes(&error.unwrap()), "connecting: client: refused");
    }
}
