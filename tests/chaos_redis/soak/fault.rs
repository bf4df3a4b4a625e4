//! The faults.

use std::fmt;
use std::time::Duration;

/// A fault that begins and ends. Those of a connection, and of an operator, concern one of the two operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// FLUSHALL.
    Flush,
    /// SWAPDB, and back.
    SwapDb,
    /// The primary is killed and restarts empty.
    RestartEmpty,
    /// The replica is disconnected, then the primary killed: writes that were acknowledged in between are lost.
    Failover,
    /// The primary hangs, for long enough that the Sentinels start a failover.
    FrozenRedis,
    /// Every write is rejected: OOM.
    OutOfMemory,
    /// Every write is rejected: NOREPLICAS.
    LacksReplicas,
    /// Another client deletes the epoch.
    LostCounter,
    /// Another client deletes and overwrites keys of the contract.
    ExternalWrites,
    /// SIGSTOP to an operator, for less than a Lease lasts.
    FrozenOperator,
    /// SIGSTOP to an operator, for longer.
    FrozenPastLease,
    /// SIGKILL to an operator.
    KilledOperator,
    /// SIGTERM to an operator.
    StoppedOperator,
    /// The NAT between an operator and Redis forgets its connections: neither side is notified.
    ForgottenConnections,
    /// One of an operator's Sentinels names the replica as the primary.
    LyingSentinel,
    /// Each of an operator's Sentinels names another primary.
    SentinelsDisagree,
    /// The memory is too small, and the policy evicts any key.
    EvictingRedis,
    /// Another database of the same Redis is flushed.
    FlushOfAnotherDatabase,
    /// A network fault between an operator and one of its servers.
    Way(Between, Harm),
    /// SIGKILL to the first operator's API server.
    KilledApiServer,
    /// SIGSTOP to the first operator's API server.
    FrozenApiServer,
    /// SIGSTOP to etcd, behind both API servers.
    FrozenEtcd,
}

/// The connection of a network fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Between {
    /// An operator and Redis, primary and replica alike.
    Redis,
    /// An operator and all Sentinels.
    Sentinels,
    /// An operator and its API server.
    Kubernetes,
    /// The second operator's API server and etcd.
    Etcd,
}

/// The harm of a network fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// Connections are closed, and new ones are refused.
    Cut,
    /// Requests are lost; the connection stays.
    SilentThere,
    /// Responses are lost; the connection stays.
    SilentBack,
    /// Both are lost.
    Silent,
    /// Responses are delayed by this many hundred milliseconds.
    Slow(u8),
    /// Everything arrives in small pieces.
    Torn,
    /// Connections close in the middle of a response.
    BrokenOff,
}

const HARMS: [Harm; 8] = [
    Harm::Cut,
    Harm::SilentThere,
    Harm::SilentBack,
    Harm::Silent,
    Harm::Slow(2),
    Harm::Slow(20),
    Harm::Torn,
    Harm::BrokenOff,
];

impl Fault {
    /// Returns the faults that are repaired within seconds, on a cluster that other tests use meanwhile.
    pub fn quick() -> Vec<Self> {
        let ways = [
            (Between::Redis, Harm::Cut),
            (Between::Redis, Harm::SilentBack),
            (Between::Redis, Harm::Slow(2)),
            (Between::Redis, Harm::BrokenOff),
            (Between::Sentinels, Harm::Cut),
            (Between::Kubernetes, Harm::Cut),
            (Between::Kubernetes, Harm::Slow(2)),
        ];
        let mut faults =
            vec![Self::Flush, Self::SwapDb, Self::OutOfMemory, Self::LostCounter, Self::ExternalWrites];
        faults.extend([Self::FrozenOperator, Self::StoppedOperator]);
        faults.extend([Self::ForgottenConnections, Self::LyingSentinel, Self::EvictingRedis]);
        faults.push(Self::FlushOfAnotherDatabase);
        faults.extend(ways.map(|(between, harm)| Self::Way(between, harm)));
        faults
    }

    /// Returns all faults.
    pub fn all() -> Vec<Self> {
        let mut faults = Self::quick();
        let ways = [Between::Redis, Between::Sentinels, Between::Kubernetes, Between::Etcd];
        faults.extend(ways.into_iter().flat_map(|way| HARMS.map(|harm| Self::Way(way, harm))));
        faults.extend([Self::RestartEmpty, Self::Failover, Self::FrozenRedis, Self::LacksReplicas]);
        faults.extend([Self::FrozenPastLease, Self::KilledOperator, Self::SentinelsDisagree]);
        faults.extend([Self::KilledApiServer, Self::FrozenApiServer, Self::FrozenEtcd]);
        faults.sort_unstable();
        faults.dedup();
        faults
    }

    /// Returns the minimum duration, in addition to the drawn one.
    pub const fn least(self) -> Duration {
        match self {
            // A Lease lasts for 15 s.
            Self::FrozenPastLease => Duration::from_secs(17),
            _ => Duration::from_millis(200),
        }
    }

    /// Returns true if it restores keys that were deleted meanwhile: the orphan sweep has a grace period of a minute.
    pub const fn brings_back(self) -> bool {
        matches!(self, Self::SwapDb | Self::Failover | Self::FrozenRedis)
    }

    /// Returns true if it needs Redis exclusively.
    pub const fn is_of_redis(self) -> bool {
        matches!(self, Self::RestartEmpty | Self::Failover | Self::FrozenRedis | Self::SwapDb)
            || matches!(self, Self::LacksReplicas | Self::OutOfMemory | Self::EvictingRedis)
    }

    /// Returns true if it needs an operator or a Kubernetes process exclusively.
    pub const fn is_of_a_process(self) -> bool {
        matches!(
            self,
            Self::FrozenOperator | Self::FrozenPastLease | Self::KilledOperator | Self::StoppedOperator
        ) || matches!(self, Self::KilledApiServer | Self::FrozenApiServer | Self::FrozenEtcd)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Way(between, harm) => f.pad(&format!("{between:?}{harm:?}")),
            other => f.pad(&format!("{other:?}")),
        }
    }
}
