//! A restart without changes.

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};
use test_support::{Permissions, World, service_account, tenant};

use super::{ONE, THREE, TWO, wait_published};

#[tokio::test]
async fn a_restart_reads_no_secret_and_writes_only_its_epoch() {
    let world = World::new().await;
    let before = world.operator().start().await;
    world.apply_secret("shared", "whsec").await;
    for (name, did) in [("acme", ONE), ("beta", TWO), ("cora", THREE)] {
        let shared = tenant(name).dids([did]).set("/webhookSecretRef/name", "shared").without_secret();
        world.apply(&shared).await;
        world.wait_ready(name).await;
    }
    before.stop().await.unwrap();
    let versions = resource_versions(&world).await;
    let events = events(&world).await;
    let namespace = world.namespace();
    let no_values = Permissions {
        namespace,
        subject: service_account(namespace, "no-values"),
        secrets: "list, watch",
        leases: None,
    };
    no_values.grant(&world).await;
    let kubeconfig = world.cluster().service_account_kubeconfig(namespace, "no-values").await.unwrap();
    let mut journal = world.journal().await;

    let operator = world.operator().kubeconfig(kubeconfig).start().await;
    let check = || async {
        let reconciles = operator.metric("runtime_operator_reconciles_total").await;
        if reconciles >= 3.0 { Ok(()) } else { Err(format!("{reconciles} reconciles")) }
    };
    world.wait("everything is reconciled", check).await;

    // This tenant needs a value: it shows that none can be read, and that the statuses of the others were written before.
    world.apply(&tenant("late").dids(["+15550000009"])).await;
    world.wait_condition("late", "Ready", "Unknown", "SecretUnreadable").await;
    world.wait_condition("late", "SecretResolved", "Unknown", "SecretUnreadable").await;
    for name in ["acme", "beta", "cora"] {
        world.wait_ready(name).await;
    }
    let mut writes = journal.writes().await;
    writes.retain(|(key, _)| !key.starts_with("runtime-operator:epoch") && key != "runtime-operator:writers");
    assert_eq!(writes, []);
    let mut now = resource_versions(&world).await;
    now.retain(|(name, _)| name != "late");
    assert_eq!(now, versions);
    let mut now = self::events(&world).await;
    now.retain(|(about, _)| about != "late");
    assert_eq!(now, events);
    let logs = operator.logs();
    assert!(!logs.contains(" ERROR ") && !logs.contains(" WARN "), "{logs}");

    // A published config stays when a new value can't be read.
    world.apply_secret("shared", "rotated").await;
    world.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    wait_published(&world, "acme", "whsec").await;
    world.finish().await;
}

async fn resource_versions(world: &World) -> Vec<(String, Option<String>)> {
    let tenants = world.tenants().list(&ListParams::default()).await.unwrap();
    let version = |tenant: kube::api::DynamicObject| {
        (tenant.metadata.name.unwrap_or_default(), tenant.metadata.resource_version)
    };
    tenants.items.into_iter().map(version).collect()
}

/// Returns the object and the version of each event, in order.
async fn events(world: &World) -> Vec<(String, Option<String>)> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    let events = events.list(&ListParams::default()).await.unwrap();
    let mut events: Vec<_> = events
        .items
        .into_iter()
        .map(|event| (event.involved_object.name.unwrap_or_default(), event.metadata.resource_version))
        .collect();
    events.sort();
    events
}
