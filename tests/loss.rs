//! Everything that is lost in Redis is restored automatically.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use futures::future::join_all;
use test_support::{Operator, Permissions, World, tenant};

/// More Secrets than are read one by one.
const MANY: u16 = 24;

fn did(n: u16) -> String {
    format!("+1555010{n:04}")
}

/// Publishes many tenants with an operator, and stops it.
async fn many_live(world: &World) {
    let operator = world.operator().start().await;
    let apply = async |n: u16| world.apply(&tenant(&format!("tenant-{n}")).dids([did(n).as_str()])).await;
    join_all((0..MANY).map(apply)).await;
    for n in 0..MANY {
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    operator.stop().await.unwrap();
}

/// Starts an operator that may list Secrets, and may get none by name.
async fn start_without_get(world: &World) -> Operator {
    let (namespace, subject) = (world.namespace(), test_support::user("lists"));
    Permissions { namespace, subject, secrets: "list, watch", leases: None }.grant(world).await;
    let kubeconfig = world.cluster().user_kubeconfig("lists", None).unwrap();
    let operator = world.operator().kubeconfig(kubeconfig).start().await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", f64::from(MANY)).await;
    operator
}

/// Flushes Redis, an outage that no operator can prevent: the reader ignores violations until it is over.
async fn flush(world: &World) {
    world.exempt_all();
    let mut redis = world.connection().await;
    redis::cmd("FLUSHALL").exec_async(&mut redis).await.unwrap();
}

#[tokio::test]
async fn a_flush_restores_all_tenants_and_then_the_writer_is_idle() {
    const TENANTS: u16 = 30;
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("tenant-{n}")).dids([did(n).as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    let epochs = |logs: &str| logs.matches("became leader").count();
    let before = epochs(&operator.logs());

    flush(&world).await;

    for n in 0..TENANTS {
        world.wait_live(&did(n), Some(&format!("tenant-{n}"))).await;
    }
    world.resume_checks();
    // Each new epoch causes a full resync; a writer that rejected its own writes would acquire epoch after epoch for ever.
    let taken = epochs(&operator.logs()) - before;
    assert!((1..=3).contains(&taken), "{taken} epochs were acquired after the flush");
    world.finish().await;
}

#[tokio::test]
async fn a_flush_lists_secrets_and_reads_none_singly() {
    let world = World::new().await;
    many_live(&world).await;
    let operator = start_without_get(&world).await;

    flush(&world).await;

    for n in 0..MANY {
        world.wait_live(&did(n), Some(&format!("tenant-{n}"))).await;
        let config = world.config(&format!("tenant-{n}")).await.unwrap();
        assert_eq!(config["webhookSecret"], format!("whsec-of-tenant-{n}"));
    }
    // A publish that is rejected because the epoch was lost too may be retried with a single read.
    let reads = operator.logs().matches("reading Secret").count();
    assert!(reads < usize::from(MANY) / 4, "{reads} reads: {}", operator.logs());
    world.resume_checks();
    world.finish().await;
}

#[tokio::test]
async fn few_reads_in_a_large_namespace_list_no_secrets() {
    let world = World::new().await;
    many_live(&world).await;
    let unrelated = async |n: u16| world.apply_secret(&format!("unrelated-{n}"), "unrelated").await;
    join_all((0..2 * MANY).map(unrelated)).await;
    let _operator = start_without_get(&world).await;

    flush(&world).await;

    // With a list they would be published; each one is read by name, which is forbidden here.
    for n in 0..MANY {
        world.wait_condition(&format!("tenant-{n}"), "Ready", "Unknown", "SecretUnreadable").await;
        assert_eq!(world.live(&did(n)).await, None);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_secret_rotated_during_a_list_is_published_in_its_newest_version() {
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
            .wait(&format!("{name} is published with the Secret's newest version"), || async {
                let config = world.config(&name).await.unwrap_or_default();
                if config["webhookSecret"] == "rotated" { Ok(()) } else { Err(config.to_string()) }
            })
            .await;
    }
    world.resume_checks();
    world.finish().await;
}
