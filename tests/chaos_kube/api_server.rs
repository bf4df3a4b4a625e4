//! T5 and T4: the API server restarts; events that a watch missed meanwhile are compacted away.

use serde_json::{Value, json};
use test_support::{World, tenant};

use crate::proxied::Proxied;
use crate::truth;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";
const FOUR: &str = "+15550000004";

/// Sends a request to etcd through its JSON gateway (<https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/>).
async fn etcd(world: &World, path: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v3/{path}", world.cluster().etcd_address());
    let answer = client.post(url).json(&body).send().await.unwrap().error_for_status().unwrap();
    answer.json().await.unwrap()
}

/// Compacts all revisions before the current one.
async fn compact(world: &World) {
    let now = etcd(world, "kv/range", json!({ "key": "AA==" })).await;
    let revision =
        now["header"]["revision"].as_str().expect("JSON has 64-bit integers as strings").to_owned();
    etcd(world, "kv/compaction", json!({ "revision": revision, "physical": true })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_or_compacted_api_server_costs_only_a_list() {
    let proxied = Proxied::new(World::with_own_cluster().await).await;
    let _operator = proxied.start().await;
    proxied.apply(&tenant("acme").dids([ONE])).await;
    proxied.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(&proxied).await;

    // It restarts: published keys stay, and earlier changes are published.
    proxied.cluster().api_server().kill().await.unwrap();
    assert_eq!(proxied.live(ONE).await.as_deref(), Some("acme"));
    proxied.cluster().api_server().restart().await.unwrap();
    proxied.set_dids("acme", [ONE, THREE]).await;
    proxied.wait_ready("acme").await;
    truth::wait(&proxied).await;

    // A kind whose watch is not open yet would be listed for that, and not because its watch expired.
    for kind in ["runtimetenants", "secrets"] {
        let open = || async {
            let open = proxied.kube.open_watches(kind);
            if open == 1 { Ok(()) } else { Err(format!("{open} open watches of {kind}")) }
        };
        proxied.wait("the watches are open again", open).await;
    }

    // Events during the operator's disconnection are compacted away, and no watch cache holds them.
    let lists = proxied.kube.lists();
    proxied.kube.lose_event(None);
    proxied.kube.close();
    proxied.set_dids("acme", [ONE, FOUR]).await;
    proxied.apply_secret("acme-webhook", "rotated").await;
    proxied.delete("globex").await;
    proxied.apply(&tenant("initech").dids([THREE])).await;
    compact(&proxied).await;
    proxied.cluster().api_server().restart().await.unwrap();
    proxied.kube.open();

    proxied.wait_deleted("globex").await;
    proxied.wait_ready("initech").await;
    proxied.wait_ready("acme").await;
    truth::wait(&proxied).await;
    assert_eq!(proxied.live(THREE).await.as_deref(), Some("initech"));
    let more = |kind: &str| proxied.kube.lists()[kind] - lists[kind];
    assert_eq!((more("runtimetenants"), more("secrets")), (1, 1), "one list of each");
    assert_eq!(proxied.kube.too_old(), 2, "each watch expired");
    proxied.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_in_redis_between_load_and_sync_are_repaired() {
    let proxied = Proxied::new(World::new().await).await;
    let operator = proxied.start().await;
    proxied.apply(&tenant("acme").dids([ONE])).await;
    proxied.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(&proxied).await;
    operator.kill().await.unwrap();

    proxied.kube.close();
    let operator = proxied.spawn().await;
    proxied
        .wait("Redis was read", || async {
            let logs = operator.logs();
            if logs.contains("loaded ownership records records=2 broken=0") { Ok(()) } else { Err(logs) }
        })
        .await;
    proxied.exempt([ONE]);
    proxied.delete_key(&format!("tenantmap:did:{ONE}")).await;
    proxied.kube.open();

    proxied.wait_live(ONE, Some("acme")).await;
    truth::wait(&proxied).await;
    proxied.resume_checks();
    assert!(operator.is_running());
    proxied.world.finish().await;
}
