//! Everything that decides the owner of a DID survives a restart.

use kube::api::ListParams;
use serde_json::json;
use test_support::{Operator, World, tenant};

use super::{ONE, THREE, TWO, listed, status_dids, wait_conflict};

/// Creates contested DIDs, which an older resource claims too, and a contested tenant id.
async fn contested() -> (World, Operator) {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("older").dids([ONE])).await;
    world.wait_until_younger_than("older").await;
    world.apply(&tenant("younger").dids([TWO])).await;
    world.wait_ready("older").await;
    world.wait_ready("younger").await;
    world.set_dids("older", [ONE, TWO]).await;
    world.apply(&tenant("younger").named("namesake").dids([THREE])).await;
    as_contested(&world).await;
    (world, operator)
}

async fn as_contested(world: &World) {
    wait_conflict(world, "older", TWO, "younger").await;
    world.wait_ready("younger").await;
    world.wait_condition("namesake", "Ready", "False", "TenantIdConflict").await;
    assert_eq!(world.live(ONE).await.as_deref(), Some("older"));
    assert_eq!(world.live(TWO).await.as_deref(), Some("younger"));
    assert_eq!(world.live(THREE).await, None);
    assert_eq!(listed(world, "older").await, json!([ONE]));
    assert_eq!(status_dids(world, "namesake").await, json!([]));
}

#[tokio::test]
async fn a_restart_changes_no_holder_and_writes_only_its_epoch() {
    let (world, operator) = contested().await;
    operator.kill().await.unwrap();
    let before = world.tenants().list(&ListParams::default()).await.unwrap();
    let mut journal = world.journal().await;

    operator.restart().await.unwrap();
    world.apply(&tenant("after").dids(["+15550000009"])).await;
    world.wait_ready("after").await;
    world.delete("after").await;
    world.wait_deleted("after").await;

    as_contested(&world).await;
    let after = world.tenants().list(&ListParams::default()).await.unwrap();
    let versions = |list: &kube::core::ObjectList<_>| {
        let version = |tenant: &kube::api::DynamicObject| tenant.metadata.resource_version.clone();
        list.items.iter().map(version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&after), versions(&before), "nothing was written to Kubernetes");
    let mut writes = journal.writes().await;
    writes.retain(|(key, _)| !key.contains("after") && !key.ends_with("+15550000009") && !is_shared(key));
    assert_eq!(writes, []);
    world.finish().await;
}

/// Returns true for the keys of the epoch and of its writer, and for those of the tenant that was applied afterwards.
fn is_shared(key: &str) -> bool {
    key.starts_with("runtime-operator:epoch")
        || key == "runtime-operator:writers"
        || key == "runtime-operator:dids"
        || key.starts_with("runtime-operator:tenants:")
}

#[tokio::test]
async fn a_did_released_while_no_operator_ran_goes_to_the_waiting_tenant() {
    let (world, operator) = contested().await;
    operator.kill().await.unwrap();
    world.set_dids("younger", [THREE]).await;

    operator.restart().await.unwrap();

    world.wait_ready("older").await;
    world.wait_ready("younger").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("older"));
    assert_eq!(world.live(THREE).await.as_deref(), Some("younger"));
    world.finish().await;
}

#[tokio::test]
async fn after_the_loss_of_all_records_the_statuses_decide_the_holders() {
    let (world, operator) = contested().await;
    operator.kill().await.unwrap();
    world.exempt_all();
    redis::cmd("FLUSHALL").exec_async(&mut world.connection().await).await.unwrap();
    world.resume_checks();

    operator.restart().await.unwrap();

    world.wait_live(TWO, Some("younger")).await;
    world.wait_live(ONE, Some("older")).await;
    as_contested(&world).await;
    world.finish().await;
}

#[tokio::test]
async fn the_loss_of_all_records_under_a_running_operator_changes_no_holder() {
    let (world, _operator) = contested().await;
    world.exempt_all();
    redis::cmd("FLUSHALL").exec_async(&mut world.connection().await).await.unwrap();

    world.wait_live(TWO, Some("younger")).await;
    world.wait_live(ONE, Some("older")).await;
    world.resume_checks();
    as_contested(&world).await;
    world.finish().await;
}
