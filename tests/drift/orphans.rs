//! Ownership records whose resource is gone: removed after a grace period, and never too many at once.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use runtime_operator::controller::Pace;
use serde_json::json;

use super::inside::Inside;
use super::support::{World, tenant};

const MANY: usize = 11;

fn did(n: usize) -> String {
    format!("+155500000{n:02}")
}

fn pace(grace: Duration) -> Pace {
    Pace { sweep: Duration::from_millis(100), grace, audit: Duration::from_millis(300), ..Pace::default() }
}

/// So many tenants that were live when the last controller stopped, and of which only the keys are left.
async fn leave_orphans(world: &World, count: usize) {
    let inside = Inside::start(world, pace(Duration::from_secs(60))).await;
    for n in 0..count {
        world.apply(&tenant(&format!("t{n}")).dids([did(n).as_str()])).await;
    }
    for n in 0..count {
        world.wait_ready(&format!("t{n}")).await;
    }
    inside.stop().await;
    for n in 0..count {
        let name = format!("t{n}");
        world.patch(&name, json!({ "metadata": { "finalizers": null } })).await;
        world.delete(&name).await;
        world.wait_gone(&name).await;
    }
}

async fn wait_records(world: &World, count: usize) {
    world
        .wait(&format!("{count} records are left"), || async {
            let keys = world.keys("runtime-operator:tenant:*").await;
            if keys.len() == count { Ok(()) } else { Err(format!("{keys:?}")) }
        })
        .await;
}

/// The events about the operator's own Lease.
async fn told(world: &World) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    let about = "involvedObject.kind=Lease,involvedObject.name=runtime-operator";
    events.list(&ListParams::default().fields(about)).await.unwrap().items
}

#[tokio::test]
async fn what_a_resource_that_is_gone_left_goes_after_the_grace_period_and_nothing_of_another_clusters() {
    let world = World::new().await;
    leave_orphans(&world, 2).await;
    let theirs = "runtime-operator:tenant:theirs";
    let record = ["cluster", "elsewhere", "owner", "far/away", "uid", "u", "generation", "1"];
    let rest = ["secret", "s/1", "dids", "+15559990000", "hash", "h", "sha1", "s"];
    world.redis_cli(&[&["HSET", theirs][..], &record, &rest].concat()).await;
    world.redis_cli(&["SADD", "runtime-operator:tenants:elsewhere", "theirs"]).await;
    let grace = Duration::from_secs(2);

    let began = Instant::now();
    let inside = Inside::start(&world, pace(grace)).await;
    wait_records(&world, 1).await;

    assert!(began.elapsed() >= grace, "after {:?}", began.elapsed());
    for n in 0..2 {
        assert_eq!(world.live(&did(n)).await, None);
        assert_eq!(world.config_text(&format!("t{n}")).await, None);
    }
    assert_eq!(world.keys(theirs).await, [theirs]);
    assert_eq!(world.keys("runtime-operator:tenants:*").await, ["runtime-operator:tenants:elsewhere"]);
    assert_eq!(told(&world).await, [], "two may always go");
    inside.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn too_many_at_once_are_held_back_and_told_on_the_lease_until_resources_are_back() {
    let world = World::new().await;
    leave_orphans(&world, MANY).await;
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    let lease = serde_json::from_value(json!({ "metadata": { "name": "runtime-operator" } })).unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();

    let inside = Inside::start(&world, pace(Duration::from_millis(100))).await;

    let event = world
        .wait("the Lease has an event", || async { told(&world).await.pop().ok_or("none".to_owned()) })
        .await;
    assert_eq!((event.reason.as_deref(), event.type_.as_deref()), (Some("SweepHeldBack"), Some("Warning")));
    assert_eq!(event.involved_object.uid, lease.metadata.uid, "kubectl describe shows it");
    let message = event.message.unwrap_or_default();
    assert!(message.contains("11 of 11 ownership records"), "{message}");
    // Sweeps go on, and audits with them; still nothing is removed, and it is told once.
    let audits = inside.metric("runtime_operator_audits_total");
    world
        .wait("it was audited twice more", || async {
            let now = inside.metric("runtime_operator_audits_total");
            if now >= audits + 2.0 { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    assert!((inside.metric("runtime_operator_orphaned_records") - 11.0).abs() < 0.5);
    assert!((inside.metric("runtime_operator_orphan_sweeps_refused_total") - 1.0).abs() < 0.5);
    assert_eq!(told(&world).await.len(), 1);
    for n in 0..MANY {
        assert_eq!(world.live(&did(n)).await, Some(format!("t{n}")), "its calls go on");
    }

    // Ten may always go.
    world.apply(&tenant("t0").dids([did(0).as_str()])).await;
    world.wait_ready("t0").await;
    wait_records(&world, 1).await;
    assert_eq!(world.live(&did(0)).await.as_deref(), Some("t0"));
    inside.stop().await;
    world.finish().await;
}
