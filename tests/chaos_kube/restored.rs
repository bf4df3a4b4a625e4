//! T6: etcd is restored from an older snapshot. Edits are undone, deleted resources are back, newer ones are gone, and
//! resourceVersions restart further back: Redis must follow the resources as they are now.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::{World, tenant};

use crate::full;
use crate::proxied::Proxied;
use crate::truth;

const EDITED: &str = "+15550000001";
const ADDED: &str = "+15550000002";
const DELETED: &str = "+15550000003";
const LATER: &str = "+15550000004";
const MADE_AGAIN: &str = "+15550000005";
const SINCE: &str = "+15550000006";
/// The grace period of an orphan, and the time to find it.
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
    world.wait_deleted("made-again").await;
    world.apply(&tenant("made-again").dids([MADE_AGAIN, LATER])).await;
    world.apply(&tenant("since").dids([SINCE])).await;
    // Increases the resourceVersion, so that the restored etcd needs long to reach it again.
    for n in 0..50 {
        world.apply_secret("noise", &n.to_string()).await;
    }
    truth::wait(world).await;
    assert_eq!(secret_of(world, "edited").await, "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_follows_a_restored_etcd() {
    const NAMES: [&str; 3] = ["edited", "deleted", "made-again"];
    let proxied = Proxied::new(World::with_own_cluster().await).await;
    let operator = proxied.start().await;
    before_the_snapshot(&proxied).await;
    let snapshot = proxied.cluster().snapshot().await.unwrap();
    after_the_snapshot(&proxied).await;

    proxied.cluster().restore(&snapshot).await.unwrap();

    truth::wait_of(&proxied, &NAMES).await;
    assert_eq!(secret_of(&proxied, "edited").await, "first");
    for did in [ADDED, LATER] {
        assert_eq!(proxied.live(did).await, None, "{did}");
    }
    // From now on no edit and no rotation is missed.
    proxied.set_dids("deleted", [DELETED, ADDED]).await;
    proxied.set_dids("edited", [EDITED, LATER]).await;
    proxied.apply_secret("made-again-webhook", "third").await;
    proxied.wait_live(ADDED, Some("deleted")).await;
    truth::wait_of(&proxied, &NAMES).await;
    assert_eq!(secret_of(&proxied, "made-again").await, json!("third"));

    // The resource vanished without an event: its DID stays mapped for the grace period.
    assert_eq!(proxied.live(SINCE).await.as_deref(), Some("since"));
    assert!(proxied.get("since").await.is_none());
    if full() {
        let restored = std::time::Instant::now();
        truth::wait_within(&proxied, SWEPT_WITHIN).await;
        println!("the orphan's grace of {GRACE:?} was over after {:?}", restored.elapsed());
        assert_eq!(proxied.live(SINCE).await, None);
    }
    assert!(operator.is_running());
    proxied.world.finish().await;
}
