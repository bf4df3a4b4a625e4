//! Why a resource is as it is: the closed set that is at once a condition's reason, an event's and a metric's label.

/// Every reason that a condition of a `RuntimeTenant` can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Redis holds exactly what the resource says.
    Published,
    /// The webhook secret could be read.
    Resolved,
    /// Every number of the spec is this resource's.
    Claimed,
    /// `spec.suspend` is true: nothing is written for it.
    Suspended,
    /// The spec breaks a rule that the API server did not check.
    InvalidSpec,
    /// The spec can't be read at all.
    Unreadable,
    /// Another resource holds the tenant id.
    TenantIdConflict,
    /// Another resource holds a number.
    DidConflict,
    /// A number is mapped to a tenant id that no resource owns.
    NumberInUse,
    /// Another cluster's operator owns the tenant id or a number.
    OwnedElsewhere,
    /// An older publisher's config lists numbers that the resource does not.
    AdoptionWouldUnmap,
    /// The Secret does not exist.
    SecretNotFound,
    /// The Secret has no such key.
    SecretKeyNotFound,
    /// The Secret's value is empty.
    SecretEmpty,
    /// The Secret's value is not UTF-8.
    SecretNotUtf8,
    /// The API server would not give the Secret.
    SecretUnreadable,
    /// Redis could not be asked or told.
    RedisUnavailable,
}

impl Reason {
    /// Every reason that there is.
    pub const ALL: [Self; 17] = [
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
    ];

    /// The reason as a condition has it, in `CamelCase`.
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
        }
    }

    /// Whether it passes by itself or when something beside the resource appears (`Reconciling`), rather than only
    /// when a person changes something (`Stalled`).
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
        )
    }
}
