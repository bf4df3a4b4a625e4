//! T7: Redis loses its data, or gets data from long ago.

use local_cluster::RedisOptions;

use crate::full;
use crate::scene::{Scene, goes_on, once_a_key, written};

#[tokio::test]
async fn a_flush_costs_one_write_per_key_and_resource() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let mut journal = scene.world.journal().await;

        scene.world.redis_cli(&[flush]).await;

        scene.wait_true().await;
        once_a_key(&mut journal).await;
    }
    scene.assert_status_writes(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn swapped_databases_are_repaired_each_time() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.world.redis_cli(&["SWAPDB", "0", "1"]).await;
    scene.wait_true().await;
    scene.assert_status_writes(1, statuses).await;
    let given_up = scene.edit().await;
    scene.wait_true().await;
    let current = scene.edit().await;
    if full() {
        // Its keys come back with the old data, and wait for the orphan sweep, which has a grace period of a minute.
        scene.world.delete("t2").await;
        scene.world.wait_deleted("t2").await;
    }
    scene.wait_true().await;

    // The data from before, with its records and its epoch.
    scene.world.redis_cli(&["SWAPDB", "0", "1"]).await;

    scene.world.wait_live(&current, Some("t0")).await;
    assert_eq!(scene.world.live(&given_up).await, None);
    scene.wait_true().await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn an_empty_redis_is_refilled_with_one_write_per_resource() {
    let scene = Scene::with(RedisOptions::default().in_memory()).await;
    let statuses = scene.status_writes().await;
    for _ in 0..2 {
        scene.world.redis().restart().await.unwrap();

        scene.wait_true().await;
    }
    scene.assert_status_writes(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn edits_during_repeated_data_loss_end_as_the_last_edit() {
    let scene = Scene::new().await;
    let mut journal = scene.world.journal().await;
    for _ in 0..10 {
        scene.edit().await;
        scene.world.redis_cli(&["FLUSHALL"]).await;
    }
    scene.wait_true().await;
    let most = written(&mut journal).await.into_values().max().unwrap();
    // Each loss costs one write per key, and each edit one more of the config of t0.
    assert!(most <= 20, "a key was written {most} times");
    goes_on(&scene).await;
    scene.finish().await;
}
