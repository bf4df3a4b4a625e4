//! The state of Redis that needs a person although everything works: its memory, and what its Sentinels say.

/// The state of Redis that keeps nothing from working.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisReport {
    /// The memory of Redis.
    pub memory: Memory,
    /// The reason why the Sentinels can't be followed, if they can't.
    pub sentinels: Option<String>,
}

/// The memory of Redis, and what happens when it is full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes in use.
    pub used: u64,
    /// `maxmemory` in bytes; 0: no limit.
    pub limit: u64,
    /// `maxmemory-policy`.
    pub policy: String,
    /// Keys that were evicted since Redis started.
    pub evicted: u64,
}

impl Memory {
    /// Decodes the replies to `INFO memory` and `INFO stats`, together in one text.
    pub(super) fn decode(info: &str) -> Self {
        let field = |name| super::info::field(info, name);
        let count = |name| field(name).and_then(|text| text.parse().ok()).unwrap_or_default();
        Self {
            used: count("used_memory"),
            limit: count("maxmemory"),
            policy: field("maxmemory_policy").unwrap_or_default(),
            evicted: count("evicted_keys"),
        }
    }

    /// Returns `true` if Redis removes keys of the contract, and the operator's own, when it is full. Other policies evict
    /// only keys with an expiry, which these keys don't have.
    #[must_use]
    pub fn evicts(&self) -> bool {
        self.limit > 0 && self.policy.starts_with("allkeys-")
    }
}

impl RedisReport {
    /// Returns a sentence for each thing that a person should change.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.memory.evicts() {
            warnings.push(format!(
                "Redis evicts keys that calls need when it is full (maxmemory-policy {}): set maxmemory-policy to \
                 noeviction or to one of volatile-*",
                self.memory.policy
            ));
        }
        warnings.extend(self.sentinels.clone());
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_limit_with_a_policy_for_all_keys_evicts() {
        for (limit, policy, evicts) in [
            (1, "allkeys-lru", true),
            (1, "allkeys-random", true),
            (1, "volatile-ttl", false),
            (1, "noeviction", false),
            (0, "allkeys-lru", false),
        ] {
            let info = format!(
                "# Memory\r\nused_memory:7\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\nevicted_keys:3\r\n"
            );
            let memory = Memory::decode(&info);
            assert_eq!((memory.evicts(), memory.used, memory.evicted), (evicts, 7, 3), "{info}");
        }
        assert_eq!(Memory::decode(""), Memory::default(), "a managed Redis may hide its memory");
    }
}
