//! Whether a replica can do a leader's work: one predicate, for candidates and for the holder of the Lease.

use crate::store::StoreError;

/// The ability of this replica to do a leader's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Not known yet: watches have neither listed nor failed, or Redis was not asked yet.
    Unknown,
    /// At least one namespace is watched, no list is waited for, and Redis runs every command that a publish needs.
    Able,
    /// The watches work and Redis does not, for this reason. It suffices for a Lease that no other replica can hold.
    WithoutRedis(StoreError),
    /// It can do nothing, for this reason.
    Unable(String),
}

impl Ability {
    /// Why this replica can't do all of a leader's work.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        match self {
            Self::Able => None,
            Self::Unknown => Some("the watches have not listed yet".to_owned()),
            Self::WithoutRedis(error) => Some(error.to_string()),
            Self::Unable(why) => Some(why.clone()),
        }
    }
}
