//! T5: the API server refuses for a while, and connections to it die without a word.

use serde_json::json;

use crate::gate::Refusal;
use crate::gated::Gated;
use crate::support::{World, tenant};
use crate::truth;

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const MORE: &str = "+15550000003";

/// Two tenants that are live.
async fn two_tenants(world: &World) {
    world.apply(&tenant("acme").dids([ONE])).await;
    world.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(world).await;
}

/// A number that moves, a rotation, a deletion.
async fn edit(world: &World) {
    world.set_dids("acme", [ONE, MORE]).await;
    world.apply_secret("acme-webhook", "rotated").await;
    world.delete("globex").await;
}

async fn wait_edited(world: &World) {
    world.wait_ready("acme").await;
    world.wait_gone("globex").await;
    truth::wait(world).await;
    assert_eq!(world.live(MORE).await.as_deref(), Some("acme"));
    assert_eq!(world.config("acme").await.unwrap()["webhookSecret"], json!("rotated"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_refuses_in_bursts_delays_and_loses_nothing() {
    let gated = Gated::new(World::new().await).await;
    let _operator = gated.start().await;
    let bursts = [(429, Some(1)), (429, None), (500, None), (503, None), (504, None)];
    for (code, retry_after) in bursts {
        two_tenants(&gated).await;
        gated.world.apply_secret("acme-webhook", "first").await;
        truth::wait(&gated).await;

        let before = gated.kube.refused();
        gated.kube.refuse(8, Refusal { code, retry_after });
        // Watches that stand would go on: they are to be made again, too.
        gated.kube.cut_open();
        edit(&gated).await;

        wait_edited(&gated).await;
        assert_eq!(gated.kube.refused() - before, 8, "{code}");
        gated.set_dids("acme", [ONE]).await;
    }
    gated.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_without_a_word_are_given_up() {
    let gated = Gated::new(World::new().await).await;
    let _operator = gated.start().await;
    two_tenants(&gated).await;

    gated.kube.stall_open();
    edit(&gated).await;

    gated
        .wait_within(std::time::Duration::from_secs(60), "the edit is live", || async {
            let live = gated.live(MORE).await;
            if live.as_deref() == Some("acme") { Ok(()) } else { Err(format!("it is live for {live:?}")) }
        })
        .await;
    wait_edited(&gated).await;
    gated.world.finish().await;
}
