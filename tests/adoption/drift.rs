//! Keys of ours that somebody changed from outside.

use super::support::{World, tenant};
use super::{ONE, TWO, published_before};

#[tokio::test]
async fn a_number_of_ours_that_points_elsewhere_is_set_right() {
    let world = World::new().await;
    published_before(&world, "legacy", &[TWO]).await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.apply(&tenant("beta").dids(["+15550000004"])).await;
    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    world.exempt([ONE]);

    for elsewhere in ["legacy", "nobody", "beta", ""] {
        world.set_key(&format!("tenantmap:did:{ONE}"), elsewhere).await;
        world.wait_live(ONE, Some("acme")).await;
    }
    world.delete_key(&format!("tenantmap:did:{ONE}")).await;
    world.wait_live(ONE, Some("acme")).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_config_of_ours_that_was_changed_or_deleted_is_set_right() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    world.exempt([ONE]);
    let right = || async {
        let now = world.config_text("acme").await;
        if now == config { Ok(()) } else { Err(format!("it is {now:?}")) }
    };

    world.set_key("tenantcfg:acme", "{}").await;
    world.wait("the config is set right", right).await;
    world.delete_key("tenantcfg:acme").await;
    world.wait("the config is back", right).await;
    // A key of another type, too.
    world.delete_key("tenantcfg:acme").await;
    let mut push = redis::cmd("LPUSH");
    push.arg("tenantcfg:acme").arg("x").exec_async(&mut world.connection().await).await.ok();
    let is_text = || async {
        let mut kind = redis::cmd("TYPE");
        let kind: String =
            kind.arg("tenantcfg:acme").query_async(&mut world.connection().await).await.unwrap();
        if kind == "string" { Ok(()) } else { Err(kind) }
    };
    world.wait("the config is text again", is_text).await;
    world.wait("the config is set right", right).await;
    world.finish().await;
}

#[tokio::test]
async fn what_was_changed_while_no_operator_ran_is_set_right_at_its_start() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE, TWO])).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    operator.kill().await.unwrap();
    world.exempt([ONE, TWO]);
    world.set_key(&format!("tenantmap:did:{ONE}"), "nobody").await;
    world.set_key("tenantcfg:acme", "{}").await;

    operator.restart().await.unwrap();

    world.wait_live(ONE, Some("acme")).await;
    assert_eq!(world.config_text("acme").await, config);
    world.heed_all();
    world.finish().await;
}
