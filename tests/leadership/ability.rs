//! Only who can do the work competes for the Lease, and a holder that can't is relieved of it.

use kube::Api;
use local_cluster::Toxiproxy;
use test_support::{Operator, Permissions, World, service_account, tenant};

use super::{Lease, grant, holder};

/// Why the holder of the Lease can't work, as the Lease says it.
async fn mark(world: &World) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(world.client(), world.namespace());
    let lease = leases.get_opt("runtime-operator").await.unwrap()?;
    lease.metadata.annotations?.get("runtime.veralux.io/cannot-work").cloned()
}

async fn wait_marked(world: &World, marked: bool) {
    world
        .wait("the Lease's mark", || async {
            let mark = mark(world).await;
            if mark.is_some() == marked { Ok(()) } else { Err(format!("{mark:?}")) }
        })
        .await;
}

async fn wait_following(world: &World, operator: &Operator) {
    world
        .wait("it follows", || async {
            let leading = operator.metric("runtime_operator_leading").await;
            if leading < 1.0 { Ok(()) } else { Err("it leads".to_owned()) }
        })
        .await;
}

#[tokio::test]
async fn a_replica_that_can_watch_nothing_leaves_the_lease_to_one_that_can() {
    let world = World::new().await;
    let namespace = world.namespace();
    // A Role for the Lease alone.
    let lease_only = format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{ name: lease, namespace: {namespace} }}
rules:
- {{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, list, watch, patch, create] }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{ name: lease, namespace: {namespace} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: Role, name: lease }}
subjects: [{}]
",
        service_account(namespace, "unable")
    );
    world.cluster().apply_yaml(&lease_only).await.unwrap();
    let kubeconfig = world.cluster().service_account_kubeconfig(namespace, "unable").await.unwrap();
    let first = world.operator().leader_elect().start().await;
    world.wait_leading(&first).await;
    let unable = world.operator().leader_elect().kubeconfig(kubeconfig).spawn().await;
    world.wait_not_ready(&unable, "").await;

    first.stop().await.unwrap();
    world.wait_not_ready(&unable, "no replica leads, and this one can't").await;
    assert_eq!(holder(&world).await, None, "it does not take what it can't serve");
    let second = world.operator().leader_elect().start().await;
    world.wait_leading(&second).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_leader_without_redis_marks_the_lease_and_is_relieved_by_one_that_has_it() {
    let world = World::new().await;
    let toxiproxy = Toxiproxy::start().await.unwrap();
    let way = toxiproxy.edge("redis", &world.redis().address()).await.unwrap();
    let redis = format!("redis://{}/0", way.address());
    let first = world.operator().leader_elect().env("REDIS_URL", redis).start().await;
    world.wait_leading(&first).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_ready("acme").await;
    let second = world.operator().leader_elect().start().await;
    let held_by = holder(&world).await;

    way.cut().await.unwrap();
    world.wait_leading(&second).await;
    assert_ne!(holder(&world).await, held_by);
    assert_eq!(mark(&world).await, None, "who takes it over clears the mark");
    world.apply(&tenant("globex").dids(["+15550100002"])).await;
    world.wait_ready("globex").await;
    assert!(first.is_running(), "it follows");
    assert!(first.logs().contains("marked the lease"));

    // It stands back: its Redis is there again, and the Lease stays where it is.
    way.heal().await.unwrap();
    world.wait_operator_ready(&first).await;
    wait_following(&world, &first).await;
    assert_ne!(holder(&world).await, held_by);
    world.finish().await;
}

#[tokio::test]
async fn without_redis_a_replica_holds_a_marked_lease_and_writes_statuses_alone() {
    let world = World::new().await;
    world.redis().kill().await.unwrap();
    let operator = world.operator().leader_elect().spawn().await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    wait_marked(&world, true).await;
    world.wait_not_ready(&operator, "Redis can't be reached").await;
    world
        .wait("the status says why", || async {
            let ready = world.condition("acme", "Ready").await.unwrap_or_default();
            if ready["status"] == "Unknown" { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    let status = world.status("acme").await;
    for absent in ["publishedDids", "publishedDidCount", "publishedHash", "lastPublishedTime"] {
        assert_eq!(status[absent], serde_json::Value::Null, "{absent}");
    }

    world.redis().restart().await.unwrap();
    wait_marked(&world, false).await;
    world.wait_live("+15550100001", Some("acme")).await;
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_user_without_a_command_that_publishing_needs_does_not_lead() {
    let world = World::new().await;
    for user in ["able", "unable"] {
        let rules = ["ACL", "SETUSER", user, "on", "nopass", "~*", "+@all"];
        world.redis_cli(&rules).await;
    }
    world.redis_cli(&["ACL", "SETUSER", "unable", "-hset"]).await;
    let url = |user: &str| format!("redis://{user}:any@{}/0", world.redis().address());
    let unable = world.operator().leader_elect().env("REDIS_URL", url("unable")).spawn().await;
    let able = world.operator().leader_elect().env("REDIS_URL", url("able")).spawn().await;
    world.wait_leading(&able).await;
    assert!(unable.metric("runtime_operator_leading").await < 1.0);
    able.stop().await.unwrap();
    // No other replica wants it: statuses are written at least.
    wait_marked(&world, true).await;
    assert!(mark(&world).await.unwrap().contains("NOPERM"), "{:?}", mark(&world).await);
    world.finish().await;
}

#[tokio::test]
async fn a_namespace_whose_role_is_missing_everywhere_leaves_the_leader_where_it_is() {
    let world = World::new().await;
    grant(&world, "get, list, watch, patch, create").await;
    let kubeconfig = world.cluster().service_account_kubeconfig(world.namespace(), "operator").await.unwrap();
    let leader = world.operator().leader_elect().kubeconfig(kubeconfig.clone()).start().await;
    world.wait_leading(&leader).await;
    let held_by = holder(&world).await;
    let follower = world.operator().leader_elect().kubeconfig(kubeconfig).start().await;
    // No replica can watch any more.
    let subject = service_account(world.namespace(), "operator");
    let leases = Some("get, list, watch, patch, create");
    Permissions { namespace: world.namespace(), subject, secrets: "get", leases }.grant(&world).await;
    world.apply(&tenant("acme").dids(["+15550100001"])).await;
    world.wait_live("+15550100001", Some("acme")).await;
    assert_eq!(holder(&world).await, held_by);
    assert!(follower.is_running());
    world.finish().await;
}
