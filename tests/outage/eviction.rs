//! A Redis that evicts keys when it is full: it is reported before it happens, and evicted keys are restored.

use local_cluster::RedisOptions;
use test_support::{World, tenant};

use super::DID;

const EVICTS: &str = "runtime_operator_redis_evicts";

#[tokio::test]
async fn a_policy_that_evicts_is_reported_on_the_probe_the_log_and_the_metric() {
    let options = RedisOptions::default().max_memory("200mb").set("maxmemory-policy", "allkeys-lru");
    let world = World::with_redis(options).await;
    let operator = world.operator().start().await;
    let warning = "Redis evicts keys that calls need when it is full (maxmemory-policy allkeys-lru)";
    let probe_says = async |is: bool| {
        world
            .wait(&format!("/readyz warns: {is}"), || async {
                match operator.probe("readyz").await {
                    Some((200, text)) if text.contains(&format!("ok\nwarning: {warning}")) == is => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            })
            .await;
    };
    probe_says(true).await;
    assert!(operator.metric(EVICTS).await > 0.5);
    assert!(operator.metric("runtime_operator_redis_memory_limit_bytes").await > 200e6);
    assert_eq!(operator.logs().matches(warning).count(), 1, "{}", operator.logs());

    for harmless in ["volatile-lru", "noeviction"] {
        world.redis_cli(&["CONFIG", "SET", "maxmemory-policy", harmless]).await;
        probe_says(false).await;
        assert!(operator.metric(EVICTS).await < 0.5);
        world.redis_cli(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).await;
        probe_says(true).await;
    }
    world.finish().await;
}

/// Returns a number of `INFO`.
async fn info(world: &World, section: &str, field: &str) -> u64 {
    let mut connection = world.connection().await;
    let info: redis::InfoDict = redis::cmd("INFO").arg(section).query_async(&mut connection).await.unwrap();
    info.get(field).unwrap()
}

#[tokio::test]
async fn evicted_keys_are_restored_and_cost_no_epoch_each() {
    const TENANTS: u16 = 40;
    let world = World::with_redis(RedisOptions::default().set("maxmemory-policy", "allkeys-lru")).await;
    let operator = world.operator().start().await;
    let did = |n: u16| format!("+1555010{n:04}");
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("t{n}")).dids([did(n).as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("t{n}")).await;
    }
    let epoch = operator.metric("runtime_operator_epoch").await;
    world.exempt_all();

    // A little too small, and another client that writes without end.
    let used = info(&world, "memory", "used_memory").await;
    world.redis_cli(&["CONFIG", "SET", "maxmemory", &(used + 2_000_000).to_string()]).await;
    let mut filler = world.connection().await;
    let mut n = 0_u64;
    while info(&world, "stats", "evicted_keys").await < 4000 {
        assert!(n < 1_000_000, "Redis evicts nothing");
        let mut pipe = redis::pipe();
        for _ in 0..50 {
            n += 1;
            pipe.cmd("SET").arg(format!("filler:{n}")).arg("x".repeat(500)).ignore();
        }
        let _ = pipe.exec_async(&mut filler).await;
    }
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    for n in 0..TENANTS {
        let (world, name) = (&world, format!("t{n}"));
        world.wait_live(&did(n), Some(&name)).await;
        world
            .wait(&format!("{name} has its config"), || async {
                world.config(&name).await.map(drop).ok_or_else(|| "not there".to_owned())
            })
            .await;
    }
    world.resume_checks();
    world.wait_operator_ready(&operator).await;
    world.apply(&tenant("new").dids([DID])).await;
    world.wait_ready("new").await;
    let epochs = operator.metric("runtime_operator_epoch").await - epoch;
    assert!(epochs <= 8.0, "{epochs} epochs");
    world.finish().await;
}
