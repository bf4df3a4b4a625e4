//! The runtime's own keys in the same Redis.

use local_cluster::RedisOptions;

use super::support::{World, tenant};
use super::{ONE, TWO, published_before, take_over};

/// What an operator may touch, and nothing else; it may not even look for keys.
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
async fn they_are_neither_read_nor_written_whatever_becomes_of_the_tenant() {
    let world = World::with_redis(RedisOptions::default().user("operator", RULES)).await;
    for key in THEIRS {
        world.set_key(key, "7").await;
    }
    published_before(&world, "acme", &[ONE]).await;
    published_before(&world, "legacy", &[TWO]).await;
    let url = world.redis().bare_url().replacen("redis://", "redis://operator:pass@", 1);
    let operator = world.operator().env("REDIS_URL", url).start().await;
    let mut journal = world.journal().await;

    // Adopted, taken over, edited, repaired, deleted: with rights to nothing but its own keys.
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
    world.wait_gone("acme").await;

    for key in THEIRS {
        assert_eq!(world.key(key).await.as_deref(), Some("7"), "{key}");
    }
    let writes = journal.writes().await;
    assert!(!writes.iter().any(|(key, _)| THEIRS.contains(&&**key)), "{writes:?}");
    assert!(!operator.logs().contains("NOPERM"), "it has asked for more than its keys");
    world.finish().await;
}
