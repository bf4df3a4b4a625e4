//! A watched namespace without permissions: it is named, and the others are served.

use test_support::{Permissions, World, service_account, tenant};

async fn grant(world: &World, namespace: &str) {
    let subject = service_account(world.namespace(), "operator");
    let (secrets, leases) = ("get, list, watch", Some("get, list, watch, patch, create"));
    Permissions { namespace, subject, secrets, leases }.grant(world).await;
}

#[tokio::test]
async fn a_namespace_without_permissions_is_named_and_the_others_are_served() {
    let mut world = World::new().await;
    let (open, closed) = (world.add_namespace().await, world.add_namespace().await);
    let kubeconfig = world.cluster().service_account_kubeconfig(world.namespace(), "operator").await.unwrap();
    grant(&world, world.namespace()).await;
    grant(&world, &open).await;
    let operator = world.operator().leader_elect().kubeconfig(kubeconfig).spawn().await;

    world.apply(&tenant("here").dids(["+15550100001"])).await;
    world.apply(&tenant("there").in_namespace(&open).dids(["+15550100002"])).await;
    world.apply(&tenant("nowhere").in_namespace(&closed).dids(["+15550100003"])).await;
    world.wait_live("+15550100001", Some("here")).await;
    world.wait_live("+15550100002", Some("there")).await;
    assert_eq!(world.live("+15550100003").await, None);
    world
        .wait("the log names the namespace", || async {
            let named = |line: &&str| line.contains("not waiting for a watch") && line.contains(&closed);
            operator.logs().lines().find(named).map(drop).ok_or_else(|| "it does not".to_owned())
        })
        .await;

    grant(&world, &closed).await;
    world.wait_live("+15550100003", Some("nowhere")).await;
    world.finish().await;
}

#[tokio::test]
async fn records_of_a_namespace_without_permissions_are_no_orphans() {
    let mut world = World::new().await;
    let closed = world.add_namespace().await;
    let kubeconfig = world.cluster().service_account_kubeconfig(world.namespace(), "operator").await.unwrap();
    let before = world.operator().start().await;
    world.apply(&tenant("nowhere").in_namespace(&closed).dids(["+15550100003"])).await;
    world.wait_live("+15550100003", Some("nowhere")).await;
    before.stop().await.unwrap();

    grant(&world, world.namespace()).await;
    let operator = world.operator().kubeconfig(kubeconfig).spawn().await;
    world.apply(&tenant("here").dids(["+15550100001"])).await;
    world.wait_live("+15550100001", Some("here")).await;
    world.wait_metric(&operator, "runtime_operator_leading", 1.0).await;
    assert!(operator.metric("runtime_operator_orphaned_records").await < 1.0);
    assert_eq!(world.live("+15550100003").await.as_deref(), Some("nowhere"));
    world.finish().await;
}
