//! Three tenants that are live, and an operator whose way to Redis can be broken.

use std::collections::BTreeMap;

use local_cluster::{Edge, RedisOptions, Toxiproxy};
use serde_json::json;

use crate::support::{Journal, Operator, World, tenant};
use crate::truth;

/// The tenants; each has the number of the same place.
pub const NAMES: [&str; 3] = ["t0", "t1", "t2"];
pub const DIDS: [&str; 3] = ["+15550000000", "+15550000001", "+15550000002"];

/// What counts the writes of statuses.
pub const STATUS_WRITES: &str = "runtime_operator_status_writes_total";

pub struct Scene {
    pub world: World,
    pub operator: Operator,
    /// Between the operator and Redis.
    pub way: Edge,
    /// What an edit of one tenant costs when nothing is in its way: writes of statuses.
    usual: f64,
    next: std::cell::Cell<u32>,
    _toxiproxy: Toxiproxy,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(RedisOptions::default()).await
    }

    /// With a Redis of another kind.
    pub async fn with(options: RedisOptions) -> Self {
        let world = World::with_redis(options).await;
        let toxiproxy = Toxiproxy::start().await.unwrap();
        let way = toxiproxy.edge("redis", &world.redis().address()).await.unwrap();
        let operator =
            world.operator().env("REDIS_URL", format!("redis://{}/0", way.address())).start().await;
        apply_all(&world).await;
        let mut scene = Self {
            world,
            operator,
            way,
            usual: 0.0,
            next: std::cell::Cell::default(),
            _toxiproxy: toxiproxy,
        };
        truth::wait_true(&scene.world, scene.world.redis()).await;
        let before = scene.status_writes().await;
        scene.edit().await;
        scene.wait_true().await;
        scene.usual = scene.status_writes().await - before;
        scene
    }

    /// Gives `t0` another number, which nobody has had.
    pub async fn edit(&self) -> String {
        self.next.set(self.next.get() + 1);
        let did = format!("+1555777{:04}", self.next.get());
        self.world.set_dids("t0", [did.as_str()]).await;
        did
    }

    pub async fn wait_true(&self) {
        truth::wait_true(&self.world, self.world.redis()).await;
    }

    /// What the resources that nobody touches look like: a write to one is another version.
    pub async fn untouched(&self) -> Vec<Option<String>> {
        vec![self.world.version("t1").await, self.world.version("t2").await]
    }

    /// Losses of everything, each repaired, cost every resource at most the write that says when it was published.
    pub async fn told_of_losses(&self, losses: u32, since: f64) {
        let written = self.status_writes().await - since;
        let most = f64::from(losses) * 3.0;
        assert!(written <= most, "{written} statuses were written for {losses} losses");
    }

    pub async fn status_writes(&self) -> f64 {
        self.operator.metric(STATUS_WRITES).await
    }

    /// Breaks something, edits `t0`, and ends what was broken once the operator knows of it; then all is right, at the
    /// cost of what an edit costs anyway.
    pub async fn edit_while(&self, why: &str, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
        let (untouched, statuses) = (self.untouched().await, self.status_writes().await);
        let mut journal = self.world.journal().await;
        begin().await;
        self.edit().await;
        self.world.wait_not_ready(&self.operator, why).await;
        end().await;
        self.wait_true().await;
        self.world.wait_operator_ready(&self.operator).await;
        assert_eq!(self.untouched().await, untouched, "nobody asked for a write to them");
        let statuses = self.status_writes().await - statuses;
        // A retry may have told of the outage before the edit was seen to be done.
        assert!(statuses <= self.usual + 1.0, "{statuses} statuses were written, usually {}", self.usual);
        once_a_key(&mut journal).await;
    }

    pub async fn finish(self) {
        self.world.finish().await;
    }
}

/// Applies the three, each with its number.
pub async fn apply_all(world: &World) {
    for (name, did) in NAMES.iter().zip(DIDS) {
        world.apply(&tenant(name).dids([did])).await;
    }
}

/// How often each key of the contract was written since the journal was asked last.
pub async fn written(journal: &mut Journal) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for (key, _) in journal.writes().await {
        if key.starts_with("tenantmap:did:") || key.starts_with("tenantcfg:") {
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

/// No key of the contract was written more than once, however often it was tried.
pub async fn once_a_key(journal: &mut Journal) {
    let written = written(journal).await;
    assert!(!written.is_empty(), "something was to be written");
    assert!(written.values().all(|times| *times == 1), "{written:?}");
}

/// Edits `t0` once more, to see that all works.
pub async fn goes_on(scene: &Scene) {
    let did = scene.edit().await;
    scene.world.wait_live(&did, Some("t0")).await;
    scene.wait_true().await;
    scene.world.patch("t0", json!({ "spec": { "dids": [DIDS[0]] } })).await;
    scene.wait_true().await;
}
