//! Three published tenants, and an operator whose connections to Redis can be broken.

use std::collections::BTreeMap;

use local_cluster::{Edge, RedisOptions, Toxiproxy};
use serde_json::json;
use test_support::{Journal, Operator, World, tenant};

use crate::truth;

/// The tenants; each has the DID at its index.
pub const NAMES: [&str; 3] = ["t0", "t1", "t2"];
pub const DIDS: [&str; 3] = ["+15550000000", "+15550000001", "+15550000002"];

/// The metric of status writes.
pub const STATUS_WRITES: &str = "runtime_operator_status_writes_total";

pub struct Scene {
    pub world: World,
    pub operator: Operator,
    /// The proxy between the operator and Redis.
    pub way: Edge,
    /// The number of status writes that an undisturbed edit of one tenant costs.
    usual: f64,
    next: std::cell::Cell<u32>,
    _toxiproxy: Toxiproxy,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(RedisOptions::default()).await
    }

    /// Starts with a Redis of another kind.
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

    /// Gives `t0` a new DID.
    pub async fn edit(&self) -> String {
        self.next.set(self.next.get() + 1);
        let did = format!("+1555777{:04}", self.next.get());
        self.world.set_dids("t0", [did.as_str()]).await;
        did
    }

    pub async fn wait_true(&self) {
        truth::wait_true(&self.world, self.world.redis()).await;
    }

    /// Returns the versions of the resources that the test does not edit, which any write would change.
    pub async fn untouched(&self) -> Vec<Option<String>> {
        vec![self.world.version("t1").await, self.world.version("t2").await]
    }

    /// Checks that each loss of all data costs every resource at most one status write, for the publish time.
    pub async fn assert_status_writes(&self, losses: u32, since: f64) {
        let written = self.status_writes().await - since;
        let most = f64::from(losses) * 3.0;
        assert!(written <= most, "{written} statuses were written for {losses} losses");
    }

    pub async fn status_writes(&self) -> f64 {
        self.operator.metric(STATUS_WRITES).await
    }

    /// Begins a fault, edits `t0`, and ends the fault once the operator reports it; then everything must agree, and the writes
    /// must be those of an undisturbed edit.
    pub async fn edit_while(&self, why: &str, begin: impl AsyncFnOnce(), end: impl AsyncFnOnce()) {
        let (untouched, statuses) = (self.untouched().await, self.status_writes().await);
        let mut journal = self.world.journal().await;
        begin().await;
        self.edit().await;
        self.world.wait_not_ready(&self.operator, why).await;
        end().await;
        self.wait_true().await;
        self.world.wait_operator_ready(&self.operator).await;
        assert_eq!(self.untouched().await, untouched, "they had no pending change");
        let statuses = self.status_writes().await - statuses;
        // A retry may have reported the outage before the edit was published.
        assert!(statuses <= self.usual + 1.0, "{statuses} statuses were written, usually {}", self.usual);
        once_a_key(&mut journal).await;
    }

    pub async fn finish(self) {
        self.world.finish().await;
    }
}

/// Applies the three tenants, each with its DID.
pub async fn apply_all(world: &World) {
    for (name, did) in NAMES.iter().zip(DIDS) {
        world.apply(&tenant(name).dids([did])).await;
    }
}

/// Returns the number of writes of each key of the contract since the journal was last read.
pub async fn written(journal: &mut Journal) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for (key, _) in journal.writes().await {
        if key.starts_with("tenantmap:did:") || key.starts_with("tenantcfg:") {
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
}

/// Checks that no key of the contract was written more than once, however often it was tried.
pub async fn once_a_key(journal: &mut Journal) {
    let written = written(journal).await;
    assert!(!written.is_empty(), "nothing was written");
    assert!(written.values().all(|times| *times == 1), "{written:?}");
}

/// Edits `t0` once more, to check that everything works.
pub async fn goes_on(scene: &Scene) {
    let did = scene.edit().await;
    scene.world.wait_live(&did, Some("t0")).await;
    scene.wait_true().await;
    scene.world.patch("t0", json!({ "spec": { "dids": [DIDS[0]] } })).await;
    scene.wait_true().await;
}
