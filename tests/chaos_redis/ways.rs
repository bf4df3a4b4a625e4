//! T7: connections to Redis are cut, half-open on one side or the other, slow, or tear the data.

use std::time::Duration;

use local_cluster::{Toxic, Way};

use crate::scene::{DIDS, Scene, goes_on};

const IN_TIME: &str = "Redis did not reply in time";

#[tokio::test]
async fn an_edit_during_a_network_partition_is_published_afterwards() {
    let scene = Scene::new().await;
    let way = &scene.way;
    scene
        .edit_while(
            "Redis can't be reached",
            async || way.cut().await.unwrap(),
            async || way.heal().await.unwrap(),
        )
        .await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn an_edit_during_packet_loss_is_written_once() {
    tokio::join!(silent(&[Way::There]), silent(&[Way::Back]), silent(&[Way::There, Way::Back]));
}

/// Keeps the connection open, and loses the data in these directions.
async fn silent(ways: &[Way]) {
    let scene = Scene::new().await;
    let silence = async || {
        for way in ways {
            scene.way.add(Toxic::Silence, *way).await.unwrap();
        }
    };
    scene.edit_while(IN_TIME, silence, async || scene.way.heal().await.unwrap()).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn external_changes_during_a_network_partition_are_repaired_afterwards() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.way.cut().await.unwrap();
    scene.world.wait_not_ready(&scene.operator, "Redis can't be reached").await;
    scene.world.exempt([DIDS[1]]);
    scene.world.delete_key("tenantcfg:t1").await;
    scene.world.delete_key(&format!("tenantmap:did:{}", DIDS[2])).await;

    scene.way.heal().await.unwrap();

    scene.wait_true().await;
    scene.world.resume_checks();
    scene.assert_status_writes(1, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn replies_that_take_two_seconds_are_awaited() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.way.add(Toxic::Latency(Duration::from_secs(2)), Way::Back).await.unwrap();

    // A slow Redis is written to while it is slow.
    scene.edit().await;
    scene.wait_true().await;
    scene.world.redis_cli(&["FLUSHALL"]).await;
    scene.wait_true().await;

    scene.way.heal().await.unwrap();
    scene.assert_status_writes(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn fragmented_and_truncated_packets_delay_and_lose_nothing() {
    let scene = Scene::new().await;
    for way in [Way::There, Way::Back] {
        scene.way.add(Toxic::Slices(20), way).await.unwrap();
        scene.edit().await;
        scene.wait_true().await;
        scene.way.heal().await.unwrap();
        for toxic in [Toxic::Limit(700), Toxic::Reset] {
            scene.way.add(toxic, way).await.unwrap();
            scene.edit().await;
            scene.world.wait_not_ready(&scene.operator, "Redis can't be reached").await;
            scene.way.heal().await.unwrap();
            scene.wait_true().await;
        }
    }
    goes_on(&scene).await;
    scene.finish().await;
}
