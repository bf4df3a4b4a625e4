//! T2: the operator's API server is stale, since its connection to etcd is held, while a resource is deleted and created again
//! through another one. The operator's actions by its stale view take nothing from the new resource.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;
use test_support::proxy::EtcdProxy;
use test_support::{Operator, World, tenant};

use crate::full;
use crate::proxied::Proxied;
use crate::truth;

const OLD: &str = "+15550000001";
const NEW: &str = "+15550000002";
const ALSO_NEW: &str = "+15550000003";
const UNSEEN: &str = "+15550000004";
const STATUS_WRITES: &str = "runtime_operator_status_writes_total";
/// The grace period of an orphan, 60 s, and the time to find it.
const SWEPT_WITHIN: Duration = Duration::from_secs(120);

/// The number of statuses of `acme` that the API server refused to store, since the resource had changed.
fn refused_statuses(operator: &Operator) -> usize {
    let refused = |line: &&str| {
        line.contains("write skipped: resource has changed")
            && line.contains("/acme ")
            && line.contains("what=\"status\"")
    };
    operator.logs().lines().filter(refused).count()
}

/// Removes the finalizers of a resource, as a person who does not wait for the operator.
async fn delete_by_force(world: &World, name: &str) {
    world.patch(name, json!({ "metadata": { "finalizers": [] } })).await;
    world.delete(name).await;
    world.wait_deleted(name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_view_takes_nothing_from_a_recreated_resource() {
    let proxied = Proxied::new(World::with_own_cluster().await).await;
    let etcd = EtcdProxy::start(proxied.cluster().etcd_address()).await;
    let behind =
        proxied.cluster().add_api_server_through("kube-apiserver-behind", &etcd.address()).await.unwrap();
    proxied.kube.switch_to(behind.kubeconfig()).await;
    writes_by_an_old_view_are_refused(&proxied, &etcd).await;
    a_new_leader_with_an_old_view_leaves_alone_what_it_does_not_see(&proxied, &etcd).await;
    proxied.world.finish().await;
}

async fn writes_by_an_old_view_are_refused(proxied: &Proxied, etcd: &EtcdProxy) {
    let operator = proxied.start().await;
    proxied.apply(&tenant("acme").dids([OLD])).await;
    truth::wait(proxied).await;

    etcd.hold_watches();
    delete_by_force(proxied, "acme").await;
    proxied.apply(&tenant("acme").dids([NEW]).secret("of the new one")).await;
    let version = proxied.version("acme").await;
    let refused = refused_statuses(&operator);
    let stored = operator.metric(STATUS_WRITES).await;
    // An external change makes the operator check its record, and repair the key.
    proxied.exempt([OLD]);
    proxied.set_key(&format!("tenantmap:did:{OLD}"), "no-tenant").await;
    proxied.wait_live(OLD, Some("acme")).await;
    proxied
        .wait("a status by the old view is refused", || async {
            if refused_statuses(&operator) > refused { Ok(()) } else { Err(operator.log_tail()) }
        })
        .await;

    assert!(operator.metric(STATUS_WRITES).await <= stored, "none was stored");
    assert_eq!(proxied.version("acme").await, version, "the new resource is not written");
    assert_eq!(proxied.live(NEW).await, None, "the operator has not seen it");
    etcd.thaw();
    truth::wait(proxied).await;
    assert_eq!(proxied.live(OLD).await, None);
    assert_eq!(proxied.live(NEW).await.as_deref(), Some("acme"));
    proxied.resume_checks();

    // The same with an etcd that does not respond at all.
    etcd.freeze();
    proxied.set_dids("acme", [NEW, ALSO_NEW]).await;
    proxied.delete_key(&format!("tenantmap:did:{NEW}")).await;
    proxied.wait_metric(&operator, "runtime_operator_reconcile_errors_total", 1.0).await;
    etcd.thaw();
    truth::wait(proxied).await;
    proxied.delete("acme").await;
    proxied.wait_deleted("acme").await;
    assert!(operator.stop().await.unwrap().status.success());
}

async fn a_new_leader_with_an_old_view_leaves_alone_what_it_does_not_see(
    proxied: &Proxied,
    etcd: &EtcdProxy,
) {
    let leader = proxied.world.operator().leader_elect().start().await;
    proxied.wait_leading(&leader).await;
    let follower = proxied.operator().leader_elect().start().await;
    proxied.kube.lose_event(None);
    proxied.apply(&tenant("acme").dids([OLD])).await;
    truth::wait(proxied).await;
    proxied
        .wait("the follower has seen it", || async {
            // It watches the stale server: it has seen the events that this one sent.
            let seen = proxied.kube.events();
            // The Secret, the resource, its status, its finalizer.
            if seen >= 4 { Ok(()) } else { Err(format!("{seen} events")) }
        })
        .await;

    etcd.hold_watches();
    proxied.delete("acme").await;
    proxied.wait_deleted("acme").await;
    proxied.apply(&tenant("acme").dids([NEW, ALSO_NEW])).await;
    proxied.apply(&tenant("unseen").dids([UNSEEN])).await;
    truth::wait(proxied).await;
    let uid = proxied.get("acme").await.unwrap().uid().unwrap();
    let config = proxied.config_text("acme").await;
    leader.kill().await.unwrap();
    proxied.wait_leading(&follower).await;
    proxied.wait_metric(&follower, "runtime_operator_reconcile_errors_total", 2.0).await;

    let untouched = async || {
        assert_eq!(proxied.config_text("acme").await, config);
        assert_eq!(proxied.get("acme").await.unwrap().uid(), Some(uid.clone()));
        for (did, tenant) in
            [(NEW, Some("acme")), (ALSO_NEW, Some("acme")), (UNSEEN, Some("unseen")), (OLD, None)]
        {
            assert_eq!(proxied.live(did).await.as_deref(), tenant, "{did}");
        }
    };
    untouched().await;
    if full() {
        // A resource that it does not see leaves orphans, which the sweep would remove.
        proxied
            .wait_within(SWEPT_WITHIN, "the sweep finds out that they are no orphans", || async {
                let logs = follower.logs();
                let after = logs.split_once("removing orphaned keys").map(|(_, after)| after);
                let spared = after.is_some_and(|logs| logs.contains("the watch cache has not seen"));
                if spared { Ok(()) } else { Err(follower.log_tail()) }
            })
            .await;
        untouched().await;
    }
    etcd.thaw();
    truth::wait(proxied).await;
    untouched().await;
}
