//! T5: the API server refuses for a while, and connections to it die without a word.

use std::time::Duration;

use serde_json::json;

use crate::gate::Refusal;
use crate::gated::Gated;
use crate::support::{World, tenant};
use crate::tally::{Tally, Usual};
use crate::{stride, truth};

const ONE: &str = "+15550000001";
const TWO: &str = "+15550000002";
const MORE: &str = "+15550000003";
/// How many requests are refused in a row.
const BURST: u32 = 4;
/// How the API server refuses: a code, and for how many seconds it asks to be left alone.
const REFUSALS: [(u16, Option<u32>); 5] =
    [(429, Some(1)), (500, None), (503, None), (429, None), (504, Some(1))];

/// Two tenants that are live.
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

/// A number that comes, a rotation, a deletion, each with a burst of refusals before it.
async fn edit(gated: &Gated, refusal: Option<Refusal>) {
    let burst = || {
        if let Some(refusal) = refusal {
            gated.kube.refuse(BURST as usize, refusal);
            // Watches that stand would go on: they are to be made again, too.
            gated.kube.cut_open();
        }
    };
    burst();
    gated.set_dids("acme", [ONE, MORE]).await;
    gated.wait_ready("acme").await;
    burst();
    gated.apply_secret("acme-webhook", "rotated").await;
    wait_rotated(gated).await;
    truth::wait(gated).await;
    burst();
    gated.delete("globex").await;
    gated.wait_gone("globex").await;
    truth::wait(gated).await;
    assert_eq!(gated.live(MORE).await.as_deref(), Some("acme"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_that_refuses_in_bursts_delays_and_loses_nothing() {
    let gated = Gated::new(World::new().await).await;
    let _operator = gated.start().await;
    let refusals = &REFUSALS[..if stride(2) == 1 { REFUSALS.len() } else { 3 }];
    let refusals =
        refusals.iter().map(|(code, retry_after)| Refusal { code: *code, retry_after: *retry_after });
    let mut usual = Usual::default();
    for refusal in [None, None].into_iter().chain(refusals.map(Some)) {
        two_tenants(&gated).await;
        let before = gated.kube.refused();
        gated.fuse.disarm();
        let tally = Tally::begin(&gated).await;

        edit(&gated, refusal).await;

        let tally = tally.end(&gated).await;
        match refusal {
            None => usual.add(tally),
            Some(refusal) => {
                assert_eq!(gated.kube.refused() - before, u64::from(3 * BURST), "{refusal:?}");
                usual.assert_no_more(&tally, &format!("{refusal:?}"));
            }
        }
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
    gated.set_dids("acme", [ONE, MORE]).await;
    gated.apply_secret("acme-webhook", "rotated").await;
    gated.delete("globex").await;

    // A watch lasts for 30 s, and is given up 5 s later.
    gated
        .wait_within(Duration::from_secs(60), "the edit is live", || async {
            let live = gated.live(MORE).await;
            if live.as_deref() == Some("acme") { Ok(()) } else { Err(format!("it is live for {live:?}")) }
        })
        .await;
    wait_rotated(&gated).await;
    gated.wait_gone("globex").await;
    truth::wait(&gated).await;
    gated.world.finish().await;
}
