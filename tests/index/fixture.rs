//! Resources, and an index that has their Secret.

use runtime_operator::domain::claims::Published;
use runtime_operator::domain::compile;
use runtime_operator::domain::index::{
    CachedTenant, Effects, Index, Interners, OperationResult, Recorded, RedisChange, Start, TenantSnapshot,
};
use runtime_operator::domain::plan::{Outcome, Plan, PlanInput, PublishedVersion, Rejections};
use runtime_operator::domain::secret::SecretVersion;
use runtime_operator::domain::{ResourceName, Uid};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub const DID: &str = "+15551234567";
pub const OTHER_DID: &str = "+15557654321";

/// A resource, and what changes about it.
#[derive(Clone, Debug)]
pub struct Fixture {
    pub name: &'static str,
    pub uid: &'static str,
    pub dids: Vec<&'static str>,
    pub version: u64,
    pub generation: i64,
    pub deleted: bool,
    pub status: Value,
}

pub fn tenant(name: &'static str) -> Fixture {
    let (dids, status) = (vec![DID], json!(null));
    Fixture { name, uid: name, dids, version: 1, generation: 1, deleted: false, status }
}

impl Fixture {
    fn object(&self, list: u32) -> CachedTenant {
        let raw = |value: &Value| RawValue::from_string(value.to_string()).unwrap();
        let mut meta = json!({
            "name": self.name, "namespace": "voice", "uid": self.uid, "generation": self.generation,
            "resourceVersion": self.version.to_string(), "creationTimestamp": "2026-01-01T00:00:00Z",
        });
        if self.deleted {
            meta["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        }
        let spec = json!({
            "tenantId": self.name, "dids": self.dids, "webhookSecretRef": { "name": "hook" },
            "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
            "stt": { "mode": "disabled", "chunkMs": 500 },
            "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" },
        });
        let meta = serde_json::from_value(meta).unwrap();
        CachedTenant::new(
            meta,
            Some(raw(&spec)),
            Some(&raw(&self.status)),
            list,
            None,
            &mut Interners::default(),
        )
    }

    pub fn apply(&self, index: &mut Index) -> Effects {
        let object = self.object(1);
        let claimed = compile::claimed(object.spec());
        index.apply(object, Some(claimed), false)
    }

    /// The same spec again, as after a write of the operator's own.
    pub fn apply_again(&self, index: &mut Index) -> Effects {
        index.apply(self.object(1), None, false)
    }

    /// The same in a list.
    pub fn list(&self, index: &mut Index, list: u32) -> Effects {
        let object = self.object(list);
        let claimed = compile::claimed(object.spec());
        index.apply(object, Some(claimed), true)
    }
}

pub fn uid(name: &str) -> Uid {
    Uid::from(name)
}

/// An index that has synced, with the Secret of all fixtures.
pub fn synced() -> Index {
    let mut index = Index::new(true);
    index.mark_synced();
    let hook = ResourceName::new("voice", "hook");
    let version = SecretVersion::new(Some("secret"), Some("1"));
    let _ = index.apply_secret(&hook, Some((version, 1)));
    index
}

pub fn start(index: &Index, name: &str) -> TenantSnapshot {
    match index.start(&uid(name)) {
        Start::Alone(snapshot) => *snapshot,
        Start::Group => panic!("{name} is not published alone"),
    }
}

/// Plans the tenant and reports it as published, as a reconcile does.
pub fn publish(index: &mut Index, snapshot: &TenantSnapshot) -> Effects {
    let result = reconcile(snapshot);
    assert!(result.change.as_ref().is_some_and(|change| change.published), "it must be published");
    index.record_results(vec![result])
}

/// The result of a reconcile that starts from this snapshot.
pub fn reconcile(snapshot: &TenantSnapshot) -> OperationResult {
    let uid = snapshot.uid.clone();
    let change = |recorded: Option<Recorded>| RedisChange {
        published: recorded.is_some(),
        recorded,
        invalidations: snapshot.invalidations,
        written: true,
        events: Vec::new(),
        secret_warnings: None,
        taken_from: Vec::new(),
    };
    let Some(object) = snapshot.object.as_ref().filter(|object| !object.is_deleting()) else {
        let is_left = snapshot.object.is_some() || snapshot.claims.published.is_some();
        let outcome = snapshot.object.is_some().then_some(Outcome::FinalizerRemovable);
        return OperationResult { uid, outcome, change: is_left.then(|| change(None)) };
    };
    let rejections = Rejections::default();
    let generation = object.generation();
    let input =
        PlanInput { spec: object.spec(), generation, snapshot: &snapshot.claims, rejections: &rejections };
    match input.plan() {
        Plan::Done(outcome) => OperationResult { uid, outcome: Some(outcome), change: None },
        Plan::Remove(removal) => {
            OperationResult { uid, outcome: removal.outcome, change: Some(change(None)) }
        }
        Plan::Publish(desired) => {
            let secret = snapshot.secret.as_ref().unwrap().recorded(true);
            let version = PublishedVersion { generation, secret, hash: desired.hash.clone() };
            let (tenant, dids) = (desired.config.tenant_id().clone(), desired.config.dids().to_vec());
            let recorded = Recorded { published: Published { tenant, dids }, version };
            let outcome = Outcome::Assessed(input.assess_published(&desired));
            OperationResult { uid, outcome: Some(outcome), change: Some(change(Some(recorded))) }
        }
    }
}
