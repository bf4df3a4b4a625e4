//! The keys of the runtime and of the control plane in the same Redis.

use local_cluster::RedisOptions;
use test_support::{World, tenant};

use super::{ONE, TWO, published_before, take_over};

/// ACL rules for exactly the operator's keys, without the right to search for keys.
const RULES: &str =
    ">pass ~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* &* +@all -keys -scan -flushall -flushdb";

/// One key of each kind that the two programs use beside the contract's.
const THEIRS: [&str; 20] = [
    "cap:acme:concurrency",
    "cap:global",
    "cap:global:active",
    "cap:tenant:acme",
    "cap:tenant:acme:active",
    "cap:tenant:acme:rpm:202601010000",
    "cap:tenant_min:acme",
    "cap:usage:acme:day:20260101:calls",
    "cap:usage:acme:ended:v3-call",
    "cap:usage:acme:month:2026-01:minutes",
    "ratelimit:admin:127.0.0.1",
    "runtime:healthcheck",
    "telnyxreplay:evt:00ff",
    "telnyxreplay:sig:00ff",
    "tenantmap:tenant:acme:cap:concurrency",
    "tenantmap:tenant:acme:cap:rpm",
    "tenantmap:tenant:legacy:cap:rpm",
    "ttscache:00ff",
    "veralux:tts_preview:v1:0",
    "veralux:workflow:jobs",
];
/// The time to live of half of them, which stays as it is.
const TTL: &str = "100000";

#[tokio::test]
async fn keys_of_the_runtime_are_never_read_or_written() {
    let world = World::with_redis(RedisOptions::default().user("operator", RULES)).await;
    for (n, key) in THEIRS.into_iter().enumerate() {
        world.set_key(key, "7").await;
        if n % 2 == 0 {
            world.redis_cli(&["EXPIRE", key, TTL]).await;
        }
    }
    published_before(&world, "acme", &[ONE]).await;
    published_before(&world, "legacy", &[TWO]).await;
    let url = world.redis().bare_url().replacen("redis://", "redis://operator:pass@", 1);
    let operator = world.operator().env("REDIS_URL", url).start().await;
    let mut journal = world.journal().await;

    // Adopted, taken over, edited, repaired, deleted: with permissions on its own keys only.
    world.apply(&tenant("acme").dids([ONE, TWO])).await;
    world.wait_condition("acme", "Ready", "False", "NumberInUse").await;
    take_over(&world, world.namespace(), "acme").await;
    world.wait_ready("acme").await;
    world.set_dids("acme", [TWO]).await;
    world.wait_ready("acme").await;
    world.exempt([TWO]);
    world.delete_key(&format!("tenantmap:did:{TWO}")).await;
    world.wait_live(TWO, Some("acme")).await;
    operator.restart().await.unwrap();
    world.delete("acme").await;
    world.wait_deleted("acme").await;

    for (n, key) in THEIRS.into_iter().enumerate() {
        assert_eq!(world.key(key).await.as_deref(), Some("7"), "{key}");
        let left: i64 = redis::cmd("TTL").arg(key).query_async(&mut world.connection().await).await.unwrap();
        assert_eq!(left > 0, n % 2 == 0, "{key}: {left} s");
    }
    let writes = journal.writes().await;
    assert!(!writes.iter().any(|(key, _)| THEIRS.contains(&&**key)), "{writes:?}");
    assert!(!operator.logs().contains("NOPERM"), "it has used more than its own keys");
    let denied = world.redis_cli(&["ACL", "LOG"]).await;
    assert_eq!(denied, redis::Value::Array(Vec::new()), "it has used more than its own keys");
    world.finish().await;
}
