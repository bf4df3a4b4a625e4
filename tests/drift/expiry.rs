//! Expiries that another client sets on managed keys.

use test_support::{World, tenant};

use super::{CONFIG, DID, MAPPING, break_and_wait, live_acme};

#[tokio::test]
async fn an_expiry_is_removed_within_moments() {
    let (world, _operator) = live_acme().await;
    let ways = ["EXPIRE", "PEXPIRE"].map(|way| [MAPPING, CONFIG].map(|key| format!("{way} {key} 3600000")));
    break_and_wait(&world, &ways.as_flattened().iter().map(String::as_str).collect::<Vec<_>>()).await;
    world.wait_event("acme", "Repaired").await;
    world.finish().await;
}

#[tokio::test]
async fn expiries_set_while_no_operator_ran_are_removed_at_its_start() {
    let (world, operator) = live_acme().await;
    operator.stop().await.unwrap();
    let keys =
        [MAPPING, CONFIG, "runtime-operator:tenant:acme", "runtime-operator:dids", "runtime-operator:epochs"];
    for key in keys {
        world.redis_cli(&["EXPIRE", key, "3600"]).await;
    }

    world.operator().start().await;

    for key in keys {
        world
            .wait(&format!("{key} has no expiry"), || async {
                let left: i64 =
                    redis::cmd("PTTL").arg(key).query_async(&mut world.connection().await).await.unwrap();
                if left == -1 { Ok(()) } else { Err(format!("{left} ms")) }
            })
            .await;
    }
    world.finish().await;
}

#[tokio::test]
async fn the_keys_of_an_older_publisher_expire_no_more_once_adopted() {
    let world = World::new().await;
    let old = serde_json::json!({
        "contractVersion": "v1", "tenantId": "acme", "dids": [DID], "webhookSecret": "whsec-of-acme", "audio": {},
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 1 }, "tts": { "mode": "kokoro_http", "kokoroUrl": "http://old/" },
    });
    let old = old.to_string();
    for (key, value) in [(CONFIG, &*old), (MAPPING, "acme")] {
        world.set_key(key, value).await;
        world.redis_cli(&["EXPIRE", key, "3600"]).await;
    }
    world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    for key in [CONFIG, MAPPING] {
        let left: i64 = redis::cmd("PTTL").arg(key).query_async(&mut world.connection().await).await.unwrap();
        assert_eq!(left, -1, "{key}");
    }
    world.finish().await;
}
