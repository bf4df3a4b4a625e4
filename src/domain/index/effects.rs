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
    /// The new state of readiness, where it has changed.
    pub readiness: Option<Readiness>,
}

/// The part of readiness that the index knows. The writer state says if Redis can be used at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// No tenant waits because Redis rejects writes.
    #[default]
    Ready,
    /// The error with which Redis rejects writes that tenants wait for.
    StoreError(String),
}

impl Effects {
    /// Effects that are only reconciles.
    pub(super) fn reconcile(affected: Affected) -> Self {
        Self { reconcile: affected, ..Self::default() }
    }
}
