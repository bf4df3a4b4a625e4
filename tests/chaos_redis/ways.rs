//! T7: the way to Redis is cut, half-open on one side or the other, slow, or tears what it carries.

use std::time::Duration;

use local_cluster::{Toxic, Way};

use crate::scene::{DIDS, Scene, goes_on};

const IN_TIME: &str = "Redis did not answer in time";

#[tokio::test]
async fn an_edit_while_the_way_to_redis_is_cut_is_published_once_it_is_whole() {
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
async fn an_edit_while_requests_answers_or_both_are_lost_on_open_connections_is_written_once() {
    tokio::join!(silent(&[Way::There]), silent(&[Way::Back]), silent(&[Way::There, Way::Back]));
}

/// The connection stays open, and what is sent these ways is lost.
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
async fn what_somebody_breaks_while_the_way_to_redis_is_cut_is_repaired_once_it_is_whole() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.way.cut().await.unwrap();
    scene.world.wait_not_ready(&scene.operator, "Redis can't be reached").await;
    scene.world.exempt([DIDS[1]]);
    scene.world.delete_key("tenantcfg:t1").await;
    scene.world.delete_key(&format!("tenantmap:did:{}", DIDS[2])).await;

    scene.way.heal().await.unwrap();

    scene.wait_true().await;
    scene.world.heed_all();
    scene.told_of_losses(1, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn answers_that_take_two_seconds_are_waited_for() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.way.add(Toxic::Latency(Duration::from_secs(2)), Way::Back).await.unwrap();

    // Not only when it is over: a slow Redis is one that is written to.
    scene.edit().await;
    scene.wait_true().await;
    scene.world.redis_cli(&["FLUSHALL"]).await;
    scene.wait_true().await;

    scene.way.heal().await.unwrap();
    scene.told_of_losses(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn what_arrives_in_pieces_or_breaks_off_in_the_middle_is_published_all_the_same() {
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
