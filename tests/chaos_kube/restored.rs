//! T6: etcd is restored from an older snapshot. What was edited is as it was, what was deleted is back, what was made
//! since is gone, and versions count from further back: what the resources say now counts.

use std::time::Duration;

use serde_json::{Value, json};

use crate::full;
use crate::gated::Gated;
use crate::support::{World, tenant};
use crate::truth;

const EDITED: &str = "+15550000001";
const ADDED: &str = "+15550000002";
const DELETED: &str = "+15550000003";
const LATER: &str = "+15550000004";
const MADE_AGAIN: &str = "+15550000005";
const SINCE: &str = "+15550000006";
/// The grace of an orphan, and what it takes to find it.
const GRACE: Duration = Duration::from_secs(60);
const SWEPT_WITHIN: Duration = Duration::from_secs(120);

async fn secret_of(world: &World, tenant: &str) -> Value {
    world.config(tenant).await.unwrap()["webhookSecret"].clone()
}

async fn before_the_snapshot(world: &World) {
    world.apply(&tenant("edited").dids([EDITED]).secret("first")).await;
    world.apply(&tenant("deleted").dids([DELETED])).await;
    world.apply(&tenant("made-again").dids([MADE_AGAIN])).await;
    truth::wait(world).await;
}

async fn after_the_snapshot(world: &World) {
    world.set_dids("edited", [ADDED]).await;
    world.set_dids("edited", [ADDED, EDITED]).await;
    world.apply_secret("edited-webhook", "second").await;
    world.delete("deleted").await;
    world.delete("made-again").await;
    world.wait_gone("made-again").await;
    world.apply(&tenant("made-again").dids([MADE_AGAIN, LATER])).await;
    world.apply(&tenant("since").dids([SINCE])).await;
    // Versions move on, so that it takes the store long to come so far again.
    for n in 0..50 {
        world.apply_secret("noise", &n.to_string()).await;
    }
    truth::wait(world).await;
    assert_eq!(secret_of(world, "edited").await, "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restored_etcd_says_is_what_redis_holds() {
    const NAMES: [&str; 3] = ["edited", "deleted", "made-again"];
    let gated = Gated::new(World::with_own_cluster().await).await;
    let operator = gated.start().await;
    before_the_snapshot(&gated).await;
    let snapshot = gated.cluster().snapshot().await.unwrap();
    after_the_snapshot(&gated).await;

    gated.cluster().restore(&snapshot).await.unwrap();

    truth::wait_of(&gated, &NAMES).await;
    assert_eq!(secret_of(&gated, "edited").await, "first");
    for did in [ADDED, LATER] {
        assert_eq!(gated.live(did).await, None, "{did}");
    }
    // From now on nothing is missed: neither an edit nor a rotation.
    gated.set_dids("deleted", [DELETED, ADDED]).await;
    gated.set_dids("edited", [EDITED, LATER]).await;
    gated.apply_secret("made-again-webhook", "third").await;
    gated.wait_live(ADDED, Some("deleted")).await;
    truth::wait_of(&gated, &NAMES).await;
    assert_eq!(secret_of(&gated, "made-again").await, json!("third"));

    // The resource is gone without a word: its number rings on until it is sure that it is.
    assert_eq!(gated.live(SINCE).await.as_deref(), Some("since"));
    assert!(gated.get("since").await.is_none());
    if full() {
        let restored = std::time::Instant::now();
        truth::wait_within(&gated, SWEPT_WITHIN).await;
        println!("the orphan's grace of {GRACE:?} was over after {:?}", restored.elapsed());
        assert_eq!(gated.live(SINCE).await, None);
    }
    assert!(operator.is_running());
    gated.world.finish().await;
}
