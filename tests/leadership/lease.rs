//! The Lease: silence counts by the candidate's own clock, and a deleted Lease is created again.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_support::{World, tenant};

use super::{Lease, holder};

/// The Lease of a holder on another node, whose clock differs by this much from ours.
struct OtherNode {
    leases: Api<Lease>,
    clock: SignedDuration,
}

impl OtherNode {
    async fn acquire(world: &World, clock: SignedDuration) -> Self {
        let other = Self { leases: Api::namespaced(world.client(), world.namespace()), clock };
        let lease = json!({ "metadata": { "name": "runtime-operator" }, "spec": other.spec() });
        let lease = serde_json::from_value(lease).unwrap();
        other.leases.create(&PostParams::default(), &lease).await.unwrap();
        other
    }

    fn spec(&self) -> Value {
        let now = Timestamp::now() + self.clock;
        json!({ "holderIdentity": "elsewhere", "leaseDurationSeconds": 15, "renewTime": format!("{now:.6}") })
    }

    async fn renew(&self) {
        let patch = json!({ "spec": self.spec() });
        self.leases.patch("runtime-operator", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_leader_with_a_clock_an_hour_ahead_is_replaced_in_the_usual_time() {
    let world = World::new().await;
    OtherNode::acquire(&world, SignedDuration::from_hours(1)).await;
    let began = Instant::now();
    let operator = world.operator().leader_elect().spawn().await;
    world.wait_leading(&operator).await;
    // 15 s and 2 s more, and as much again for a busy machine; by the holder's clock it would be an hour.
    assert!(began.elapsed() < Duration::from_secs(34), "{:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_secs(15), "{:?}", began.elapsed());
    assert!(operator.logs().contains("clocks of this node and of the leader's differ"), "it is said");
    world.finish().await;
}

#[tokio::test]
async fn a_live_leader_with_a_clock_an_hour_behind_keeps_the_lease() {
    let world = World::new().await;
    let leader = OtherNode::acquire(&world, SignedDuration::from_hours(-1)).await;
    let follower = world.operator().leader_elect().spawn().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        leader.renew().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(holder(&world).await.as_deref(), Some("elsewhere"));
    world.wait_operator_ready(&follower).await;
    assert!(follower.metric("runtime_operator_leading").await < 1.0);
    assert!(follower.logs().contains("clocks of this node and of the leader's differ"), "it is said");
    world.wait_leading(&follower).await;
    world.finish().await;
}

#[tokio::test]
async fn a_deleted_lease_is_created_again_and_its_holder_leads_on() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    let (held_by, epoch) = (holder(&world).await, world.key("runtime-operator:epoch").await);
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    leases.delete("runtime-operator", &DeleteParams::default()).await.unwrap();
    world
        .wait("the Lease is there again", || async {
            let held = leases.get_opt("runtime-operator").await.unwrap().and_then(|lease| lease.spec);
            held.and_then(|spec| spec.holder_identity).map(drop).ok_or_else(|| "it is not".to_owned())
        })
        .await;
    assert_eq!(holder(&world).await, held_by);
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    assert!(leader.is_running());
    assert_eq!(world.key("runtime-operator:epoch").await, epoch, "the leader never stopped leading");
    world.finish().await;
}

#[tokio::test]
async fn a_lease_that_another_client_edits_stays_with_its_holder() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    for edit in 0..20 {
        let patch = json!({ "metadata": { "annotations": { "example.com/edit": edit.to_string() } } });
        leases.patch("runtime-operator", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(leader.is_running());
    assert!(leader.metric("runtime_operator_leading").await > 0.0);
    world.finish().await;
}
