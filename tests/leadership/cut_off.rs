//! The API server is away: what the records in Redis prove is repaired, and nothing else is written.

use test_support::{World, tenant};

#[tokio::test]
async fn while_the_api_server_is_away_only_mappings_and_expiries_of_known_records_are_repaired() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().leader_elect().start().await;
    world.wait_leading(&operator).await;
    world.apply(&tenant("acme").dids(["+15550100001", "+15550100002"])).await;
    world.apply(&tenant("edited").dids(["+15550100003"])).await;
    world.apply(&tenant("broken").dids(["+15550100004"])).await;
    world.apply(&tenant("paused").dids(["+15550100005"])).await;
    for name in ["acme", "edited", "broken", "paused"] {
        world.wait_ready(name).await;
    }
    world.patch("paused", serde_json::json!({ "spec": { "suspend": true } })).await;
    world.wait_event("paused", "Suspended").await;

    world.cluster().api_server().kill().await.unwrap();
    world.wait_not_ready(&operator, "the API server does not answer").await;
    world.exempt_all();
    world.redis_cli(&["HSET", "runtime-operator:tenant:edited", "generation", "7"]).await;
    world.delete_key("tenantmap:did:+15550100003").await;
    world.set_key("tenantcfg:broken", "{}").await;
    world.delete_key("tenantmap:did:+15550100004").await;
    world.delete_key("tenantmap:did:+15550100005").await;
    world.delete_key("tenantmap:did:+15550100001").await;
    world.set_key("tenantmap:did:+15550100002", "stranger").await;

    world.wait_live("+15550100001", Some("acme")).await;
    world.wait_live("+15550100002", Some("acme")).await;
    for did in ["+15550100003", "+15550100004", "+15550100005"] {
        assert_eq!(world.live(did).await, None, "{did}");
    }
    for key in ["tenantcfg:acme", "tenantmap:did:+15550100001"] {
        assert_eq!(world.redis_cli(&["EXPIRE", key, "3600"]).await, redis::Value::Int(1));
        world
            .wait(&format!("{key} has no expiry"), || async {
                let left = world.redis_cli(&["PTTL", key]).await;
                if left == redis::Value::Int(-1) { Ok(()) } else { Err(format!("{left:?} ms left")) }
            })
            .await;
    }
    assert_eq!(world.config_text("broken").await.as_deref(), Some("{}"));

    world.cluster().api_server().restart().await.unwrap();
    for (did, name) in [("+15550100003", "edited"), ("+15550100004", "broken")] {
        world.wait_live(did, Some(name)).await;
    }
    world.wait_leading(&operator).await;
    world.finish().await;
}

#[tokio::test]
async fn a_replica_that_starts_while_the_api_server_is_away_repairs_nothing_and_says_so() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().leader_elect().start().await;
    world.wait_leading(&operator).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    world.cluster().api_server().kill().await.unwrap();
    operator.kill().await.unwrap();
    operator.run_again().await.unwrap();
    world.wait_not_ready(&operator, "no replica can lead and nothing is repaired").await;
    world.exempt_all();
    world.delete_key("tenantmap:did:+15550100001").await;
    world.cluster().api_server().restart().await.unwrap();
    world.wait_live("+15550100001", Some("acme")).await;
    world.finish().await;
}
