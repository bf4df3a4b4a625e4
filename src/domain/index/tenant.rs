//! The state of one tenant, in seven parts: the resource as it is, what it asks for, what Redis holds of it, what its status
//! says, how its retries stand, and where it is in its life.

use std::sync::Arc;
use std::time::Instant;

use super::cached::{CachedStatus, CachedTenant};
use super::publish_delay::PublishDelay;
use super::records::Recorded;
use super::results::Failure;
use crate::api::{DEFAULT_SECRET_KEY, DeletionPolicy, TakeOverStatus};
use crate::domain::assessment::Assessment;
use crate::domain::event::{EventDraft, EventReason};
use crate::domain::plan::{Outcome, PublishedVersion};
use crate::domain::reason::Reason;
use crate::domain::{ResourceName, TakeOverUse};

/// All that is known of one tenant beside its claims.
#[derive(Clone, Debug)]
pub struct TenantState {
    /// The resource as the watch last showed it; as it last was, once it is gone.
    pub(super) object: Arc<CachedTenant>,
    pub(super) desired: Desired,
    pub(super) observed: Observed,
    pub(super) status: StatusSync,
    pub(super) retry: RetryState,
    pub(super) take_over: TakeOverUse,
    pub(super) lifecycle: Lifecycle,
}

/// The desired state of the keys. The DIDs and the tenant id are among the claims.
#[derive(Clone, Debug)]
pub(super) struct Desired {
    /// The hash of the config with all claimed DIDs; none while nothing may be published.
    pub hash: Derived<Box<str>>,
    pub deletion_policy: DeletionPolicy,
    /// The warnings about the spec, one line each; nearly always nothing.
    pub warnings: Box<[Box<str>]>,
    /// The key in the Secret, where it is not the usual one.
    pub secret_key: Option<Box<str>>,
}

/// The state of Redis, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// The version that the ownership record states, as it was last written or read. Its DIDs and tenant id are among
    /// the claims.
    pub version: Option<PublishedVersion>,
    pub confidence: Confidence,
    /// The number of signs so far that Redis may hold something else. What was read before the newest one proves nothing.
    pub invalidations: u64,
}

/// The confidence that Redis holds exactly what the record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confidence {
    /// Redis was seen to hold it, and nothing has said the contrary since.
    Verified,
    /// Redis may hold something else.
    Suspect,
}

/// The outcome that the status must report, and what was written of it.
#[derive(Clone, Debug)]
pub(super) struct StatusSync {
    pub outcome: Derived<Box<Outcome>>,
    /// Events to write with the next status.
    pub pending_events: Vec<EventDraft>,
    /// True when something was published since the status was written.
    pub published_since_status: bool,
    /// The resourceVersion of the operator's own last write; 0: none.
    pub last_written_version: u64,
    /// The warnings about the webhook secret; none where this process has not read it.
    pub secret_warnings: Option<Box<[Box<str>]>>,
    /// The writes of the status or the finalizers that were refused since the last one that was not.
    pub failed_writes: u8,
    /// The last error that was reported of a spec that can't be decoded. It stays when the spec is corrected.
    pub unreadable: Option<Box<str>>,
}

/// Failures since the last success.
#[derive(Clone, Debug, Default)]
pub(super) struct RetryState {
    pub failures: u32,
    /// The event that reported the delay since the last success, so that it is reported once.
    pub waiting_reason: Option<EventReason>,
    pub failure: Option<Box<Failure>>,
    /// The reason that the status does not name yet, and since when it is given.
    pub unconfirmed: Option<Box<(Reason, Instant)>>,
}

/// The place of a tenant in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifecycle {
    Live,
    /// Deleted, and held by finalizers.
    Deleting,
    /// The resource is gone; its keys may be left.
    Gone,
}

/// A value that nearly always follows from the ownership record, and is held only where it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Derived<T> {
    None,
    FromRecord,
    Explicit(T),
}

impl<T> From<Option<T>> for Derived<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Self::Explicit)
    }
}

/// Everything from which a status is written.
#[derive(Clone, Debug)]
pub struct PendingStatus {
    /// The resource.
    pub object: Arc<CachedTenant>,
    /// The outcome that the status must report; none before the first successful reconcile.
    pub outcome: Option<Outcome>,
    /// Events to write.
    pub events: Vec<EventDraft>,
    /// True when something was published since the status was written.
    pub published: bool,
    /// Why a change of the tenant can't be published yet; none while it waits for nothing.
    pub delay: Option<PublishDelay>,
    /// The warnings about the spec, one line each.
    pub warnings: Box<[Box<str>]>,
    /// The warnings about the webhook secret; none where this process has not read it.
    pub secret_warnings: Option<Box<[Box<str>]>>,
    /// The past effect of the annotation `take-over`.
    pub take_over: Option<TakeOverStatus>,
}

impl TenantState {
    pub(super) fn new(object: Arc<CachedTenant>) -> Self {
        Self {
            object,
            desired: Desired {
                hash: Derived::None,
                deletion_policy: DeletionPolicy::default(),
                warnings: Box::default(),
                secret_key: None,
            },
            observed: Observed { version: None, confidence: Confidence::Suspect, invalidations: 0 },
            status: StatusSync {
                outcome: Derived::None,
                pending_events: Vec::new(),
                published_since_status: false,
                last_written_version: 0,
                secret_warnings: None,
                failed_writes: 0,
                unreadable: None,
            },
            retry: RetryState::default(),
            take_over: TakeOverUse::default(),
            lifecycle: Lifecycle::Live,
        }
    }

    /// The resource as the watch last showed it.
    #[must_use]
    pub fn object(&self) -> Arc<CachedTenant> {
        Arc::clone(&self.object)
    }

    pub(super) fn set_object(&mut self, object: Arc<CachedTenant>) {
        self.take_over.observe(object.take_over(), object.status().and_then(CachedStatus::take_over));
        self.object = object;
    }

    /// `<namespace>/<name>` of the resource.
    #[must_use]
    pub fn name(&self) -> ResourceName {
        self.object.name()
    }

    /// True once the watch no longer shows the resource.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.lifecycle == Lifecycle::Gone
    }

    /// True once it was reported that its spec can't be decoded, also after the spec was corrected.
    #[must_use]
    pub fn is_unreadable(&self) -> bool {
        self.status.unreadable.is_some()
    }

    /// True once a reconcile has determined the outcome.
    #[must_use]
    pub fn has_outcome(&self) -> bool {
        self.status.outcome != Derived::None
    }

    /// The assessment, unless it only says that the tenant is published as its record says.
    #[must_use]
    pub fn assessment(&self) -> Option<&Assessment> {
        match &self.status.outcome {
            Derived::Explicit(outcome) => match &**outcome {
                Outcome::Assessed(assessment) => Some(assessment),
                Outcome::FinalizerRemovable => None,
            },
            Derived::None | Derived::FromRecord => None,
        }
    }

    /// True while the watch still shows the resource as it was before the operator's own last write.
    #[must_use]
    pub fn is_awaiting_own_write(&self) -> bool {
        self.status.last_written_version > self.object.version()
    }

    /// The version that the ownership record states, as it was last written or read.
    #[must_use]
    pub fn recorded_version(&self) -> Option<&PublishedVersion> {
        self.observed.version.as_ref()
    }

    /// The number of signs so far that Redis may hold something else than the record says.
    #[must_use]
    pub fn invalidations(&self) -> u64 {
        self.observed.invalidations
    }

    /// Why the last reconcile failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.retry.failure.as_deref()
    }

    pub(super) fn desire(
        &mut self,
        hash: Option<String>,
        deletion_policy: DeletionPolicy,
        warnings: Vec<String>,
        secret_key: Option<String>,
    ) {
        let hash = hash.map(String::into_boxed_str).into();
        let warnings = warnings.into_iter().map(String::into_boxed_str).collect();
        let secret_key = secret_key.filter(|key| key != DEFAULT_SECRET_KEY).map(String::into_boxed_str);
        self.desired = Desired { hash, deletion_policy, warnings, secret_key };
        self.compact_hash();
    }

    /// The hash of the config with all claimed DIDs; none while nothing may be published.
    pub(super) fn hash(&self) -> Option<String> {
        match &self.desired.hash {
            Derived::None => None,
            Derived::FromRecord => Some(self.observed.version.as_ref()?.hash.clone()),
            Derived::Explicit(hash) => Some(hash.to_string()),
        }
    }

    /// Holds the hash once where it is the record's.
    pub(super) fn compact_hash(&mut self) {
        if let (Derived::Explicit(hash), Some(version)) = (&self.desired.hash, &self.observed.version)
            && **hash == *version.hash
        {
            self.desired.hash = Derived::FromRecord;
        }
    }

    /// Notes that Redis may hold something else than the record says.
    pub(super) fn invalidate(&mut self) {
        self.observed.confidence = Confidence::Suspect;
        self.observed.invalidations += 1;
    }

    /// True when this is what the record is known to say.
    pub(super) fn is_recorded(&self, recorded: Option<&Recorded>) -> bool {
        self.observed.version.as_ref() == recorded.map(|recorded| &recorded.version)
    }
}
