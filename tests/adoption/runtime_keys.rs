//! The runtime's own keys in the same Redis.

use local_cluster::RedisOptions;
use test_support::{World, tenant};

use super::{ONE, TWO, published_before, take_over};

/// ACL rules for exactly the operator's keys, without the right to search for keys.
const RULES: &str =
    ">pass ~tenantmap:did:* ~tenantcfg:* ~runtime-operator:* &* +@all -keys -scan -flushall -flushdb";

const THEIRS: [&str; 5] = [
    "cap:acme:concurrency",
    "cap:global",
    "tenantmap:tenant:acme:cap:concurrency",
    "tenantmap:tenant:acme:cap:rpm",
    "tenantmap:tenant:legacy:cap:rpm",
];

#[tokio::test]
async fn keys_of_the_runtime_are_never_read_or_written() {
    let world = World::with_redis(RedisOptions::default().user("operator", RULES)).await;
    for key in THEIRS {
        world.set_key(key, "7").await;
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

    for key in THEIRS {
        assert_eq!(world.key(key).await.as_deref(), Some("7"), "{key}");
    }
    let writes = journal.writes().await;
    assert!(!writes.iter().any(|(key, _)| THEIRS.contains(&&**key)), "{writes:?}");
    assert!(!operator.logs().contains("NOPERM"), "it has used more than its own keys");
    world.finish().await;
}
