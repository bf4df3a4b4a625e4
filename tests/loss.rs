//! Whatever is lost in Redis comes back by itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use futures::future::join_all;
use support::{Operator, Rights, World, tenant};

/// More than are read one by one.
const MANY: u16 = 24;

fn did(n: u16) -> String {
    format!("+1555010{n:04}")
}

/// Many tenants that are live; the operator that made them so is gone.
async fn many_live(world: &World) {
    let operator = world.operator().start().await;
    let apply = async |n: u16| world.apply(&tenant(&format!("tenant-{n}")).dids([did(n).as_str()])).await;
    join_all((0..MANY).map(apply)).await;
    for n in 0..MANY {
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    operator.stop().await.unwrap();
}

/// An operator that can list Secrets, and can read none by its name.
async fn start_without_get(world: &World) -> Operator {
    let (namespace, subject) = (world.namespace(), support::user("lists"));
    Rights { namespace, subject, secrets: "list, watch", leases: None }.grant(world).await;
    let kubeconfig = world.cluster().user_kubeconfig("lists", None).unwrap();
    let operator = world.operator().kubeconfig(kubeconfig).start().await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", f64::from(MANY)).await;
    operator
}

/// A flush is an outage that no operator can prevent: the reader looks away while it lasts.
async fn flush(world: &World) {
    world.exempt_all();
    let mut redis = world.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
}

#[tokio::test]
async fn all_tenants_are_back_after_a_flush_and_the_writer_settles() {
    const TENANTS: u16 = 30;
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("tenant-{n}")).dids([did(n).as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    let numbers = |logs: &str| logs.matches("leads epoch=").count();
    let before = numbers(&operator.logs());

    flush(&world).await;

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

#[tokio::test]
async fn after_a_flush_secrets_are_listed_and_not_read_one_by_one() {
    let world = World::new().await;
    many_live(&world).await;
    let operator = start_without_get(&world).await;

    flush(&world).await;

    for n in 0..MANY {
        world.wait_live(&did(n), Some(&format!("tenant-{n}"))).await;
        let config = world.config(&format!("tenant-{n}")).await.unwrap();
        assert_eq!(config["webhookSecret"], format!("whsec-of-tenant-{n}"));
    }
    // One whose step is refused since its number was lost too may be tried again by itself.
    let reads = operator.logs().matches("a Secret is read by itself").count();
    assert!(reads < usize::from(MANY) / 4, "{reads} reads: {}", operator.logs());
    world.heed_all();
    world.finish().await;
}

#[tokio::test]
async fn a_namespace_full_of_the_secrets_of_others_is_not_listed_for_a_few() {
    let world = World::new().await;
    many_live(&world).await;
    let foreign = async |n: u16| world.apply_secret(&format!("foreign-{n}"), "of no concern").await;
    join_all((0..2 * MANY).map(foreign)).await;
    let _operator = start_without_get(&world).await;

    flush(&world).await;

    // It would be live by a list; each is read by itself, which is refused here.
    for n in 0..MANY {
        world.wait_condition(&format!("tenant-{n}"), "Ready", "False", "SecretUnreadable").await;
        assert_eq!(world.live(&did(n)).await, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_secret_that_is_rotated_while_all_are_listed_ends_up_live_in_its_newest_version() {
    let world = World::new().await;
    many_live(&world).await;
    let operator = world.operator().start().await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", f64::from(MANY)).await;
    let rotate = async |n: u16| world.apply_secret(&format!("tenant-{n}-webhook"), "rotated").await;

    flush(&world).await;
    join_all((0..MANY).map(rotate)).await;

    for n in 0..MANY {
        let (world, name) = (&world, format!("tenant-{n}"));
        world
            .wait(&format!("{name} is live with the Secret's newest version"), || async {
                let config = world.config(&name).await.unwrap_or_default();
                if config["webhookSecret"] == "rotated" { Ok(()) } else { Err(config.to_string()) }
            })
            .await;
    }
    world.heed_all();
    world.finish().await;
}
