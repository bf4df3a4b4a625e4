//! The Lease: silence counts by the candidate's own clock, and a deleted Lease is created again.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_support::{Operator, World, tenant};

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

/// The longest time from the death of a leader until another one writes: the Lease's 15 s, and 2 s more.
const REPLACED_WITHIN: Duration = Duration::from_secs(17);
/// For a machine on which other tests run.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_dead_leader_with_a_clock_an_hour_ahead_is_replaced_in_the_usual_time() {
    let world = World::new().await;
    let leader = OtherNode::acquire(&world, SignedDuration::from_hours(1)).await;
    let follower = world.operator().leader_elect().spawn().await;
    // It must have seen a renewal: silence counts from the last one.
    let ready = async || follower.probe("readyz").await.is_some_and(|(status, _)| status == 200);
    while !ready().await {
        leader.renew().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    leader.renew().await;

    let died = Instant::now();
    world.wait_leading(&follower).await;

    let took = died.elapsed();
    assert!(took < REPLACED_WITHIN + SLACK, "{took:?}; by the holder's clock it would be an hour");
    assert!(took > Duration::from_secs(14), "{took:?}: a Lease lasts for 15 s");
    assert!(follower.logs().contains("clocks of this node and of the leader's differ"), "it is said");
    world.finish().await;
}

#[tokio::test]
async fn a_killed_leader_is_replaced_after_the_lease_and_two_seconds_at_most() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let follower = world.operator().leader_elect().start().await;

    let died = Instant::now();
    leader.kill().await.unwrap();
    world.set_dids("acme", ["+15550100002"]).await;
    world.wait_live("+15550100002", Some("acme")).await;

    assert!(died.elapsed() < REPLACED_WITHIN + SLACK, "{:?}", died.elapsed());
    world.wait_leading(&follower).await;
    world.finish().await;
}

/// The number of statuses that an operator has judged.
async fn judged(operator: &Operator) -> f64 {
    let metrics = operator.metrics().await;
    let count = metrics
        .lines()
        .find_map(|line| line.strip_prefix(r#"runtime_operator_queue_wait_seconds_count{queue="status"} "#));
    count.map_or(0.0, |count| count.parse().unwrap())
}

/// Waits until an operator judges no status any more; returns how many it has judged.
async fn at_rest(operator: &Operator) -> f64 {
    let (mut count, mut same) = (judged(operator).await, 0);
    while same < 8 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let now = judged(operator).await;
        same = if now > count { 0 } else { same + 1 };
        count = now;
    }
    count
}

#[tokio::test]
async fn a_new_leader_judges_all_statuses_again_once_the_one_before_it_cant_write() {
    const TENANTS: u8 = 5;
    let world = World::new().await;
    let before = world.operator().leader_elect().start().await;
    world.wait_leading(&before).await;
    for n in 0..TENANTS {
        world.apply(&tenant(&format!("t{n}")).dids([format!("+1555010000{n}").as_str()])).await;
    }
    for n in 0..TENANTS {
        world.wait_ready(&format!("t{n}")).await;
    }
    before.stop().await.unwrap();
    let began = Instant::now();
    let operator = world.operator().leader_elect().start().await;
    world.wait_leading(&operator).await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", f64::from(TENANTS)).await;
    let first = at_rest(&operator).await;

    world
        .wait("all statuses are judged again", || async {
            let more = judged(&operator).await - first;
            if more >= f64::from(TENANTS) { Ok(()) } else { Err(format!("{more} more")) }
        })
        .await;

    assert!(began.elapsed() > Duration::from_secs(15), "{:?}", began.elapsed());
    let written = operator.metric("runtime_operator_status_writes_total").await;
    assert!(written < 1.0, "none of them was wrong");
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
