//! The signals: a changed key, or the need of a resync.

use crate::contract::{CONFIG_PREFIX, DID_PREFIX, Did, TenantId};

/// A change in Redis that this operator's records don't account for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DriftSignal {
    /// The key does not match the records of this cluster.
    Changed(ChangedKey),
    /// Any key may have changed; from now on, every change is signalled again.
    Resync(ResyncCause),
}

/// A key of the contract that another client wrote, or that expired or was evicted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangedKey {
    /// A DID's mapping.
    Did(Did),
    /// A tenant's config.
    Config(TenantId),
}

impl ChangedKey {
    /// Parses a key's name; `None` for a name that no resource can have.
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        let key = std::str::from_utf8(key).ok()?;
        match key.strip_prefix(DID_PREFIX) {
            Some(did) => Did::parse_exact(did).ok().map(Self::Did),
            None => TenantId::parse(key.strip_prefix(CONFIG_PREFIX)?).ok().map(Self::Config),
        }
    }
}

/// The cause of a full resync with Redis: a closed set, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResyncCause {
    /// The first connection.
    Connected,
    /// A connection after one that broke, to the same server.
    Reconnected,
    /// FLUSHALL or FLUSHDB.
    Flushed,
    /// The epoch changed, and this process did not acquire it: SWAPDB, a restore, another writer.
    EpochChanged,
    /// Another server, or the same one after a restart or a change of its role.
    ServerChanged,
    /// More keys changed than could be signalled one by one.
    Overflow,
}

impl ResyncCause {
    /// All causes.
    pub const ALL: [Self; 6] = [
        Self::Connected,
        Self::Reconnected,
        Self::Flushed,
        Self::EpochChanged,
        Self::ServerChanged,
        Self::Overflow,
    ];

    /// Returns the cause's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Reconnected => "Reconnected",
            Self::Flushed => "Flushed",
            Self::EpochChanged => "EpochChanged",
            Self::ServerChanged => "ServerChanged",
            Self::Overflow => "Overflow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_key_names_that_a_resource_can_have_are_parsed() {
        let did = ChangedKey::Did(Did::parse_exact("+15551234567").unwrap());
        assert_eq!(ChangedKey::parse(b"tenantmap:did:+15551234567"), Some(did));
        let config = ChangedKey::Config(TenantId::parse("a:b").unwrap());
        assert_eq!(ChangedKey::parse(b"tenantcfg:a:b"), Some(config));
        for key in [&b"tenantmap:did:1555"[..], b"tenantcfg:", b"tenantcfg:\xff", b"cap:x"] {
            assert_eq!(ChangedKey::parse(key), None);
        }
    }
}
