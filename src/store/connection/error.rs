//! The errors of Redis, distinguished by what a person must do about them.

use std::path::PathBuf;

use redis::{ErrorKind, RedisError};

use crate::domain::Epoch;
use crate::domain::reason::Reason;

/// The rights that Redis' ACL must give the operator's user. `incr` is for a rollback to an earlier version.
pub const PERMISSIONS: &str = "~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* +hello +auth +ping +info +select \
    +client|setname +client|tracking +client|trackinginfo +script|load +evalsha +get +mget +getrange +strlen +set \
    +del +incr +pttl +persist +hget +hmget +hvals +hset +hdel +sadd +srem +sismember +smembers";

/// The reason why Redis did not do a request. No text of it holds a password, a key's value or a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no connection, or it broke.
    #[error("Redis can't be reached at {address}: {cause}")]
    Unreachable {
        /// `host:port`, or the list of Sentinels.
        address: String,
        /// The connection's error.
        cause: String,
    },
    /// A connect or a reply took too long. A write may or may not have been done.
    #[error("Redis did not reply in time: it is overloaded, frozen or cut off from the network")]
    TimedOut,
    /// A credential or certificate file can't be used.
    #[error("{} can't be used: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// The user or the password is wrong or missing.
    #[error("Redis rejected the user or password: check the credential files or the URL against Redis' ACL")]
    WrongPassword,
    /// The user may not run a command or access a key.
    #[error(
        "Redis' ACL denies this user a command or a key (NOPERM): {detail}. The user needs {PERMISSIONS}"
    )]
    NoPermission {
        /// Redis' message. It names the command or the key, except where a script was denied it.
        detail: String,
    },
    /// A replica, or a primary that was demoted.
    #[error("Redis is a read-only replica: point the URL at the primary, or use Sentinel")]
    ReadOnly,
    /// `maxmemory` is reached and nothing can be evicted.
    #[error("Redis is out of memory: raise maxmemory or remove keys")]
    OutOfMemory,
    /// Redis refuses writes since it can't persist them, or since it has too few replicas.
    #[error("Redis refuses writes until its own problem is solved: {detail}")]
    Misconfigured {
        /// Redis' message.
        detail: String,
    },
    /// Redis reads its data set from disk.
    #[error("Redis is loading its data set from disk, and serves no requests until it has finished")]
    Loading,
    /// Redis Cluster, which the voice runtime can't read.
    #[error(
        "Redis is in cluster mode, in which the voice runtime's single connection can't read every key: use a Redis \
         without it (cluster-enabled no)"
    )]
    ClusterMode,
    /// No Sentinel knows the primary.
    #[error("no Sentinel names a primary for the service {service}: {cause}")]
    NoPrimary {
        /// The service's name.
        service: String,
        /// The result of each Sentinel.
        cause: String,
    },
    /// A key holds another type.
    #[error("the key {key} in Redis holds another type than a string: remove it")]
    WrongType {
        /// The key; empty where the command's caller knows it.
        key: String,
    },
    /// Another writer has acquired a later epoch, or the counter was lost: nothing was written.
    #[error("the write was fenced: its epoch is not the current one ({})",
        .current.map_or_else(|| "none: the counter was lost".to_owned(), |epoch| epoch.to_string()))]
    Fenced {
        /// The epoch that Redis holds now.
        current: Option<Epoch>,
    },
    /// Anything else.
    #[error("unexpected reply from Redis: {0}")]
    Unexpected(String),
}

impl StoreError {
    /// Returns the error's reason in conditions, events, metrics and probes.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unreachable { .. } => Reason::RedisUnreachable,
            Self::TimedOut => Reason::RedisTimedOut,
            Self::File { .. } => Reason::RedisFileUnusable,
            Self::WrongPassword => Reason::RedisWrongPassword,
            Self::NoPermission { .. } => Reason::RedisNoPermission,
            Self::ReadOnly => Reason::RedisReadOnly,
            Self::OutOfMemory => Reason::RedisOutOfMemory,
            Self::Misconfigured { .. } => Reason::RedisRefusesWrites,
            Self::Loading => Reason::RedisLoading,
            Self::ClusterMode => Reason::RedisClusterMode,
            Self::NoPrimary { .. } => Reason::RedisNoPrimary,
            Self::Fenced { .. } => Reason::Fenced,
            Self::WrongType { .. } | Self::Unexpected(_) => Reason::RedisUnexpected,
        }
    }

    /// Returns the reason and the error, as probes and logs say it.
    #[must_use]
    pub fn report(&self) -> String {
        format!("{}: {self}", self.reason())
    }

    /// Returns `true` if the writer must acquire a new epoch: the write was fenced, or it timed out and Redis may still
    /// apply it later. A new epoch fences the late write.
    #[must_use]
    pub const fn invalidates_epoch(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::TimedOut)
    }

    /// Returns `true` if the connection on which the error occurred must be replaced.
    pub(in crate::store) const fn is_fatal_to_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut
                | Self::ReadOnly
                | Self::WrongPassword
                | Self::ClusterMode
        )
    }

    /// Names the key of a command that failed because of the key's type.
    pub(in crate::store) fn naming(self, key: &str) -> Self {
        match self {
            Self::WrongType { .. } => Self::WrongType { key: key.to_owned() },
            other => other,
        }
    }

    /// The error of a script's reply that can't be decoded.
    pub(in crate::store) fn unexpected_reply() -> Self {
        Self::Unexpected("a script's reply has another shape".to_owned())
    }

    /// Converts an error of the client library. `address` is the connection's.
    pub(in crate::store) fn from_redis(error: &RedisError, address: &str) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        if let Some(named) = error.code().and_then(|code| Self::from_code(code, error)) {
            return named;
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => Self::WrongPassword,
            // A parse error's text holds what was parsed.
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => {
                Self::Unexpected("it violates Redis' protocol".to_owned())
            }
            _ if error.detail().is_some_and(is_denied_in_script) => {
                Self::NoPermission { detail: detail(error) }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Unexpected(detail(error)),
            ErrorKind::RESP3NotSupported => Self::Unexpected("Redis is older than 6.0".to_owned()),
            _ => Self::Unreachable { address: address.to_owned(), cause: error.to_string() },
        }
    }

    /// Converts one of Redis' own error codes (redis 7.0, `src/server.c`, `createSharedObjects`).
    fn from_code(code: &str, error: &RedisError) -> Option<Self> {
        Some(match code {
            "WRONGPASS" | "NOAUTH" => Self::WrongPassword,
            "NOPERM" => Self::NoPermission { detail: detail(error) },
            "READONLY" | "MASTERDOWN" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "MISCONF" | "NOREPLICAS" => Self::Misconfigured { detail: detail(error) },
            "LOADING" => Self::Loading,
            "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => Self::ClusterMode,
            "WRONGTYPE" => Self::WrongType { key: String::new() },
            // Another client's script runs for too long.
            "BUSY" => Self::TimedOut,
            _ => return None,
        })
    }
}

/// Returns `true` for the message of a command that the ACL denies inside a script, which has no code of its own (`src/script.c`).
fn is_denied_in_script(text: &str) -> bool {
    // Redis 7.0, then later versions and Valkey.
    text.starts_with("The user executing the script can't") || text.starts_with("ACL failure in script")
}

/// Returns Redis' message without what it may quote: the error of an unknown (renamed) command lists its arguments.
fn detail(error: &RedisError) -> String {
    let text = error.detail().unwrap_or_default();
    let text = text.split_once(", with args beginning with").map_or(text, |(before, _)| before);
    // The place in a script follows: ` script: <SHA-1>, on <name>:<line>.`
    let (before, place) = text.rsplit_once(" script: ").unwrap_or((text, ""));
    let text = if place.contains(", on ") { before } else { text };
    format!("{} {text}", error.code().unwrap_or("ERR")).trim_end().to_owned()
}

/// The error of one request, before it is converted with the connection's address.
pub(in crate::store) enum RequestError {
    Redis(RedisError),
    Store(StoreError),
}

impl RequestError {
    pub(super) fn is_connection_dropped(&self) -> bool {
        matches!(self, Self::Redis(error) if error.is_connection_dropped())
    }

    pub(super) fn into_store_error(self, address: &str) -> StoreError {
        match self {
            Self::Redis(error) => StoreError::from_redis(&error, address),
            Self::Store(error) => error,
        }
    }
}

impl From<RedisError> for RequestError {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<StoreError> for RequestError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn converted(reply: &str) -> StoreError {
        let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
        StoreError::from_redis(&value.extract_error().unwrap_err(), "redis:6379")
    }

    #[test]
    fn a_command_denied_in_a_script_is_named_without_the_script() {
        for said in [
            "The user executing the script can't run this command or subcommand",
            "ACL failure in script: User operator has no permissions to run the 'set' command",
            "ACL failure in script: No permissions to access a key",
        ] {
            let place = "script: ff967d0ae0e68b4f9e360fa91c54598bc25ad9b6, on @user_script:1.";
            let detail = format!("ERR {said}");
            assert_eq!(converted(&format!("-ERR {said} {place}\r\n")), StoreError::NoPermission { detail });
        }
    }
}
