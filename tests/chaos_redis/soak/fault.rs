//! What can fail.

use std::fmt;
use std::time::Duration;

/// A fault that begins and ends. Those of a way, and of an operator, befall one of the two operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// FLUSHALL.
    Flush,
    /// SWAPDB, and back.
    SwapDb,
    /// The primary is killed and starts again with nothing.
    RestartEmpty,
    /// The replica is cut off, then the primary killed: what was acknowledged in between is lost.
    Failover,
    /// The primary answers nobody, for long enough that Sentinels look for another.
    FrozenRedis,
    /// Every write is refused: OOM.
    OutOfMemory,
    /// Every write is refused: NOREPLICAS.
    LacksReplicas,
    /// Somebody deletes the epoch.
    LostCounter,
    /// Somebody deletes and overwrites keys of the contract.
    ForeignWrites,
    /// SIGSTOP, for less than a Lease lasts.
    FrozenOperator,
    /// SIGSTOP, for longer.
    FrozenPastLease,
    /// SIGKILL.
    KilledOperator,
    /// SIGTERM.
    StoppedOperator,
    /// Something between an operator and what it talks to.
    Way(Between, Harm),
    /// SIGKILL to the first operator's API server.
    KilledApiServer,
    /// SIGSTOP to it.
    FrozenApiServer,
    /// SIGSTOP to what is behind both API servers.
    FrozenEtcd,
}

/// Which way.
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

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Harm {
    /// Connections end, and new ones are refused.
    Cut,
    /// Requests are lost; the connection stays.
    SilentThere,
    /// Answers are lost; the connection stays.
    SilentBack,
    /// Both are lost.
    Silent,
    /// Answers take this many hundred milliseconds longer.
    Slow(u8),
    /// Everything arrives in small pieces.
    Torn,
    /// Connections end in the middle of an answer.
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
    /// Those that are over and repaired within seconds, on a cluster that other tests use meanwhile.
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
            vec![Self::Flush, Self::SwapDb, Self::OutOfMemory, Self::LostCounter, Self::ForeignWrites];
        faults.extend([Self::FrozenOperator, Self::StoppedOperator]);
        faults.extend(ways.map(|(between, harm)| Self::Way(between, harm)));
        faults
    }

    /// All there are.
    pub fn all() -> Vec<Self> {
        let mut faults = Self::quick();
        let ways = [Between::Redis, Between::Sentinels, Between::Kubernetes, Between::Etcd];
        faults.extend(ways.into_iter().flat_map(|way| HARMS.map(|harm| Self::Way(way, harm))));
        faults.extend([Self::RestartEmpty, Self::Failover, Self::FrozenRedis, Self::LacksReplicas]);
        faults.extend([Self::FrozenPastLease, Self::KilledOperator]);
        faults.extend([Self::KilledApiServer, Self::FrozenApiServer, Self::FrozenEtcd]);
        faults.sort_unstable();
        faults.dedup();
        faults
    }

    /// How long it lasts at least, beyond what the seed draws.
    pub const fn least(self) -> Duration {
        match self {
            // A Lease lasts for 15 s.
            Self::FrozenPastLease => Duration::from_secs(17),
            _ => Duration::from_millis(200),
        }
    }

    /// Whether it brings back what was deleted meanwhile: the orphan sweep lets a minute pass before it acts.
    pub const fn brings_back(self) -> bool {
        matches!(self, Self::SwapDb | Self::Failover | Self::FrozenRedis)
    }

    /// Whether it needs Redis for itself: two of these at once make no sense.
    pub const fn is_of_redis(self) -> bool {
        matches!(self, Self::RestartEmpty | Self::Failover | Self::FrozenRedis | Self::SwapDb)
            || matches!(self, Self::LacksReplicas | Self::OutOfMemory)
    }

    /// Whether it needs an operator or a Kubernetes process for itself.
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
