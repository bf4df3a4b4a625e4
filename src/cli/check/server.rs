//! The checks of Redis, from the answer of a question.

use super::document::OneCheck;
use crate::cli::trace::of_redis;
use crate::domain::reason::Reason;
use crate::store::Facts;

/// The page with hints.
const PAGE: &str = "docs/redis.md";
/// The page about permissions.
const PERMISSIONS: &str = "docs/security.md";
/// The oldest version of Redis, major and minor.
const OLDEST: (u32, u32) = (7, 0);

/// Checks an answer; the error says why there is none.
#[must_use]
pub fn checks(answer: &Result<Facts, String>) -> Vec<OneCheck> {
    let facts = match answer {
        Ok(facts) => facts,
        Err(why) => return vec![OneCheck::unknown("Redis can be asked", PAGE, why)],
    };
    let mut checks = vec![OneCheck::fine(format!("Redis can be asked ({})", facts.address))];
    if let Some(server) = &facts.server {
        let version = format!("{} {} is a supported version", server.product, server.version);
        checks.push(OneCheck::that(
            is_supported(&server.version),
            &version,
            "docs/support.md",
            "Redis 7.0 to 8 and Valkey 8 are supported",
        ));
        checks.push(OneCheck::that(server.primary, "it is a primary", PAGE, of_redis(Reason::RedisReadOnly)));
        checks.push(OneCheck::that(
            !server.cluster_mode,
            "it is not in cluster mode",
            PAGE,
            of_redis(Reason::RedisClusterMode),
        ));
        let policy = server.maxmemory_policy.as_deref();
        checks.push(match policy {
            None => {
                OneCheck::unknown("maxmemory-policy evicts no key of a tenant", PAGE, "INFO does not say")
            }
            Some(policy) => OneCheck::rather(
                !policy.starts_with("allkeys-"),
                "maxmemory-policy evicts no key of a tenant",
                "docs/runbooks/RuntimeOperatorEvicting.md",
                &format!("it is {policy}: set noeviction, or a policy that begins with volatile-"),
            ),
        });
        checks.push(OneCheck::rather(
            server.aof,
            "it writes an append-only file",
            "docs/backup.md",
            "a crash loses what was written since the last snapshot; the operator publishes it again once it is back",
        ));
        checks.push(OneCheck::that(
            !server.persistence_fails,
            "its last write to disk succeeded",
            PAGE,
            of_redis(Reason::RedisRefusesWrites),
        ));
    }
    if let Some(rehearsal) = &facts.rehearsal {
        let why = rehearsal.message.as_deref().unwrap_or_default();
        checks.push(OneCheck::that(
            rehearsal.succeeds,
            "it runs every command that a publish needs",
            PERMISSIONS,
            why,
        ));
        let denied = rehearsal.denied.as_deref();
        checks.push(OneCheck::rather(
            denied.is_none(),
            "it denies no optional command",
            PERMISSIONS,
            denied.unwrap_or_default(),
        ));
    }
    checks
}

fn is_supported(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default()) >= OLDEST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::document::CheckResult;
    use crate::store::{RehearsalFacts, ServerFacts};

    fn server() -> ServerFacts {
        ServerFacts {
            product: "Redis".to_owned(),
            version: "7.2.4".to_owned(),
            primary: true,
            cluster_mode: false,
            maxmemory_policy: Some("noeviction".to_owned()),
            maxmemory: 0,
            used_memory: 1,
            aof: true,
            persistence_fails: false,
            uptime_seconds: 1,
            replicas: 0,
            keyspace: Vec::new(),
            latency_ms: 0.1,
        }
    }

    fn results(server: ServerFacts, succeeds: bool) -> Vec<CheckResult> {
        let message = (!succeeds).then(|| "Redis' ACL denies this user a command".to_owned());
        let rehearsal = RehearsalFacts { succeeds, reason: None, message, denied: None };
        let facts = Facts { server: Some(server), rehearsal: Some(rehearsal), ..Facts::default() };
        checks(&Ok(facts)).iter().map(|check| check.result).collect()
    }

    #[test]
    fn each_fault_of_redis_fails_its_check_and_no_other() {
        let errors = |results: &[CheckResult]| {
            results.iter().filter(|result| **result != CheckResult::Success).count()
        };
        assert_eq!(errors(&results(server(), true)), 0);
        for odd in [
            ServerFacts { version: "6.2.1".to_owned(), ..server() },
            ServerFacts { primary: false, ..server() },
            ServerFacts { cluster_mode: true, ..server() },
            ServerFacts { maxmemory_policy: Some("allkeys-lru".to_owned()), ..server() },
            ServerFacts { aof: false, ..server() },
            ServerFacts { persistence_fails: true, ..server() },
        ] {
            assert_eq!(errors(&results(odd.clone(), true)), 1, "{odd:?}");
        }
        assert_eq!(errors(&results(server(), false)), 1);
        assert!(checks(&Err("no way".to_owned()))[0].unknown);
    }
}
