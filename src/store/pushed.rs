//! What Redis pushes on a connection that tracks.

use redis::{PushInfo, PushKind, Value};

use crate::contract::{CONFIG_PREFIX, DID_PREFIX, Did, TenantId};

/// A key of the contract that somebody wrote, or that expired, or was evicted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangedKey {
    /// A number's mapping.
    Did(Did),
    /// A tenant's config.
    Config(TenantId),
}

/// What became invalid.
pub(super) enum Invalidated {
    Keys(Vec<Vec<u8>>),
    Everything,
    Disconnected,
    Nothing,
}

/// What a push says: a list of keys, or nil for a flush.
pub(super) fn invalidated(push: PushInfo) -> Invalidated {
    match push.kind {
        PushKind::Invalidate => match push.data.into_iter().next() {
            Some(Value::Nil) => Invalidated::Everything,
            Some(keys) => redis::from_redis_value(keys).map_or(Invalidated::Everything, Invalidated::Keys),
            None => Invalidated::Nothing,
        },
        PushKind::Disconnection => Invalidated::Disconnected,
        _ => Invalidated::Nothing,
    }
}

/// What a key's name says; `None` for a name that no resource can have.
pub(super) fn changed_key(key: &[u8]) -> Option<ChangedKey> {
    let key = std::str::from_utf8(key).ok()?;
    match key.strip_prefix(DID_PREFIX) {
        Some(did) => Did::parse_exact(did).ok().map(ChangedKey::Did),
        None => TenantId::parse(key.strip_prefix(CONFIG_PREFIX)?).ok().map(ChangedKey::Config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_resource_can_have_are_told() {
        let did = ChangedKey::Did(Did::parse_exact("+15551234567").unwrap());
        assert_eq!(changed_key(b"tenantmap:did:+15551234567"), Some(did));
        let config = ChangedKey::Config(TenantId::parse("a:b").unwrap());
        assert_eq!(changed_key(b"tenantcfg:a:b"), Some(config));
        for key in [&b"tenantmap:did:1555"[..], b"tenantcfg:", b"tenantcfg:\xff", b"cap:x"] {
            assert_eq!(changed_key(key), None);
        }
    }
}
