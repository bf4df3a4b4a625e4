//! The state of the server.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::connection::{info_field, is_primary};

/// The state of the server, by `INFO`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct ServerFacts {
    /// `Redis` or `Valkey`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// True for a primary.
    pub primary: bool,
    /// True in cluster mode.
    pub cluster_mode: bool,
    /// The policy that says what is evicted when memory runs out.
    pub maxmemory_policy: Option<String>,
    /// The most memory that it may use, in bytes; 0: no limit.
    pub maxmemory: u64,
    /// The memory that it uses, in bytes.
    pub used_memory: u64,
    /// True if an append-only file is written.
    pub aof: bool,
    /// True if the last write of an append-only file or a snapshot failed.
    pub persistence_fails: bool,
    /// The seconds since it started.
    pub uptime_seconds: u64,
    /// The number of connected replicas.
    pub replicas: u64,
    /// The number of keys of each database.
    pub keyspace: Vec<Keyspace>,
    /// The time of a `PING`, in milliseconds.
    pub latency_ms: f64,
}

/// A database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keyspace {
    /// Its index.
    pub database: u32,
    /// The number of its keys.
    pub keys: u64,
}

/// The result of a rehearsal of a publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RehearsalFacts {
    /// True if Redis ran every command that a publish needs.
    pub succeeds: bool,
    /// The reason of the failure.
    pub reason: Option<String>,
    /// The failure in words.
    pub message: Option<String>,
    /// The optional commands that Redis denies, and what is left out for that.
    pub denied: Option<String>,
}

impl ServerFacts {
    /// Reads the reply to `INFO`.
    pub(super) fn of(info: &str, latency: Duration) -> Self {
        let text = |name: &str| info_field(info, name).map(str::to_owned);
        let count =
            |name: &str| info_field(info, name).and_then(|text| text.parse().ok()).unwrap_or_default();
        let is_ok = |name: &str| info_field(info, name).is_none_or(|text| text == "ok");
        let valkey = text("valkey_version");
        Self {
            product: if valkey.is_some() { "Valkey" } else { "Redis" }.to_owned(),
            version: valkey.or_else(|| text("redis_version")).unwrap_or_default(),
            primary: is_primary(info),
            cluster_mode: info_field(info, "cluster_enabled") == Some("1"),
            maxmemory_policy: text("maxmemory_policy"),
            maxmemory: count("maxmemory"),
            used_memory: count("used_memory"),
            aof: info_field(info, "aof_enabled") == Some("1"),
            persistence_fails: !is_ok("rdb_last_bgsave_status") || !is_ok("aof_last_write_status"),
            uptime_seconds: count("uptime_in_seconds"),
            replicas: count("connected_slaves"),
            keyspace: info.lines().filter_map(keyspace).collect(),
            latency_ms: (latency.as_secs_f64() * 10_000.0).round() / 10.0,
        }
    }
}

/// Reads `db0:keys=3,expires=0,avg_ttl=0`.
fn keyspace(line: &str) -> Option<Keyspace> {
    let (database, counts) = line.strip_prefix("db")?.split_once(":keys=")?;
    let keys = counts.split(',').next()?.trim().parse().ok()?;
    Some(Keyspace { database: database.parse().ok()?, keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_to_info_is_read() {
        let info = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nuptime_in_seconds:9\r\n# Replication\r\nrole:master\r\n\
                    maxmemory:1024\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\nrdb_last_bgsave_status:err\r\n\
                    cluster_enabled:0\r\ndb0:keys=12,expires=0,avg_ttl=0\r\ndb3:keys=1,expires=0\r\n";
        let facts = ServerFacts::of(info, Duration::from_micros(312));
        assert_eq!((facts.product.as_str(), facts.version.as_str()), ("Valkey", "8.0.1"));
        assert!(facts.primary && facts.aof && facts.persistence_fails && !facts.cluster_mode);
        assert_eq!((facts.maxmemory, facts.latency_ms), (1024, 0.3));
        assert_eq!(facts.keyspace, [Keyspace { database: 0, keys: 12 }, Keyspace { database: 3, keys: 1 }]);
    }
}
