//! The Lease for which the replicas compete, and its writes. Each carries the resourceVersion of the Lease that it changes,
//! so that it fails where another client has written in between.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

/// The Lease's name where no other is set.
pub const DEFAULT_LEASE: &str = "runtime-operator";
/// The annotation with which a holder that can't work says why: a candidate that can takes the Lease over.
pub const CANNOT_WORK: &str = "runtime.veralux.io/cannot-work";
/// The annotation that names the namespaces which the holder watches, separated by commas; `*`: all.
pub const WATCHED_NAMESPACES: &str = "runtime.veralux.io/watched-namespaces";

/// The time after which a Lease may be taken that is not renewed.
pub(super) const DURATION: Duration = Duration::from_secs(15);
/// The interval at which the Lease is renewed, or read.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The timeout of a request.
const REQUEST: Duration = Duration::from_secs(5);
const FIELD_MANAGER: &str = "runtime-operator";

/// The Lease as it was read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LeaseView {
    pub(super) uid: String,
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    /// The holder's identity; none: it is free.
    pub(super) holder: Option<String>,
    /// Why the holder can't work, where it says so.
    pub(super) mark: Option<String>,
    /// The namespaces which the holder watches; none where it does not say.
    pub(super) namespaces: Option<String>,
    /// The time of the last renewal, by the holder's clock.
    pub(super) renewed: Option<Timestamp>,
    transitions: i32,
}

impl From<Lease> for LeaseView {
    fn from(lease: Lease) -> Self {
        let Lease { metadata, spec } = lease;
        let LeaseSpec { holder_identity, renew_time, lease_transitions, .. } = spec.unwrap_or_default();
        let mut annotations = metadata.annotations.unwrap_or_default();
        Self {
            uid: metadata.uid.unwrap_or_default(),
            version: metadata.resource_version.unwrap_or_default(),
            holder: holder_identity.filter(|holder| !holder.is_empty()),
            mark: annotations.remove(CANNOT_WORK),
            namespaces: annotations.remove(WATCHED_NAMESPACES),
            renewed: renew_time.map(|time| time.0),
            transitions: lease_transitions.unwrap_or_default(),
        }
    }
}

/// Why the Lease was not read or written.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    #[error("another client has changed the Lease")]
    Changed,
    #[error("the API server did not answer within {} s", REQUEST.as_secs())]
    NoAnswer,
    #[error(transparent)]
    Failed(kube::Error),
}

impl LeaseError {
    /// True where the API server, or what it needs, is away: it decided nothing.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Changed => false,
            Self::Failed(kube::Error::Api(status)) => status.code >= 500 || status.code == 429,
            Self::NoAnswer | Self::Failed(_) => true,
        }
    }

    pub(super) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Failed(kube::Error::Api(status)) if matches!(status.code, 401 | 403))
    }
}

/// The Lease, as one replica reads and writes it.
pub(super) struct OwnLease {
    pub(super) leases: Api<Lease>,
    pub(super) name: String,
    pub(super) identity: String,
    /// The value of [`WATCHED_NAMESPACES`] for this replica.
    pub(super) namespaces: String,
}

impl OwnLease {
    pub(super) fn new(client: Client, name: &str, identity: &str, namespaces: &[String]) -> Self {
        let namespaces = if namespaces.is_empty() { "*".to_owned() } else { namespaces.join(",") };
        let leases = Api::default_namespaced(client);
        Self { leases, name: name.to_owned(), identity: identity.to_owned(), namespaces }
    }

    pub(super) fn is_mine(&self, lease: &LeaseView) -> bool {
        lease.holder.as_deref() == Some(&self.identity)
    }

    /// Reads the Lease; none: there is none.
    pub(super) async fn read(&self) -> Result<Option<LeaseView>, LeaseError> {
        let read = timeout(REQUEST, self.leases.get_opt(&self.name)).await;
        let read = read.map_err(|_| LeaseError::NoAnswer)?;
        Ok(read.map_err(LeaseError::Failed)?.map(LeaseView::from))
    }

    /// Takes the Lease as it was seen, or makes it where none was; and sets the annotation `cannot-work`, or removes it.
    pub(super) async fn take(
        &self,
        seen: Option<&LeaseView>,
        mark: Option<&str>,
    ) -> Result<LeaseView, LeaseError> {
        let now = MicroTime(Timestamp::now());
        let transitions = seen.map_or(0, |seen| seen.transitions.saturating_add(1));
        let spec =
            LeaseSpec { acquire_time: Some(now), lease_transitions: Some(transitions), ..self.held_spec() };
        match seen {
            Some(seen) => self.write(seen, json!(spec), mark).await,
            None => self.create(spec, mark).await,
        }
    }

    /// Renews the Lease, and marks it as that of a replica that cannot work, or removes the mark.
    pub(super) async fn renew(&self, held: &LeaseView, mark: Option<&str>) -> Result<LeaseView, LeaseError> {
        self.write(held, json!(self.held_spec()), mark).await
    }

    /// Gives the Lease up, so that another replica need not wait.
    pub(super) async fn release(&self, held: &LeaseView) -> Result<LeaseView, LeaseError> {
        self.write(held, json!({ "holderIdentity": null }), None).await
    }

    fn held_spec(&self) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }
    }

    async fn create(&self, spec: LeaseSpec, mark: Option<&str>) -> Result<LeaseView, LeaseError> {
        let annotations = [(WATCHED_NAMESPACES, Some(&*self.namespaces)), (CANNOT_WORK, mark)];
        let annotations = annotations.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                annotations: Some(annotations.map(|(name, value)| (name.into(), value.into())).collect()),
                ..ObjectMeta::default()
            },
            spec: Some(spec),
        };
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        answered(timeout(REQUEST, self.leases.create(&params, &lease)).await)
    }

    async fn write(
        &self,
        seen: &LeaseView,
        spec: Value,
        mark: Option<&str>,
    ) -> Result<LeaseView, LeaseError> {
        let patch = json!({
            "metadata": {
                "uid": seen.uid,
                "resourceVersion": seen.version,
                "annotations": { CANNOT_WORK: mark, WATCHED_NAMESPACES: self.namespaces },
            },
            "spec": spec,
        });
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        answered(timeout(REQUEST, self.leases.patch(&self.name, &params, &Patch::Merge(patch))).await)
    }
}

fn answered(
    answer: Result<Result<Lease, kube::Error>, tokio::time::error::Elapsed>,
) -> Result<LeaseView, LeaseError> {
    match answer {
        Ok(Ok(lease)) => Ok(lease.into()),
        // 404: another client has deleted it; 409: changed or created it.
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 404 | 409) => Err(LeaseError::Changed),
        Ok(Err(error)) => Err(LeaseError::Failed(error)),
        Err(_) => Err(LeaseError::NoAnswer),
    }
}
