//! The consequences of a change of the index.

use std::collections::HashMap;

use super::prefetch::SecretUsers;
use crate::domain::Uid;
use crate::domain::claims::Affected;

/// The consequences of a change of the index, as values: one place in the controller carries them out.
#[derive(Debug, Default, PartialEq, Eq)]
#[must_use = "a change without its effects leaves tenants unreconciled"]
pub struct Effects {
    /// Tenants to reconcile.
    pub reconcile: Affected,
    /// Tenants whose status may have to be written.
    pub status: Vec<Uid>,
    /// Tenants to reconcile once their Secrets were listed, by namespace. A newer plan replaces the one under way.
    pub prefetch: Option<HashMap<String, SecretUsers>>,
    /// The new store error for readiness, where it has changed; `Some(None)`: there is none any more.
    pub store_error: Option<Option<String>>,
}

impl Effects {
    /// Only reconciles.
    pub(super) fn reconcile(affected: Affected) -> Self {
        Self { reconcile: affected, ..Self::default() }
    }
}
