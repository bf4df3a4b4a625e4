//! The reasons why a resource is in its state: a closed set, which conditions, events, the labels of metrics and the
//! probes share.

use std::fmt;

/// Declares the reasons, with their list and their names.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The reason of a condition of a `RuntimeTenant`, of a failed reconcile, and of a replica that is not ready.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: [Self; [$(stringify!($name)),*].len()] = [$(Self::$name,)*];

            /// The reason in `CamelCase`, as a condition carries it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }
    };
}

reasons! {
    /// Redis matches the spec.
    Published,
    /// The webhook secret was read.
    Resolved,
    /// The resource holds all DIDs of its spec.
    Claimed,
    /// `spec.suspend` is true: nothing is written for the resource.
    Suspended,
    /// There are warnings about the spec, the Secret or an annotation; they prevent nothing.
    SpecWarnings,
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
    /// An older publisher's config has another webhook secret than the resource, or one that can't be compared.
    AdoptionWouldChangeSecret,
    /// An older publisher's config is too large to be decoded.
    AdoptionTooLarge,
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
    /// A request to the API server failed, or its watch cache is behind.
    ApiServerUnavailable,
    /// Ownership records in Redis changed during each attempt.
    OwnershipKeptChanging,
    /// There is no connection to Redis, or it broke.
    RedisUnreachable,
    /// Redis did not reply in time.
    RedisTimedOut,
    /// A credential or certificate file can't be used.
    RedisFileUnusable,
    /// Redis rejected the user or the password.
    RedisWrongPassword,
    /// Redis' ACL denies a command or a key.
    RedisNoPermission,
    /// Redis is a replica.
    RedisReadOnly,
    /// Redis has reached `maxmemory`.
    RedisOutOfMemory,
    /// Redis can't persist, or has too few replicas.
    RedisRefusesWrites,
    /// Redis reads its data set from disk.
    RedisLoading,
    /// Redis is in cluster mode.
    RedisClusterMode,
    /// No Sentinel names a primary.
    RedisNoPrimary,
    /// Redis replied with something unexpected.
    RedisUnexpected,
    /// The write's epoch is not the current one.
    Fenced,
}

impl Reason {
    /// The reason of this name, if there is one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }

    /// True if the reason clears without a change of the resource (`Reconciling`): on its own, or when something appears to
    /// which the resource refers. Any other reason stays until a person changes something (`Stalled`).
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.is_failure()
            || matches!(
                self,
                Self::SecretNotFound | Self::SecretKeyNotFound | Self::SecretEmpty | Self::SecretNotUtf8
            )
    }

    /// True if it refuses the adoption of an older publisher's config.
    #[must_use]
    pub const fn is_refused_adoption(self) -> bool {
        matches!(self, Self::AdoptionWouldUnmap | Self::AdoptionWouldChangeSecret | Self::AdoptionTooLarge)
    }

    /// True if both are reasons of the same outage, so that a status that names one need not name the other. A connection over
    /// which no reply comes is closed and made again, so that a Redis that does not answer has two reasons in turn.
    #[must_use]
    pub fn is_same_outage(self, other: Self) -> bool {
        let is_silent = |reason| matches!(reason, Self::RedisUnreachable | Self::RedisTimedOut);
        self == other || (is_silent(self) && is_silent(other))
    }

    /// True if it is the reason of a reconcile that failed and is retried, so that nothing is known to be wrong with the
    /// resource.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::SecretUnreadable
                | Self::ApiServerUnavailable
                | Self::OwnershipKeptChanging
                | Self::RedisUnreachable
                | Self::RedisTimedOut
                | Self::RedisFileUnusable
                | Self::RedisWrongPassword
                | Self::RedisNoPermission
                | Self::RedisReadOnly
                | Self::RedisOutOfMemory
                | Self::RedisRefusesWrites
                | Self::RedisLoading
                | Self::RedisClusterMode
                | Self::RedisNoPrimary
                | Self::RedisUnexpected
                | Self::Fenced
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
