//! The reasons of conditions: a closed set, which events and the labels of metrics share.

/// The reason of a condition of a `RuntimeTenant`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Redis matches the spec.
    Published,
    /// The webhook secret was read.
    Resolved,
    /// The resource holds all DIDs of its spec.
    Claimed,
    /// `spec.suspend` is true: nothing is written for the resource.
    Suspended,
    /// The spec violates a rule that the API server did not check.
    InvalidSpec,
    /// The spec can't be decoded.
    Unreadable,
    /// Another resource holds the tenant id.
    TenantIdConflict,
    /// Another resource holds a DID.
    DidConflict,
    /// A DID is mapped to a tenant id that no resource owns.
    NumberInUse,
    /// Another cluster's operator owns the tenant id or a DID.
    OwnedElsewhere,
    /// An older publisher's config lists DIDs that the spec does not.
    AdoptionWouldUnmap,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret does not have the key.
    SecretKeyNotFound,
    /// The Secret's value is empty.
    SecretEmpty,
    /// The Secret's value is not UTF-8.
    SecretNotUtf8,
    /// The API server did not return the Secret.
    SecretUnreadable,
    /// A Redis command failed.
    RedisUnavailable,
    /// A request to the API server failed, or its watch cache is behind.
    ApiServerUnavailable,
    /// Ownership records in Redis changed during each attempt.
    OwnershipKeptChanging,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 19] = [
        Self::Published,
        Self::Resolved,
        Self::Claimed,
        Self::Suspended,
        Self::InvalidSpec,
        Self::Unreadable,
        Self::TenantIdConflict,
        Self::DidConflict,
        Self::NumberInUse,
        Self::OwnedElsewhere,
        Self::AdoptionWouldUnmap,
        Self::SecretNotFound,
        Self::SecretKeyNotFound,
        Self::SecretEmpty,
        Self::SecretNotUtf8,
        Self::SecretUnreadable,
        Self::RedisUnavailable,
        Self::ApiServerUnavailable,
        Self::OwnershipKeptChanging,
    ];

    /// The reason in `CamelCase`, as a condition carries it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "Published",
            Self::Resolved => "Resolved",
            Self::Claimed => "Claimed",
            Self::Suspended => "Suspended",
            Self::InvalidSpec => "InvalidSpec",
            Self::Unreadable => "Unreadable",
            Self::TenantIdConflict => "TenantIdConflict",
            Self::DidConflict => "DidConflict",
            Self::NumberInUse => "NumberInUse",
            Self::OwnedElsewhere => "OwnedElsewhere",
            Self::AdoptionWouldUnmap => "AdoptionWouldUnmap",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyNotFound => "SecretKeyNotFound",
            Self::SecretEmpty => "SecretEmpty",
            Self::SecretNotUtf8 => "SecretNotUtf8",
            Self::SecretUnreadable => "SecretUnreadable",
            Self::RedisUnavailable => "RedisUnavailable",
            Self::ApiServerUnavailable => "ApiServerUnavailable",
            Self::OwnershipKeptChanging => "OwnershipKeptChanging",
        }
    }

    /// True if the reason clears without a change of the resource (`Reconciling`): on its own, or when something appears to
    /// which the resource refers. Any other reason stays until a person changes something (`Stalled`).
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::SecretNotFound
                | Self::SecretKeyNotFound
                | Self::SecretEmpty
                | Self::SecretNotUtf8
                | Self::SecretUnreadable
                | Self::RedisUnavailable
                | Self::ApiServerUnavailable
                | Self::OwnershipKeptChanging
        )
    }
}
