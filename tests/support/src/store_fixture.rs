//! A Redis for one test, and builders of tenants.

use std::collections::BTreeMap;

use local_cluster::{Redis, RedisOptions};
use redis::aio::MultiplexedConnection;
use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::{ClusterId, Epoch, Owner, TakeOver, Uid};
use runtime_operator::store::{
    Applied, Conflict, Operation, Publication, RedisSettings, Removal, Store, StoreError, StoredConfig,
};
use secrecy::ExposeSecret;

/// A Redis, a store on it, and the epoch that the store acquired.
pub struct World {
    pub redis: Redis,
    pub store: Store,
    pub epoch: Epoch,
    /// The entry of the acquired epoch in Redis.
    acquired: String,
    pub cluster: ClusterId,
    pub raw: MultiplexedConnection,
}

impl World {
    pub async fn new() -> Self {
        Self::with(RedisOptions::default().in_memory()).await
    }

    pub async fn with(options: RedisOptions) -> Self {
        let redis = Redis::start(options).await.unwrap();
        let store = Store::new(settings(&redis.url())).unwrap();
        let epoch = store.acquire_epoch().await.unwrap();
        let mut raw = redis.connection().await.unwrap();
        let acquired = redis::cmd("HGET").arg("runtime-operator:epochs").arg("").query_async(&mut raw).await;
        Self { redis, store, epoch, acquired: acquired.unwrap(), cluster: ClusterId::new("here"), raw }
    }

    /// Restores the epoch that this world's store acquired.
    pub async fn restore_epoch(&self) {
        self.set("runtime-operator:epoch", &self.epoch.to_string()).await;
        let mut raw = self.raw.clone();
        let () = redis::cmd("HSET")
            .arg("runtime-operator:epochs")
            .arg("")
            .arg(&self.acquired)
            .query_async(&mut raw)
            .await
            .unwrap();
    }

    /// Runs a command; panics if it fails.
    pub async fn run<T: redis::FromRedisValue>(&self, command: &str) -> T {
        let mut words = command.split_whitespace();
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        cmd.query_async(&mut self.raw.clone()).await.unwrap()
    }

    pub async fn set(&self, key: &str, value: &str) {
        let () = redis::cmd("SET").arg(key).arg(value).query_async(&mut self.raw.clone()).await.unwrap();
    }

    pub async fn get(&self, key: &str) -> Option<String> {
        redis::cmd("GET").arg(key).query_async(&mut self.raw.clone()).await.unwrap()
    }

    /// Returns the tenant id to which a DID maps.
    pub async fn tenant_of(&self, did: &str) -> Option<String> {
        self.store.lookup(&parse_did(did)).await.unwrap()
    }

    pub async fn config(&self, tenant: &str) -> Option<String> {
        let stored = self.store.config(&tenant_id(tenant), usize::MAX >> 1).await.unwrap();
        let StoredConfig::Bytes(bytes) = stored else { return None };
        Some(String::from_utf8(bytes.expose_secret().to_vec()).unwrap())
    }

    /// Returns all keys in Redis with their exact values.
    pub async fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let keys: Vec<String> = self.run("KEYS *").await;
        let mut everything = BTreeMap::new();
        for key in keys {
            let dump = redis::cmd("DUMP").arg(&key).query_async(&mut self.raw.clone()).await.unwrap();
            everything.insert(key, dump);
        }
        everything
    }

    /// Returns the number of write commands called so far, by clients and in scripts.
    pub async fn write_commands(&self) -> u64 {
        let info: String = self.run("INFO commandstats").await;
        info.lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .filter(|(name, _)| ["set", "del", "hset", "hdel", "sadd", "srem", "incr"].contains(name))
            .map(|(_, rest)| rest.split(',').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    pub async fn apply(&self, operations: impl IntoIterator<Item = impl Into<Operation>>) -> Vec<Applied> {
        self.try_apply(operations).await.unwrap()
    }

    pub async fn try_apply(
        &self,
        operations: impl IntoIterator<Item = impl Into<Operation>>,
    ) -> Result<Vec<Applied>, StoreError> {
        let operations: Vec<Operation> = operations.into_iter().map(Into::into).collect();
        self.store.apply(self.epoch, &self.cluster, &operations).await
    }

    /// Applies one operation.
    pub async fn apply_one(&self, operation: impl Into<Operation>) -> Applied {
        self.apply([operation]).await.remove(0)
    }

    /// Applies one operation that must be rejected without a write; returns the conflict.
    pub async fn conflict(&self, operation: impl Into<Operation>) -> Conflict {
        let before = self.everything().await;
        let applied = self.apply_one(operation).await;
        let Applied::Rejected(conflict) = applied else { panic!("not rejected: {applied:?}") };
        assert_eq!(self.everything().await, before, "a rejected operation wrote something");
        conflict
    }

    /// Applies one operation as another cluster's operator.
    pub async fn apply_one_as(&self, cluster: &str, operation: impl Into<Operation>) -> Applied {
        let operation: Operation = operation.into();
        self.store.apply(self.epoch, &ClusterId::new(cluster), &[operation]).await.unwrap().remove(0)
    }
}

pub fn settings(url: &str) -> RedisSettings {
    RedisSettings::at(url)
}

pub fn parse_did(did: &str) -> Did {
    Did::parse_exact(did).unwrap()
}

pub fn parse_dids(dids: &[&str]) -> Vec<Did> {
    dids.iter().copied().map(parse_did).collect()
}

pub fn tenant_id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

/// Returns a config in the form of an older publisher.
pub fn config(tenant: &str, dids: &[&str]) -> String {
    serde_json::json!({ "tenantId": tenant, "dids": dids }).to_string()
}

/// A resource in namespace `voice` named like its tenant, with the uid `uid-<tenant>`, in its first generation.
#[derive(Clone)]
pub struct Tenant {
    publication: Publication,
    text: Option<String>,
    json: Option<String>,
}

pub fn tenant(name: &str, dids: &[&str]) -> Tenant {
    Tenant {
        publication: Publication {
            tenant: tenant_id(name),
            owner: Owner {
                namespace: "voice".to_owned(),
                name: name.to_owned(),
                uid: Uid::new(format!("uid-{name}")),
            },
            generation: 1,
            secret: "reference".to_owned(),
            hash: "hash".to_owned(),
            dids: parse_dids(dids),
            previously_listed: Vec::new(),
            yielding_owners: BTreeMap::new(),
            after_loss: false,
            annotated: false,
            take_over: TakeOver::Nothing,
            config: "".into(),
        },
        text: None,
        json: None,
    }
}

impl Tenant {
    /// Replaces its DIDs.
    pub fn with_dids(mut self, dids: &[&str]) -> Self {
        self.publication.dids = parse_dids(dids);
        self
    }

    /// Sets the DIDs that the resource's status lists as published.
    pub fn previously_listed(mut self, dids: &[&str]) -> Self {
        self.publication.previously_listed = parse_dids(dids);
        self
    }

    pub fn generation(mut self, generation: i64) -> Self {
        self.publication.generation = generation;
        self
    }

    /// Makes another resource, of this name, claim the same tenant id.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.publication.owner.name);
        self.publication.owner.uid = Uid::new(format!("uid-{name}"));
        self
    }

    /// Makes these resources yield to it.
    pub fn yielded_by(mut self, names: &[&str]) -> Self {
        let uids = names.iter().map(|name| Uid::new(format!("uid-{name}")));
        self.publication.yielding_owners = uids.map(|uid| (uid, None)).collect();
        self
    }

    /// Makes this resource yield to it while its record carries this generation.
    pub fn yielded_by_generation(mut self, name: &str, generation: i64) -> Self {
        self.publication.yielding_owners.insert(Uid::new(format!("uid-{name}")), Some(generation));
        self
    }

    pub fn take_over(mut self) -> Self {
        self.publication.annotated = true;
        self.publication.take_over = TakeOver::Anything;
        self
    }

    /// Lets it take what this resource of this cluster holds.
    pub fn take_over_from(mut self, cluster: &str, owner: &str) -> Self {
        self.publication.annotated = true;
        self.publication.take_over = TakeOver::parse(&format!("{cluster}/{owner}"));
        self
    }

    /// Makes its status count beside its record.
    pub fn after_loss(mut self) -> Self {
        self.publication.after_loss = true;
        self
    }

    /// Changes its config.
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    /// Replaces all of its config.
    pub fn with_json(mut self, json: &str) -> Self {
        self.json = Some(json.to_owned());
        self
    }

    /// Returns the bytes that are stored.
    pub fn json(&self) -> String {
        if let Some(json) = &self.json {
            return json.clone();
        }
        let Publication { tenant, dids, .. } = &self.publication;
        serde_json::json!({ "tenantId": tenant, "dids": dids, "text": self.text }).to_string()
    }

    /// Returns the removal of the same resource.
    pub fn removal(&self) -> Removal {
        Removal {
            tenant: self.publication.tenant.clone(),
            uid: self.publication.owner.uid.clone(),
            previously_listed: self.publication.previously_listed.clone(),
            retain: false,
        }
    }

    pub fn retained(&self) -> Removal {
        Removal { retain: true, ..self.removal() }
    }
}

impl From<Tenant> for Operation {
    fn from(tenant: Tenant) -> Self {
        let config = tenant.json().into();
        Self::Publish(Publication { config, ..tenant.publication })
    }
}

/// The result of a publication that adopted, took over and removed nothing.
pub fn published() -> Applied {
    Applied::Published { adopted: None, taken_over: Vec::new(), removed: Vec::new() }
}

/// Waits until the condition holds; panics if it does not within 90 seconds.
pub async fn eventually(condition: impl AsyncFn() -> bool) {
    eventually_some(async || condition().await.then_some(())).await;
}

/// Waits until there is a value; panics if there is none within 90 seconds.
pub async fn eventually_some<T>(value: impl AsyncFn() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    loop {
        if let Some(found) = value().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "the condition was never met");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
