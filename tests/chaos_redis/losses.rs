//! T7: what Redis held is gone, or is what it was long ago.

use local_cluster::RedisOptions;

use crate::full;
use crate::scene::{Scene, goes_on, once_a_key, written};

#[tokio::test]
async fn after_a_flush_each_key_is_written_once_and_so_is_each_resource() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    for flush in ["FLUSHALL", "FLUSHDB"] {
        let mut journal = scene.world.journal().await;

        scene.world.redis_cli(&[flush]).await;

        scene.wait_true().await;
        once_a_key(&mut journal).await;
    }
    scene.told_of_losses(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn databases_that_are_swapped_and_swapped_back_are_made_equal_to_the_resources_each_time() {
    let scene = Scene::new().await;
    let statuses = scene.status_writes().await;
    scene.world.redis_cli(&["SWAPDB", "0", "1"]).await;
    scene.wait_true().await;
    scene.told_of_losses(1, statuses).await;
    let given_up = scene.edit().await;
    scene.wait_true().await;
    let current = scene.edit().await;
    if full() {
        // Its keys come back with the old data, and are left to the orphan sweep, which first lets a minute pass.
        scene.world.delete("t2").await;
        scene.world.wait_gone("t2").await;
    }
    scene.wait_true().await;

    // What was live before any of this, with its records and its counter.
    scene.world.redis_cli(&["SWAPDB", "0", "1"]).await;

    scene.world.wait_live(&current, Some("t0")).await;
    assert_eq!(scene.world.live(&given_up).await, None);
    scene.wait_true().await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_redis_that_restarts_empty_is_filled_and_each_resource_is_written_once() {
    let scene = Scene::with(RedisOptions::default().in_memory()).await;
    let statuses = scene.status_writes().await;
    for _ in 0..2 {
        scene.world.redis().restart().await.unwrap();

        scene.wait_true().await;
    }
    scene.told_of_losses(2, statuses).await;
    goes_on(&scene).await;
    scene.finish().await;
}

#[tokio::test]
async fn a_tenant_that_is_edited_while_everything_is_lost_again_and_again_ends_as_its_last_edit() {
    let scene = Scene::new().await;
    let mut journal = scene.world.journal().await;
    for _ in 0..10 {
        scene.edit().await;
        scene.world.redis_cli(&["FLUSHALL"]).await;
    }
    scene.wait_true().await;
    let most = written(&mut journal).await.into_values().max().unwrap();
    // Each loss costs a key one write, and each edit one more to the config of t0.
    assert!(most <= 20, "a key was written {most} times");
    goes_on(&scene).await;
    scene.finish().await;
}
