//! What can go wrong with Redis, told apart by what a person has to do about it.

use std::path::PathBuf;

use redis::{ErrorKind, RedisError};

use crate::domain::Epoch;

/// What Redis' ACL must allow the operator's user.
pub const PERMISSIONS: &str = "~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* +hello +auth +ping +info +select \
    +client|setname +client|tracking +client|trackinginfo +script|load +evalsha +get +mget +set +del +incr +hget \
    +hmget +hvals +hset +hdel +sadd +srem +sismember +smembers";

/// Why Redis could not do what it was asked to. No text of it holds a password, a key's value or a URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke.
    #[error("Redis can't be reached at {address}: {cause}")]
    Unreachable {
        /// `host:port`, or the list of Sentinels.
        address: String,
        /// What the connection said.
        cause: String,
    },
    /// A connection or an answer took too long. A write may or may not have been done.
    #[error("Redis did not answer in time: it is overloaded, frozen or cut off")]
    TimedOut,
    /// A credential or certificate file can't be used.
    #[error("{} can't be used: {cause}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: String,
    },
    /// User or password are wrong or missing.
    #[error("Redis refuses the user or password: check the credential files or the URL against Redis' ACL")]
    WrongPassword,
    /// The user may not run a command or touch a key.
    #[error("Redis' ACL does not allow this user what is needed (NOPERM): {detail}. It needs {PERMISSIONS}")]
    NoPermission {
        /// What Redis said. It names the command or key, unless the script met it: then Redis keeps it for itself.
        detail: String,
    },
    /// A replica, or a primary that was demoted.
    #[error("Redis is a read-only replica: point the URL at the primary, or use Sentinel")]
    ReadOnly,
    /// `maxmemory` is reached and nothing can be evicted.
    #[error("Redis is out of memory: raise maxmemory or remove keys")]
    OutOfMemory,
    /// Redis refuses writes since it can't persist them, or since too few replicas follow.
    #[error("Redis refuses writes until its own trouble is repaired: {detail}")]
    Misconfigured {
        /// What Redis said.
        detail: String,
    },
    /// Redis reads its data set from disk.
    #[error("Redis is loading its data set from disk: it will answer when it has")]
    Loading,
    /// Redis Cluster, which the voice runtime can't read.
    #[error(
        "Redis is in cluster mode, where the voice runtime's single connection can't read every key: use a Redis \
         that is not (cluster-enabled no)"
    )]
    ClusterMode,
    /// No Sentinel knows the primary.
    #[error("no Sentinel names a primary for the service {service}: {cause}")]
    NoPrimary {
        /// The service's name.
        service: String,
        /// What each of them said.
        cause: String,
    },
    /// Another writer has taken over, or the counter was lost: nothing was written.
    #[error("the write was fenced off: it carries an epoch that is not the current one ({})",
        .current.map_or_else(|| "none: the counter was lost".to_owned(), |epoch| epoch.to_string()))]
    Fenced {
        /// The epoch that Redis holds now.
        current: Option<Epoch>,
    },
    /// Anything else.
    #[error("Redis answered what was not expected: {0}")]
    Unexpected(String),
}

impl StoreError {
    /// The error's name in conditions, events and metrics: one of a closed set.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "RedisUnreachable",
            Self::TimedOut => "RedisTimedOut",
            Self::File { .. } => "RedisFileUnusable",
            Self::WrongPassword => "RedisWrongPassword",
            Self::NoPermission { .. } => "RedisNoPermission",
            Self::ReadOnly => "RedisReadOnly",
            Self::OutOfMemory => "RedisOutOfMemory",
            Self::Misconfigured { .. } => "RedisRefusesWrites",
            Self::Loading => "RedisLoading",
            Self::ClusterMode => "RedisClusterMode",
            Self::NoPrimary { .. } => "RedisNoPrimary",
            Self::Fenced { .. } => "Fenced",
            Self::Unexpected(_) => "RedisUnexpected",
        }
    }

    /// Every [`reason`](Self::reason) there is.
    pub const REASONS: [&str; 13] = [
        "RedisUnreachable",
        "RedisTimedOut",
        "RedisFileUnusable",
        "RedisWrongPassword",
        "RedisNoPermission",
        "RedisReadOnly",
        "RedisOutOfMemory",
        "RedisRefusesWrites",
        "RedisLoading",
        "RedisClusterMode",
        "RedisNoPrimary",
        "Fenced",
        "RedisUnexpected",
    ];

    /// Whether the number that the write carried is of no more use: Redis refused it, or it may still come to the write
    /// after whatever is written next; what carries another number by then is safe from that.
    #[must_use]
    pub const fn invalidates_epoch(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::TimedOut)
    }

    /// Whether the connection on which this came is of no more use.
    pub(super) const fn is_fatal_to_connection(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::TimedOut
                | Self::ReadOnly
                | Self::WrongPassword
                | Self::ClusterMode
        )
    }

    /// Names what the client library reports. `address` is where the connection goes.
    pub(super) fn from_redis(error: &RedisError, address: &str) -> Self {
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
                Self::Unexpected("an answer that is not as Redis' protocol has it".to_owned())
            }
            // Inside a script, Redis 7.0 gives no code of its own (`src/script.c`, `scriptVerifyACL`).
            _ if error
                .detail()
                .is_some_and(|text| text.starts_with("The user executing the script can't")) =>
            {
                Self::NoPermission { detail: detail(error) }
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Unexpected(detail(error)),
            ErrorKind::RESP3NotSupported => Self::Unexpected("Redis is older than 6.0".to_owned()),
            _ => Self::Unreachable { address: address.to_owned(), cause: error.to_string() },
        }
    }

    /// The codes of Redis' own errors (redis 7.0, `src/server.c`, `createSharedObjects`).
    fn from_code(code: &str, error: &RedisError) -> Option<Self> {
        Some(match code {
            "WRONGPASS" | "NOAUTH" => Self::WrongPassword,
            "NOPERM" => Self::NoPermission { detail: detail(error) },
            "READONLY" | "MASTERDOWN" => Self::ReadOnly,
            "OOM" => Self::OutOfMemory,
            "MISCONF" | "NOREPLICAS" => Self::Misconfigured { detail: detail(error) },
            "LOADING" => Self::Loading,
            "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => Self::ClusterMode,
            // A script of somebody else runs for too long.
            "BUSY" => Self::TimedOut,
            _ => return None,
        })
    }
}

/// What Redis said, without what it may quote: an unknown (renamed) command is answered with its arguments.
fn detail(error: &RedisError) -> String {
    let text = error.detail().unwrap_or_default();
    let text = text.split_once(", with args beginning with").map_or(text, |(before, _)| before);
    let text = text.split_once(" script: ").map_or(text, |(before, _)| before);
    format!("{} {text}", error.code().unwrap_or("ERR")).trim_end().to_owned()
}
