//! Chooses between reading Secrets one by one and listing them, when many tenants need theirs together.

use std::collections::HashMap;

use super::tenant::Confidence;
use super::{Effects, Index, TenantState};
use crate::domain::Uid;

/// The Secrets of one namespace that must be wanted for a list to pay off ...
const MIN_SECRETS: usize = 16;
/// ... which must be at least one in this many of all its Secrets: a list brings those of others too.
const MIN_SHARE: usize = 2;

/// The tenants of one namespace that wait for a Secret, by its name.
pub type SecretUsers = HashMap<String, Vec<Uid>>;

impl Index {
    /// Partitions all tenants into those to reconcile immediately and those whose Secrets are worth a list.
    pub(super) fn partition(&self) -> Effects {
        let (mut now, mut by_namespace) = (Vec::new(), HashMap::<String, SecretUsers>::new());
        for (uid, tenant) in &self.tenants {
            let secret = self.secrets.secret_of(uid).filter(|_| !tenant.is_gone());
            match secret.filter(|_| self.needs_secret(uid, tenant)) {
                Some(secret) => {
                    let users = by_namespace.entry(secret.namespace.to_string()).or_default();
                    users.entry(secret.name.to_string()).or_default().push(uid.clone());
                }
                None => now.push(uid.clone()),
            }
        }
        let counts = self.secrets.count_by_namespace();
        let pays_off = |namespace: &String, wanted: usize| {
            let all = counts.get(namespace.as_str()).copied().unwrap_or_default();
            wanted >= MIN_SECRETS && wanted * MIN_SHARE >= all
        };
        let (listed, read): (HashMap<_, _>, HashMap<_, _>) =
            by_namespace.into_iter().partition(|(namespace, users)| pays_off(namespace, users.len()));
        now.extend(read.into_values().flat_map(HashMap::into_values).flatten());
        Effects { reconcile: now.into_iter().collect(), prefetch: Some(listed), ..Effects::default() }
    }

    /// True when the tenant's Secret exists, and Redis is not known to hold what it needs of it.
    fn needs_secret(&self, uid: &Uid, tenant: &TenantState) -> bool {
        let Some(version) = self.secrets.version_for(uid) else { return false };
        let verified = tenant.observed.confidence == Confidence::Verified;
        let recorded = tenant.observed.version.as_ref().filter(|_| verified);
        recorded.is_none_or(|recorded| recorded.secret != self.recorded_secret(version))
    }
}
