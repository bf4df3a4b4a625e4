//! T2: the operator's API server is behind, for its etcd is held up, while through another one a resource is deleted and
//! made again. What the operator does by its old view takes nothing away from the new resource.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::json;

use crate::full;
use crate::gate::EtcdGate;
use crate::gated::Gated;
use crate::support::{World, tenant};
use crate::truth;

const OLD: &str = "+15550000001";
const NEW: &str = "+15550000002";
const ALSO_NEW: &str = "+15550000003";
const UNSEEN: &str = "+15550000004";
/// How long an orphan is spared, 60 s, and what it takes to find it.
const SWEPT_WITHIN: Duration = Duration::from_secs(120);

/// What a person does who does not want to wait for the operator.
async fn delete_by_force(world: &World, name: &str) {
    world.patch(name, json!({ "metadata": { "finalizers": [] } })).await;
    world.delete(name).await;
    world.wait_gone(name).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_by_an_old_view_takes_nothing_from_a_resource_that_was_made_again() {
    let gated = Gated::new(World::with_own_cluster().await).await;
    let etcd = EtcdGate::start(gated.cluster().etcd_address()).await;
    let behind =
        gated.cluster().add_api_server_through("kube-apiserver-behind", &etcd.address()).await.unwrap();
    gated.kube.switch_to(behind.kubeconfig()).await;
    writes_by_an_old_view_are_refused(&gated, &etcd).await;
    a_new_leader_with_an_old_view_leaves_alone_what_it_does_not_see(&gated, &etcd).await;
    gated.world.finish().await;
}

async fn writes_by_an_old_view_are_refused(gated: &Gated, etcd: &EtcdGate) {
    let operator = gated.start().await;
    gated.apply(&tenant("acme").dids([OLD])).await;
    truth::wait(gated).await;

    etcd.hold_watches();
    delete_by_force(gated, "acme").await;
    gated.apply(&tenant("acme").dids([NEW]).secret("of the new one")).await;
    let version = gated.version("acme").await;
    // Somebody's mistake has the operator look at what it knows, and put it right.
    gated.exempt([OLD]);
    gated.set_key(&format!("tenantmap:did:{OLD}"), "nobody").await;
    gated.wait_live(OLD, Some("acme")).await;
    gated.wait_metric(&operator, "runtime_operator_status_writes_total", 2.0).await;

    assert_eq!(gated.version("acme").await, version, "the new resource is not written to");
    assert_eq!(gated.live(NEW).await, None, "it has not been seen");
    etcd.thaw();
    truth::wait(gated).await;
    assert_eq!(gated.live(OLD).await, None);
    assert_eq!(gated.live(NEW).await.as_deref(), Some("acme"));
    gated.heed_all();

    // The same with an etcd that does not answer at all.
    etcd.freeze();
    gated.set_dids("acme", [NEW, ALSO_NEW]).await;
    gated.delete_key(&format!("tenantmap:did:{NEW}")).await;
    gated.wait_metric(&operator, "runtime_operator_reconcile_errors_total", 1.0).await;
    etcd.thaw();
    truth::wait(gated).await;
    gated.delete("acme").await;
    gated.wait_gone("acme").await;
    assert!(operator.stop().await.unwrap().status.success());
}

async fn a_new_leader_with_an_old_view_leaves_alone_what_it_does_not_see(gated: &Gated, etcd: &EtcdGate) {
    let leader = gated.world.operator().leader_elect().start().await;
    gated.wait_leading(&leader).await;
    let follower = gated.operator().leader_elect().start().await;
    gated.kube.lose_event(None);
    gated.apply(&tenant("acme").dids([OLD])).await;
    truth::wait(gated).await;
    gated
        .wait("the follower sees it", || async {
            // It watches the server that is behind: what is sent to that one was seen by it.
            let seen = gated.kube.events();
            // Its Secret, it, its status, its finalizer.
            if seen >= 4 { Ok(()) } else { Err(format!("{seen} events")) }
        })
        .await;

    etcd.hold_watches();
    gated.delete("acme").await;
    gated.wait_gone("acme").await;
    gated.apply(&tenant("acme").dids([NEW, ALSO_NEW])).await;
    gated.apply(&tenant("unseen").dids([UNSEEN])).await;
    truth::wait(gated).await;
    let uid = gated.get("acme").await.unwrap().uid().unwrap();
    let config = gated.config_text("acme").await;
    leader.kill().await.unwrap();
    gated.wait_leading(&follower).await;
    gated.wait_metric(&follower, "runtime_operator_reconcile_errors_total", 2.0).await;

    let untouched = async || {
        assert_eq!(gated.config_text("acme").await, config);
        assert_eq!(gated.get("acme").await.unwrap().uid(), Some(uid.clone()));
        for (did, tenant) in
            [(NEW, Some("acme")), (ALSO_NEW, Some("acme")), (UNSEEN, Some("unseen")), (OLD, None)]
        {
            assert_eq!(gated.live(did).await.as_deref(), tenant, "{did}");
        }
    };
    untouched().await;
    if full() {
        // What it does not see is an orphan to it, which the sweep would remove.
        gated
            .wait_within(SWEPT_WITHIN, "the sweep finds out that they are no orphans", || async {
                let spared = follower.logs().contains("is not removed yet");
                if spared { Ok(()) } else { Err(follower.log_tail()) }
            })
            .await;
        untouched().await;
    }
    etcd.thaw();
    truth::wait(gated).await;
    untouched().await;
}
