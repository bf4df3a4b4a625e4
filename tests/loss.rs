//! Whatever is lost in Redis comes back by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use support::{World, tenant};

#[tokio::test]
async fn all_tenants_are_back_after_a_flush_and_the_writer_settles() {
    const TENANTS: usize = 30;
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    let did = |n: usize| format!("+1555010{n:04}");
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("tenant-{n}")).dids([did(n).as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    // A flush is an outage that no operator can prevent: the reader looks away while it lasts.
    world.exempt_all();
    let numbers = |logs: &str| logs.matches("leads epoch=").count();
    let before = numbers(&operator.logs());

    let mut redis = world.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();

    for n in 0..TENANTS {
        world.wait_live(&did(n), Some(&format!("tenant-{n}"))).await;
    }
    world.heed_all();
    // Each number that is taken has everything read again; a writer that refuses its own writes would take one after
    // another for ever.
    let taken = numbers(&operator.logs()) - before;
    assert!((1..=3).contains(&taken), "{taken} numbers were taken after the flush");
    world.finish().await;
}
