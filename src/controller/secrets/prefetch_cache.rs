//! The cache of the prefetch: the values of listed Secrets, until the reconciles of their tenants take them.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::read::SecretValue;
use crate::domain::secret::SecretVersion;
use crate::domain::{ResourceName, Uid};

/// The time after which values are dropped while no reconcile takes any.
const UNUSED_TIMEOUT: Duration = Duration::from_secs(10);

/// Secrets that were listed for tenants that are about to be reconciled.
#[derive(Default)]
pub struct PrefetchedSecrets {
    held: Mutex<HashMap<Uid, Arc<SecretValue>>>,
    taken: Notify,
}

impl PrefetchedSecrets {
    fn held(&self) -> MutexGuard<'_, HashMap<Uid, Arc<SecretValue>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a Secret for the reconcile of `uid`.
    pub fn insert(&self, uid: Uid, secret: Arc<SecretValue>) {
        self.held().insert(uid, secret);
    }

    /// Takes what is held for `uid`, if it is this version of this Secret.
    pub fn take(
        &self,
        uid: &Uid,
        secret: &ResourceName,
        version: &SecretVersion,
    ) -> Option<Arc<SecretValue>> {
        let held = self.held().remove(uid)?;
        self.taken.notify_waiters();
        Some(held).filter(|held| held.is(&secret.name, version))
    }

    /// Drops what is held for `uid`.
    pub fn discard(&self, uid: &Uid) {
        if self.held().remove(uid).is_some() {
            self.taken.notify_waiters();
        }
    }

    /// Waits until at most `most` values are held. Drops all of them when no reconcile takes one for a while.
    pub async fn wait_until_at_most(&self, most: usize) {
        loop {
            let mut taken = pin!(self.taken.notified());
            // From here on a notification is not missed.
            taken.as_mut().enable();
            if self.held().len() <= most {
                return;
            }
            if timeout(UNUSED_TIMEOUT, taken).await.is_err() {
                self.held().clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;

    use super::*;

    fn listed(version: &str) -> Arc<SecretValue> {
        let metadata =
            json!({ "name": "hook", "uid": "s", "resourceVersion": version, "managedFields": [{}] });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "data": { "key": "djE=" } })).unwrap())
    }

    fn version(text: &str) -> SecretVersion {
        SecretVersion::new(Some("s"), Some(text))
    }

    #[test]
    fn only_the_newest_known_version_is_taken_and_once() {
        let (prefetched, uid) = (PrefetchedSecrets::default(), Uid::from("u"));
        let hook = ResourceName::new("ns", "hook");
        prefetched.insert(uid.clone(), listed("1"));
        assert!(prefetched.take(&uid, &hook, &version("2")).is_none(), "it was rotated since it was listed");
        assert!(prefetched.take(&uid, &hook, &version("1")).is_none(), "an unused value is dropped");
        prefetched.insert(uid.clone(), listed("2"));
        assert!(prefetched.take(&uid, &ResourceName::new("ns", "other"), &version("2")).is_none());
        prefetched.insert(uid.clone(), listed("2"));
        assert!(prefetched.take(&uid, &hook, &version("2")).is_some());
        assert!(prefetched.take(&uid, &hook, &version("2")).is_none());
    }

    #[test]
    fn prefetched_secrets_are_dropped_after_the_reconcile() {
        let (prefetched, uid) = (PrefetchedSecrets::default(), Uid::from("u"));
        prefetched.insert(uid.clone(), listed("1"));
        let mut dropped = pin!(prefetched.wait_until_at_most(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        assert!(dropped.as_mut().now_or_never().is_none());
        prefetched.discard(&uid);
        assert!(dropped.now_or_never().is_some());
        assert!(prefetched.held().is_empty());
    }
}
