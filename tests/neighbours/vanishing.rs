//! Resources that vanish while they are published leave nothing.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use test_support::{World, tenant};

use super::ONE;

/// Less than the grace period of the sweep, which would remove the keys as well.
const SOON: Duration = Duration::from_secs(40);
const ROUNDS: usize = 3;

async fn wait_no_keys(world: &World) {
    world
        .wait_within(SOON, "no keys are left", || async {
            let keys = world.keys("tenant*").await;
            if keys.is_empty() { Ok(()) } else { Err(format!("{keys:?}")) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_that_are_created_and_deleted_quickly_leave_no_keys() {
    let world = World::new().await;
    world.operator().start().await;
    for round in 0..ROUNDS {
        let create_and_delete = (0..20).map(|n| {
            let world = &world;
            async move {
                let name = format!("t{round}-{n}");
                let did = format!("+1555{round:03}{n:04}");
                world.apply(&tenant(&name).dids([did.as_str()])).await;
                // Each at another moment of its publish.
                tokio::time::sleep(Duration::from_millis(n)).await;
                world.delete(&name).await;
            }
        });
        join_all(create_and_delete).await;
        wait_no_keys(&world).await;
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_that_vanish_while_a_number_goes_over_leave_no_keys() {
    let world = World::new().await;
    world.operator().start().await;
    for round in 0..ROUNDS {
        let names: Vec<String> = (0..8).map(|n| format!("t{round}-{n}")).collect();
        for (n, name) in names.iter().enumerate() {
            let own = format!("+1555{round:03}9{n:03}");
            world.apply(&tenant(name).dids([own.as_str(), ONE])).await;
        }
        // The holder of the number gives it to the next one, which vanishes too.
        join_all(names.iter().map(|name| async {
            world.patch(name, json!({ "metadata": { "finalizers": null } })).await;
            world.delete(name).await;
        }))
        .await;
        wait_no_keys(&world).await;
    }
    world.finish().await;
}
