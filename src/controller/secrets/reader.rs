//! [`SecretReader`], which reconciles ask for a Secret: takes a prefetched value, or reads one.

use std::sync::Arc;

use kube::Client;
use tracing::{Instrument, debug, trace_span};

use super::prefetch_cache::PrefetchedSecrets;
use super::read::{self, ResolvedSecret};
use crate::domain::Uid;
use crate::domain::assessment::SecretFault;
use crate::domain::secret::{SecretKey, SecretVersion};
use crate::telemetry::TRACES;

/// Takes what was prefetched for a tenant ([`take`](Self::take)), and reads from the API server ([`read`](Self::read)).
#[derive(Clone)]
pub struct SecretReader {
    client: Client,
    pub(super) prefetched: Arc<PrefetchedSecrets>,
}

impl SecretReader {
    /// A reader without prefetched values.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, prefetched: Arc::default() }
    }

    /// Takes the value that `key` names from what is held for a tenant, if that is this version of its Secret.
    #[must_use]
    pub fn take(
        &self,
        uid: &Uid,
        key: &SecretKey,
        version: &SecretVersion,
    ) -> Option<Result<ResolvedSecret, SecretFault>> {
        Some(self.prefetched.take(uid, &key.secret, version)?.resolve(key))
    }

    /// Reads the value that `key` names, at this version of its Secret or newer. The outer error may be transient (no
    /// response, an overloaded API server); the inner one is a fault of the Secret, which the status reports.
    pub async fn read(
        &self,
        key: &SecretKey,
        version: &SecretVersion,
    ) -> Result<Result<ResolvedSecret, SecretFault>, kube::Error> {
        debug!(secret = %key.secret, "reading Secret");
        let span = trace_span!(target: TRACES, "secret", otel.kind = "client");
        read::read(&self.client, key, version).instrument(span).await
    }

    /// Drops a value that was prefetched for a tenant, which was reconciled.
    pub fn reconciled(&self, uid: &Uid) {
        self.prefetched.discard(uid);
    }
}
