//! The tenant's own keys, changed by an external client.

use test_support::{World, tenant};

use super::{ONE, TWO, published_before};

#[tokio::test]
async fn a_redirected_mapping_is_repaired() {
    let world = World::new().await;
    published_before(&world, "legacy", &[TWO]).await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.apply(&tenant("beta").dids(["+15550000004"])).await;
    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    world.exempt([ONE]);

    for elsewhere in ["legacy", "no-tenant", "beta", ""] {
        world.set_key(&format!("tenantmap:did:{ONE}"), elsewhere).await;
        world.wait_live(ONE, Some("acme")).await;
    }
    world.delete_key(&format!("tenantmap:did:{ONE}")).await;
    world.wait_live(ONE, Some("acme")).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_changed_or_deleted_config_is_repaired() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE])).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    world.exempt([ONE]);
    let repaired = || async {
        let now = world.config_text("acme").await;
        if now == config { Ok(()) } else { Err(format!("it is {now:?}")) }
    };

    world.set_key("tenantcfg:acme", "{}").await;
    world.wait("the config is repaired", repaired).await;
    world.delete_key("tenantcfg:acme").await;
    world.wait("the config is restored", repaired).await;
    // The same with a key of another type.
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
    world.wait("the config is repaired", repaired).await;
    world.finish().await;
}

#[tokio::test]
async fn external_changes_made_while_no_operator_ran_are_repaired_at_start() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE, TWO])).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;
    operator.kill().await.unwrap();
    world.exempt([ONE, TWO]);
    world.set_key(&format!("tenantmap:did:{ONE}"), "no-tenant").await;
    world.set_key("tenantcfg:acme", "{}").await;

    operator.restart().await.unwrap();

    world.wait_live(ONE, Some("acme")).await;
    assert_eq!(world.config_text("acme").await, config);
    world.resume_checks();
    world.finish().await;
}
