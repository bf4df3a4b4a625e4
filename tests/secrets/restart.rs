//! A restart with nothing changed.

use k8s_openapi::api::core::v1::Event;
use kube::api::{Api, ListParams};

use super::support::{Rights, World, service_account, tenant};
use super::{ONE, THREE, TWO, wait_published};

#[tokio::test]
async fn reads_no_secret_and_writes_nothing_but_its_number() {
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
    let no_values = Rights {
        namespace,
        subject: service_account(namespace, "no-values"),
        secrets: "list, watch",
        leases: None,
    };
    no_values.grant(&world).await;
    let kubeconfig = world.cluster().service_account_kubeconfig(namespace, "no-values").await.unwrap();
    let mut journal = world.journal().await;

    let operator = world.operator().kubeconfig(kubeconfig).start().await;
    let look = || async {
        let looks = operator.metric("runtime_operator_reconciles_total").await;
        if looks >= 3.0 { Ok(()) } else { Err(format!("{looks} looks")) }
    };
    world.wait("everything is looked at", look).await;

    // This one needs a value: it shows that none can be read, and by when all others have been told.
    world.apply(&tenant("late").dids(["+15550000009"])).await;
    world.wait_condition("late", "Ready", "False", "SecretUnreadable").await;
    world.wait_condition("late", "SecretResolved", "False", "SecretUnreadable").await;
    for name in ["acme", "beta", "cora"] {
        world.wait_ready(name).await;
    }
    let mut writes = journal.writes().await;
    writes.retain(|(key, _)| !key.starts_with("runtime-operator:epoch"));
    assert_eq!(writes, []);
    let mut now = resource_versions(&world).await;
    now.retain(|(name, _)| name != "late");
    assert_eq!(now, versions);
    let mut now = self::events(&world).await;
    now.retain(|(about, _)| about != "late");
    assert_eq!(now, events);
    let logs = operator.logs();
    assert!(!logs.contains(" ERROR ") && !logs.contains(" WARN "), "{logs}");

    // What was published stays where a new value can't be read.
    world.apply_secret("shared", "rotated").await;
    world.wait_condition("acme", "Ready", "False", "SecretUnreadable").await;
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

/// Whom each event is about, and its version, in order.
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
