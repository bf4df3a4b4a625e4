//! Redis is flushed while resources wait for what another cluster, or another operator of this cluster, holds: the holders keep
//! it.

use std::time::Duration;

use serde_json::json;
use test_support::{World, tenant};

use super::elsewhere::{HERE, THERE, Two};
use super::{ONE, THREE, TWO};

const FLUSHES: usize = 50;
/// More than the time for which holders come first after a loss.
const LONGER_THAN_THE_WAIT: Duration = Duration::from_secs(12);

/// The resource that a record names as the owner of a tenant, if there is a record.
async fn owner(world: &World, tenant: &str) -> Option<String> {
    let mut read = redis::cmd("HGET");
    read.arg(format!("runtime-operator:tenant:{tenant}")).arg("owner");
    read.query_async(&mut world.connection().await).await.unwrap()
}

async fn flush(world: &World) {
    world.exempt_all();
    redis::cmd("FLUSHALL").exec_async(&mut world.connection().await).await.unwrap();
}

/// The other cluster holds the tenant `acme`, and the number TWO by its tenant `beta`. Here `acme` waits for the tenant, and
/// `gamma` for TWO, while its own number is live.
async fn waiting(two: &Two, reasons: [&str; 2]) {
    let world = &two.world;
    two.ready_there(tenant("acme").dids([ONE]).secret("there"), "acme").await;
    two.ready_there(tenant("beta").dids([TWO]), "beta").await;
    world.apply(&tenant("acme").dids([ONE]).secret("here")).await;
    world.apply(&tenant("gamma").dids([TWO, THREE])).await;
    world.wait_condition("acme", "Ready", "False", reasons[0]).await;
    world.wait_condition("gamma", "Ready", "False", reasons[1]).await;
    world.wait_live(THREE, Some("gamma")).await;
}

/// Waits until everything is back, and fails as soon as a resource that waited has taken something.
async fn wait_restored(two: &Two) {
    let (world, acme) = (&two.world, format!("{}/acme", two.there));
    for (did, tenant) in [(ONE, "acme"), (TWO, "beta"), (THREE, "gamma")] {
        world
            .wait(&format!("{did} is live again"), || async {
                let (owner, live) = (owner(world, "acme").await, world.live(did).await);
                assert!(owner.as_ref().is_none_or(|owner| *owner == acme), "{owner:?} has taken the tenant");
                assert!(did != TWO || live.as_deref() != Some("gamma"), "gamma has taken {TWO}");
                if live.as_deref() == Some(tenant) { Ok(()) } else { Err(format!("{did} leads to {live:?}")) }
            })
            .await;
    }
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], "there");
}

#[tokio::test]
async fn published_numbers_and_tenants_stay_with_their_cluster_through_flushes() {
    let two = Two::start().await;
    let world = &two.world;
    waiting(&two, ["OwnedElsewhere"; 2]).await;
    let held = world.status("acme").await["heldElsewhere"].clone();
    assert_eq!(held, json!([{ "cluster": THERE, "owner": format!("{}/acme", two.there) }]));
    let held = world.status("gamma").await["heldElsewhere"].clone();
    assert_eq!(held, json!([{ "cluster": THERE, "owner": format!("{}/beta", two.there), "dids": [TWO] }]));

    for _ in 0..FLUSHES {
        flush(world).await;
        wait_restored(&two).await;
    }

    two.settle().await;
    wait_restored(&two).await;
    world.wait_condition("acme", "Ready", "False", "OwnedElsewhere").await;
    world.wait_condition("gamma", "Ready", "False", "OwnedElsewhere").await;
    world.resume_checks();
    two.world.finish().await;
}

#[tokio::test]
async fn published_numbers_and_tenants_stay_with_their_operator_through_flushes() {
    let two = Two::start_in([HERE; 2]).await;
    let world = &two.world;
    waiting(&two, ["TenantIdConflict", "DidConflict"]).await;

    for _ in 0..FLUSHES {
        flush(world).await;
        wait_restored(&two).await;
    }

    two.settle().await;
    wait_restored(&two).await;
    world.wait_condition("gamma", "Ready", "False", "DidConflict").await;
    world.resume_checks();
    two.world.finish().await;
}

#[tokio::test]
async fn an_operator_that_starts_after_a_flush_waits_for_the_cluster_that_has_not_come_back() {
    let two = Two::start().await;
    let world = &two.world;
    waiting(&two, ["OwnedElsewhere"; 2]).await;
    two.operators[1].freeze().await.unwrap();
    two.operators[0].kill().await.unwrap();
    flush(world).await;

    two.operators[0].run_again().await.unwrap();

    // What its own status lists is published immediately, without the rest.
    world.wait_live(THREE, Some("gamma")).await;
    tokio::time::sleep(LONGER_THAN_THE_WAIT).await;
    assert_eq!((world.live(ONE).await, world.live(TWO).await), (None, None));
    assert_eq!(world.config("gamma").await.unwrap()["dids"], json!([THREE]));

    two.operators[1].thaw().unwrap();
    wait_restored(&two).await;
    world.resume_checks();
    two.world.finish().await;
}

#[tokio::test]
async fn what_a_holder_gives_up_after_a_flush_is_taken_once_holders_had_their_time() {
    let two = Two::start().await;
    let world = &two.world;
    waiting(&two, ["OwnedElsewhere"; 2]).await;
    two.operators[1].freeze().await.unwrap();
    let dids = kube::api::Patch::Merge(json!({ "spec": { "dids": ["+15550000009"] } }));
    world.tenants_in(&two.there).patch("beta", &kube::api::PatchParams::default(), &dids).await.unwrap();
    flush(world).await;
    world.wait_live(THREE, Some("gamma")).await;

    two.operators[1].thaw().unwrap();

    world.wait_live(TWO, Some("gamma")).await;
    world.wait_ready("gamma").await;
    world.resume_checks();
    two.world.finish().await;
}
