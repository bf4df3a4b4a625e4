//! Orphans, which are ownership records without a resource: removed after a grace period, and never too many together.

use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams, PostParams};
use runtime_operator::controller::Intervals;
use serde_json::json;
use test_support::{World, tenant};

use super::inside::Inside;

const MANY: usize = 11;

fn did(n: usize) -> String {
    format!("+155500000{n:02}")
}

fn intervals(grace: Duration) -> Intervals {
    Intervals {
        sweep: Duration::from_millis(100),
        grace,
        audit: Duration::from_millis(300),
        ..Intervals::default()
    }
}

/// Publishes tenants, stops the controller, and deletes their resources, so that only their keys are left.
async fn leave_orphans(world: &World, count: usize) {
    let inside = Inside::start(world, intervals(Duration::from_secs(60))).await;
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
        world.wait_deleted(&name).await;
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

/// Returns the events about the operator's own Lease.
async fn lease_events(world: &World) -> Vec<Event> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    let about = "involvedObject.kind=Lease,involvedObject.name=runtime-operator";
    events.list(&ListParams::default().fields(about)).await.unwrap().items
}

#[tokio::test]
async fn orphans_of_this_cluster_are_removed_after_the_grace_period() {
    let world = World::new().await;
    leave_orphans(&world, 2).await;
    let theirs = "runtime-operator:tenant:theirs";
    let record = ["cluster", "elsewhere", "owner", "far/away", "uid", "u", "generation", "1"];
    let rest = ["secret", "s/1", "dids", "+15559990000", "hash", "h", "sha1", "s"];
    world.redis_cli(&[&["HSET", theirs][..], &record, &rest].concat()).await;
    world.redis_cli(&["SADD", "runtime-operator:tenants:elsewhere", "theirs"]).await;
    let grace = Duration::from_secs(2);

    let began = Instant::now();
    let inside = Inside::start(&world, intervals(grace)).await;
    wait_records(&world, 1).await;

    assert!(began.elapsed() >= grace, "after {:?}", began.elapsed());
    for n in 0..2 {
        assert_eq!(world.live(&did(n)).await, None);
        assert_eq!(world.config_text(&format!("t{n}")).await, None);
    }
    assert_eq!(world.keys(theirs).await, [theirs]);
    assert_eq!(world.keys("runtime-operator:tenants:*").await, ["runtime-operator:tenants:elsewhere"]);
    assert_eq!(lease_events(&world).await, [], "two may always be removed");
    inside.stop().await;
    world.finish().await;
}

#[tokio::test]
async fn a_mass_orphaning_is_refused_and_reported_on_the_lease() {
    let world = World::new().await;
    leave_orphans(&world, MANY).await;
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    let lease = serde_json::from_value(json!({ "metadata": { "name": "runtime-operator" } })).unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();

    let inside = Inside::start(&world, intervals(Duration::from_millis(100))).await;

    let event = world
        .wait("the Lease has an event", || async {
            lease_events(&world).await.pop().ok_or("none".to_owned())
        })
        .await;
    assert_eq!(
        (event.reason.as_deref(), event.type_.as_deref()),
        (Some("OrphanSweepRefused"), Some("Warning"))
    );
    assert_eq!(event.involved_object.uid, lease.metadata.uid, "kubectl describe shows the event");
    let message = event.message.unwrap_or_default();
    assert!(message.contains("11 of 11 ownership records"), "{message}");
    // Sweeps and audits continue; still nothing is removed, and there is one event.
    let audits = inside.metric("runtime_operator_audits_total");
    world
        .wait("there were two more audits", || async {
            let now = inside.metric("runtime_operator_audits_total");
            if now >= audits + 2.0 { Ok(()) } else { Err(format!("{now}")) }
        })
        .await;
    assert!((inside.metric("runtime_operator_orphaned_records") - 11.0).abs() < 0.5);
    assert!((inside.metric("runtime_operator_orphan_sweeps_refused_total") - 1.0).abs() < 0.5);
    assert_eq!(lease_events(&world).await.len(), 1);
    for n in 0..MANY {
        assert_eq!(world.live(&did(n)).await, Some(format!("t{n}")), "it stays mapped");
    }

    // Ten may always be removed.
    world.apply(&tenant("t0").dids([did(0).as_str()])).await;
    world.wait_ready("t0").await;
    wait_records(&world, 1).await;
    assert_eq!(world.live(&did(0)).await.as_deref(), Some("t0"));
    inside.stop().await;
    world.finish().await;
}
