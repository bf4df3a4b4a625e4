//! Changes without a notification are found by the audit.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::AsyncCommands;
use runtime_operator::controller::Intervals;
use test_support::{World, tenant};

use super::inside::{CLUSTER, Inside};

const TENANTS: usize = 5;

/// Returns the operator's records and indexes as text, without the epochs.
async fn records(world: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut connection = world.connection().await;
    for key in world.keys("runtime-operator:*").await {
        if key.starts_with("runtime-operator:epoch") || key == "runtime-operator:writers" {
            continue;
        }
        let text = if key.starts_with("runtime-operator:tenants:") {
            let mut members: Vec<String> = connection.smembers(&key).await.unwrap();
            members.sort();
            format!("{members:?}")
        } else {
            let fields: BTreeMap<String, String> = connection.hgetall(&key).await.unwrap();
            format!("{fields:?}")
        };
        all.insert(key, text);
    }
    all
}

#[tokio::test]
async fn the_audit_repairs_edited_and_removed_records() {
    let world = World::new().await;
    // A batch size that does not divide the count of tenants.
    let intervals = Intervals { audit: Duration::from_millis(300), batch_size: 2, ..Intervals::default() };
    let inside = Inside::start(&world, intervals).await;
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("t{n}")).dids([format!("+1555000000{n}").as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("t{n}")).await;
    }
    let before = records(&world).await;
    assert_eq!(before.len(), TENANTS + 2, "{before:?}");
    let index = format!("runtime-operator:tenants:{CLUSTER}");

    for harm in [
        &["HDEL", "runtime-operator:dids", "+15550000000"][..],
        &["HSET", "runtime-operator:tenant:t1", "sha1", "0"],
        &["HSET", "runtime-operator:tenant:t2", "dids", "+15550009999"],
        &["DEL", "runtime-operator:tenant:t3"],
        &["SREM", &index, "t4"],
        // Every tenant is compared, in whichever batch it is.
        &["DEL", &index, "runtime-operator:dids"],
    ] {
        // The audit may repair it before it can be read: the reply says that it did something.
        let reply = world.redis_cli(harm).await;
        assert_eq!(reply == redis::Value::Int(0), harm[0] == "HSET", "{harm:?} changed nothing: {reply:?}");
        world
            .wait(&format!("everything is restored after {harm:?}"), || async {
                let now = records(&world).await;
                if now == before { Ok(()) } else { Err(format!("{now:#?}")) }
            })
            .await;
    }
    assert!(inside.metric("runtime_operator_audits_total") >= 1.0);
    inside.stop().await;
    world.finish().await;
}
