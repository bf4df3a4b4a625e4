//! T5: the API server returns errors for a while, and connections to it die silently.

use std::time::Duration;

use serde_json::json;
use test_support::proxy::ErrorResponse;
use test_support::{World, tenant};

use crate::proxied::Proxied;
use crate::tally::{Tally, Usual};
use crate::{stride, truth};

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const MORE: &str = "+15550000003";
/// The number of consecutive requests that fail.
const IN_A_ROW: u32 = 4;
/// The API server's errors: a code, and `Retry-After` in seconds.
const REFUSALS: [(u16, Option<u32>); 5] =
    [(429, Some(1)), (500, None), (503, None), (429, None), (504, Some(1))];

/// Publishes two tenants.
async fn two_tenants(world: &World) {
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.apply(&tenant("globex").dids([TWO])).await;
    truth::wait(world).await;
}

async fn wait_rotated(world: &World) {
    world
        .wait_within(Duration::from_secs(60), "the new secret is live", || async {
            let live = world.config("acme").await.unwrap()["webhookSecret"].clone();
            if live == json!("rotated") { Ok(()) } else { Err(live.to_string()) }
        })
        .await;
}

/// Adds a DID, rotates a Secret and deletes a tenant, each preceded by consecutive errors.
async fn edit(proxied: &Proxied, refusal: Option<ErrorResponse>) {
    let burst = || {
        if let Some(refusal) = refusal {
            proxied.kube.fail_next(IN_A_ROW as usize, refusal);
            // Open watches would continue: they must be opened again, too.
            proxied.kube.cut_open();
        }
    };
    burst();
    proxied.set_dids("acme", [ONE, MORE]).await;
    proxied.wait_ready("acme").await;
    burst();
    proxied.apply_secret("acme-webhook", "rotated").await;
    wait_rotated(proxied).await;
    truth::wait(proxied).await;
    burst();
    proxied.delete("globex").await;
    proxied.wait_deleted("globex").await;
    truth::wait(proxied).await;
    assert_eq!(proxied.live(MORE).await.as_deref(), Some("acme"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeated_errors_of_the_api_server_delay_and_lose_nothing() {
    let proxied = Proxied::new(World::new().await).await;
    let _operator = proxied.start().await;
    let refusals = &REFUSALS[..if stride(2) == 1 { REFUSALS.len() } else { 3 }];
    let refusals =
        refusals.iter().map(|(code, retry_after)| ErrorResponse { code: *code, retry_after: *retry_after });
    let mut usual = Usual::default();
    for refusal in [None, None].into_iter().chain(refusals.map(Some)) {
        two_tenants(&proxied).await;
        let before = proxied.kube.failed();
        proxied.injector.disarm();
        let tally = Tally::begin(&proxied).await;

        edit(&proxied, refusal).await;

        let tally = tally.end(&proxied).await;
        match refusal {
            None => usual.add(tally),
            Some(refusal) => {
                assert_eq!(proxied.kube.failed() - before, u64::from(3 * IN_A_ROW), "{refusal:?}");
                usual.assert_no_more(&tally, &format!("{refusal:?}"));
            }
        }
        proxied.set_dids("acme", [ONE]).await;
    }
    proxied.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silently_dead_connections_are_replaced() {
    let proxied = Proxied::new(World::new().await).await;
    let _operator = proxied.start().await;
    two_tenants(&proxied).await;

    proxied.kube.stall_open();
    proxied.set_dids("acme", [ONE, MORE]).await;
    proxied.apply_secret("acme-webhook", "rotated").await;
    proxied.delete("globex").await;

    // A watch lasts for 30 s, and is abandoned 5 s later.
    proxied
        .wait_within(Duration::from_secs(60), "the edit is live", || async {
            let live = proxied.live(MORE).await;
            if live.as_deref() == Some("acme") { Ok(()) } else { Err(format!("it is live for {live:?}")) }
        })
        .await;
    wait_rotated(&proxied).await;
    proxied.wait_deleted("globex").await;
    truth::wait(&proxied).await;
    proxied.world.finish().await;
}
