//! One writer: a Lease elects the leader among the replicas, and a superseded replica writes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod ability;
mod cut_off;
mod installs;
mod lease;
mod namespaces;
mod noise;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use local_cluster::Toxiproxy;
use test_support::{Permissions, World, service_account, tenant};

/// Grants a `ServiceAccount` the permissions that an operator needs in the world's namespace, with these verbs on Leases.
async fn grant(world: &World, leases: &str) {
    let (namespace, secrets) = (world.namespace(), "get, list, watch");
    let subject = service_account(namespace, "operator");
    Permissions { namespace, subject, secrets, leases: Some(leases) }.grant(world).await;
}

async fn holder(world: &World) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    leases.get_opt("runtime-operator").await.unwrap()?.spec?.holder_identity
}

#[tokio::test]
async fn a_follower_takes_over_when_the_leader_stops_and_releases_the_lease() {
    let world = World::new().await;
    let first = world.operator().leader_elect().start().await;
    world.wait_leading(&first).await;
    let second = world.operator().leader_elect().start().await;
    assert!(second.metric("runtime_operator_leading").await < 1.0, "only one replica leads");
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let before = holder(&world).await.unwrap();
    assert!(first.stop().await.unwrap().status.success());
    world.wait_leading(&second).await;
    assert_ne!(holder(&world).await.unwrap(), before);
    world.apply(&tenant("globex").dids(["+15550100002"])).await;
    world.wait_ready("globex").await;
    assert!(second.stop().await.unwrap().status.success());
    assert_eq!(holder(&world).await, None, "the Lease is released");
    world.finish().await;
}

#[tokio::test]
async fn a_follower_writes_no_status_and_no_key() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    let follower = world.operator().leader_elect().start().await;
    for n in 0..10 {
        world.apply(&tenant(&format!("t{n}")).dids([format!("+155501000{n:02}").as_str()])).await;
    }
    for n in 0..10 {
        world.wait_ready(&format!("t{n}")).await;
    }
    assert!(follower.metric("runtime_operator_status_writes_total").await < 1.0);
    assert!(follower.metric("runtime_operator_redis_operations_total").await < 1.0);
    world.finish().await;
}

#[tokio::test]
async fn a_follower_is_ready_again_once_redis_is_back() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    let follower = world.operator().leader_elect().start().await;
    world.redis().kill().await.unwrap();
    world.wait_not_ready(&follower, "Redis can't be reached").await;
    world.redis().restart().await.unwrap();
    world.wait_operator_ready(&follower).await;
    assert!(follower.metric("runtime_operator_leading").await < 1.0, "it is still a follower");
    world.finish().await;
}

#[tokio::test]
async fn a_frozen_and_superseded_leader_writes_nothing_and_exits() {
    let world = World::new().await;
    let first = world.operator().leader_elect().start().await;
    world.wait_leading(&first).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let second = world.operator().leader_elect().start().await;
    first.freeze().await.unwrap();
    world.wait_leading(&second).await;
    world.patch("acme", serde_json::json!({ "spec": { "dids": ["+15550100002"] } })).await;
    world.wait_live("+15550100002", Some("acme")).await;
    first.thaw().unwrap();
    let status = first.wait_exit(Duration::from_secs(90)).await.unwrap();
    assert!(!status.success(), "it was superseded: only a restart makes it a follower");
    assert_eq!(world.live("+15550100002").await.as_deref(), Some("acme"));
    assert_eq!(world.live("+15550100001").await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_lost_counter_costs_the_leader_an_epoch_and_nothing_else() {
    let world = World::new().await;
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    world.delete_key("runtime-operator:epoch").await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let epoch: u64 = world.key("runtime-operator:epoch").await.unwrap().parse().unwrap();
    assert!(epoch > 1, "the epoch never decreases: {epoch}");
    assert!(leader.is_running());
    world.finish().await;
}

#[tokio::test]
async fn a_replica_without_lease_permissions_is_not_ready_and_names_them() {
    let world = World::new().await;
    let kubeconfig = world.cluster().service_account_kubeconfig(world.namespace(), "operator").await.unwrap();
    grant(&world, "'deletecollection'").await;
    let operator = world.operator().leader_elect().kubeconfig(kubeconfig).spawn().await;

    let why = world.wait_not_ready(&operator, "can't read or write the Lease").await;
    assert!(why.contains("forbids get, list, watch, patch there"), "{why}");
    assert_eq!(operator.probe("livez").await.unwrap().0, 200, "a restart would change nothing");
    grant(&world, "get, list, watch").await;
    let why = world.wait_not_ready(&operator, "forbids patch, create there").await;
    assert!(why.contains("A Role must allow get, list, watch, patch and create on leases"), "{why}");
    assert_eq!(holder(&world).await, None);

    grant(&world, "get, list, watch, patch, create").await;
    world.wait_operator_ready(&operator).await;
    world.wait_leading(&operator).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;

    // A leader that may no longer renew the Lease steps down, and reports why.
    grant(&world, "get").await;
    let why = world.wait_not_ready(&operator, "can't read or write the Lease").await;
    assert!(why.contains("forbids list, watch, patch there"), "{why}");
    assert!(operator.metric("runtime_operator_leading").await < 1.0);
    world.finish().await;
}

#[tokio::test]
async fn a_follower_serves_admin_reads_and_probes() {
    let world = World::new().await;
    let replica = || {
        let builder = world.operator().leader_elect().env("ENABLE_RUNTIME_ADMIN", "true");
        builder.env("RUNTIME_ADMIN_AUTH", "none")
    };
    let leader = replica().start().await;
    world.wait_leading(&leader).await;
    let follower = replica().start().await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;

    assert_eq!(leader.probe("readyz").await, Some((200, "ok\n".to_owned())));
    assert_eq!(follower.probe("readyz").await, Some((200, "ok: following\n".to_owned())));
    assert_eq!(follower.probe("livez").await, Some((200, "ok\n".to_owned())));
    let url = format!("{}/api/admin/runtime/dids/+15550100001", follower.admin_url());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer, serde_json::json!({ "didE164": "+15550100001", "tenantId": "acme" }));
    world.finish().await;
}

#[tokio::test]
async fn a_follower_without_redis_reports_itself_and_no_resource() {
    let world = World::new().await;
    let toxiproxy = Toxiproxy::start().await.unwrap();
    let way = toxiproxy.edge("redis", &world.redis().address()).await.unwrap();
    let leader = world.operator().leader_elect().start().await;
    world.wait_leading(&leader).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let redis = format!("redis://{}/0", way.address());
    let follower = world.operator().leader_elect().env("REDIS_URL", redis).start().await;

    way.cut().await.unwrap();
    world.wait_not_ready(&follower, "Redis can't be reached").await;
    // The follower's watch shows resources that no leader has reconciled.
    for n in 0..10 {
        world.patch("acme", serde_json::json!({ "spec": { "dids": [format!("+155502000{n:02}")] } })).await;
    }
    world.apply(&tenant("globex").dids(["+15550100002"])).await;
    world.wait_ready("acme").await;
    world.wait_ready("globex").await;
    way.heal().await.unwrap();

    // A follower that stayed unready would block a rolling update.
    world.wait_operator_ready(&follower).await;
    assert!(follower.metric("runtime_operator_status_writes_total").await < 1.0);
    for name in ["acme", "globex"] {
        assert_eq!(world.event_count(name, "PublishDelayed").await, 0, "the leader was never delayed");
    }
    world.finish().await;
}
