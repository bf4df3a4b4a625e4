//! The messages that Redis pushes on a connection that tracks keys.

use redis::{PushInfo, PushKind, Value};

/// The content of one push.
pub(super) enum Invalidation {
    /// These keys changed.
    Keys(Vec<Vec<u8>>),
    /// The database was flushed.
    Flushed,
    /// The connection was closed.
    Disconnected,
    /// The push is of another kind.
    Other,
}

impl Invalidation {
    /// Decodes a push: an invalidation holds a list of keys, or nil for a flush. Keys that can't be decoded count as a
    /// flush.
    pub(super) fn decode(push: PushInfo) -> Self {
        match push.kind {
            PushKind::Invalidate => match push.data.into_iter().next() {
                Some(Value::Nil) => Self::Flushed,
                Some(keys) => redis::from_redis_value(keys).map_or(Self::Flushed, Self::Keys),
                None => Self::Other,
            },
            PushKind::Disconnection => Self::Disconnected,
            _ => Self::Other,
        }
    }
}
