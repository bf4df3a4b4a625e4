//! T5 and T4: the API server ends and comes back; what a watch missed meanwhile is compacted away.

use serde_json::{Value, json};

use crate::gated::Gated;
use crate::support::{World, tenant};
use crate::truth;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const THREE: &str = "+15550000003";
const FOUR: &str = "+15550000004";

/// Asks etcd through its JSON gateway (<https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/>).
async fn etcd(world: &World, path: &str, body: Value) -> Value {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/v3/{path}", world.cluster().etcd_address());
    let answer = client.post(url).json(&body).send().await.unwrap().error_for_status().unwrap();
    answer.json().await.unwrap()
}

/// Forgets all that was before now.
async fn compact(world: &World) {
    let now = etcd(world, "kv/range", json!({ "key": "AA==" })).await;
    let revision = now["header"]["revision"].as_str().expect("a 64-bit number is text").to_owned();
    etcd(world, "kv/compaction", json!({ "revision": revision, "physical": true })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_ends_and_one_that_forgets_cost_nothing_but_a_list() {
    let gated = Gated::new(World::with_own_cluster().await).await;
    let _operator = gated.start().await;
    gated.apply(&tenant("acme").dids([ONE])).await;
    gated.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(&gated).await;

    // It ends: what is live stays, and what was changed before is caught up.
    gated.cluster().api_server().kill().await.unwrap();
    assert_eq!(gated.live(ONE).await.as_deref(), Some("acme"));
    gated.cluster().api_server().restart().await.unwrap();
    gated.set_dids("acme", [ONE, THREE]).await;
    gated.wait_ready("acme").await;
    truth::wait(&gated).await;

    // What happens while the operator is cut off is compacted away, and no watch cache remembers it.
    let lists = gated.kube.lists();
    gated.kube.lose_event(None);
    gated.kube.close();
    gated.set_dids("acme", [ONE, FOUR]).await;
    gated.apply_secret("acme-webhook", "rotated").await;
    gated.delete("globex").await;
    gated.apply(&tenant("initech").dids([THREE])).await;
    compact(&gated).await;
    gated.cluster().api_server().restart().await.unwrap();
    gated.kube.open();

    gated.wait_gone("globex").await;
    gated.wait_ready("initech").await;
    gated.wait_ready("acme").await;
    truth::wait(&gated).await;
    assert_eq!(gated.live(THREE).await.as_deref(), Some("initech"));
    let more = |kind: &str| gated.kube.lists()[kind] - lists[kind];
    assert_eq!((more("runtimetenants"), more("secrets")), (1, 1), "one list of each");
    assert_eq!(gated.kube.too_old(), 2, "each watch was told that it is too old");
    gated.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_to_redis_after_a_start_has_read_it_and_before_all_is_listed_is_put_right() {
    let gated = Gated::new(World::new().await).await;
    let operator = gated.start().await;
    gated.apply(&tenant("acme").dids([ONE])).await;
    gated.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(&gated).await;
    operator.kill().await.unwrap();

    gated.kube.close();
    let operator = gated.spawn().await;
    gated
        .wait("Redis was read", || async {
            let logs = operator.logs();
            if logs.contains("Redis was read records=2 broken=0") { Ok(()) } else { Err(logs) }
        })
        .await;
    gated.exempt([ONE]);
    gated.delete_key(&format!("tenantmap:did:{ONE}")).await;
    gated.kube.open();

    gated.wait_live(ONE, Some("acme")).await;
    truth::wait(&gated).await;
    gated.heed_all();
    assert!(operator.is_running());
    gated.world.finish().await;
}
