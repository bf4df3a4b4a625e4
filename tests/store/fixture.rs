//! A Redis of the test's own, and tenants that read as sentences.

use std::collections::BTreeMap;

use local_cluster::{Redis, RedisOptions};
use redis::aio::MultiplexedConnection;
use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::{ClusterId, Epoch, Owner, Uid};
use runtime_operator::store::{
    Applied, Conflict, Operation, Publication, RedisSettings, Removal, Store, StoreError,
};
use secrecy::ExposeSecret;

/// A Redis, a store on it and the epoch that the store took.
pub struct World {
    pub redis: Redis,
    pub store: Store,
    pub epoch: Epoch,
    /// What Redis holds of who took the epoch.
    taken: String,
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
        let taken = redis::cmd("HGET").arg("runtime-operator:epochs").arg("").query_async(&mut raw).await;
        Self { redis, store, epoch, taken: taken.unwrap(), cluster: ClusterId::new("here"), raw }
    }

    /// Puts the epoch back as this world's store took it.
    pub async fn restore_epoch(&self) {
        let number = self.epoch.to_string();
        self.set("runtime-operator:epoch", &number).await;
        let mut raw = self.raw.clone();
        let () = redis::cmd("HSET")
            .arg("runtime-operator:epochs")
            .arg("")
            .arg(&self.taken)
            .query_async(&mut raw)
            .await
            .unwrap();
    }

    /// Runs a command that every test may need, and panics where it fails.
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

    pub async fn maps(&self, number: &str) -> Option<String> {
        self.store.lookup(&did(number)).await.unwrap()
    }

    pub async fn config(&self, tenant: &str) -> Option<String> {
        let bytes = self.store.config(&id(tenant)).await.unwrap()?;
        Some(String::from_utf8(bytes.expose_secret().to_vec()).unwrap())
    }

    /// Everything in Redis, byte for byte.
    pub async fn everything(&self) -> BTreeMap<String, Vec<u8>> {
        let keys: Vec<String> = self.run("KEYS *").await;
        let mut everything = BTreeMap::new();
        for key in keys {
            let dump = redis::cmd("DUMP").arg(&key).query_async(&mut self.raw.clone()).await.unwrap();
            everything.insert(key, dump);
        }
        everything
    }

    /// How many commands that write have been called, by clients and in scripts.
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
    pub async fn one(&self, operation: impl Into<Operation>) -> Applied {
        self.apply([operation]).await.remove(0)
    }

    /// Applies one operation that must be refused, and leave everything as it was.
    pub async fn refusal(&self, operation: impl Into<Operation>) -> Conflict {
        let before = self.everything().await;
        let applied = self.one(operation).await;
        let Applied::Rejected(refusal) = applied else { panic!("not refused: {applied:?}") };
        assert_eq!(self.everything().await, before, "a refused operation wrote something");
        refusal
    }

    /// Applies one operation as another cluster's operator.
    pub async fn one_as(&self, cluster: &str, operation: impl Into<Operation>) -> Applied {
        let operation: Operation = operation.into();
        self.store.apply(self.epoch, &ClusterId::new(cluster), &[operation]).await.unwrap().remove(0)
    }
}

pub fn settings(url: &str) -> RedisSettings {
    RedisSettings::at(url)
}

pub fn did(number: &str) -> Did {
    Did::parse_exact(number).unwrap()
}

pub fn dids(numbers: &[&str]) -> Vec<Did> {
    numbers.iter().copied().map(did).collect()
}

pub fn id(tenant: &str) -> TenantId {
    TenantId::parse(tenant).unwrap()
}

/// A config as an older publisher would store it.
pub fn config(tenant: &str, numbers: &[&str]) -> String {
    serde_json::json!({ "tenantId": tenant, "dids": numbers }).to_string()
}

/// A resource in namespace `voice` named like its tenant, with the uid `uid-<tenant>`, in its first generation.
#[derive(Clone)]
pub struct Tenant {
    publication: Publication,
    salt: Option<String>,
}

pub fn tenant(name: &str, numbers: &[&str]) -> Tenant {
    Tenant {
        publication: Publication {
            tenant: id(name),
            owner: Owner {
                namespace: "voice".to_owned(),
                name: name.to_owned(),
                uid: Uid::new(format!("uid-{name}")),
            },
            generation: 1,
            secret: "reference".to_owned(),
            hash: "hash".to_owned(),
            dids: dids(numbers),
            previously_listed: Vec::new(),
            yielding_owners: BTreeMap::new(),
            take_over: false,
            config: "".into(),
        },
        salt: None,
    }
}

impl Tenant {
    /// The same with other numbers.
    pub fn numbers(mut self, numbers: &[&str]) -> Self {
        self.publication.dids = dids(numbers);
        self
    }

    /// The resource's status lists these as live.
    pub fn listed(mut self, numbers: &[&str]) -> Self {
        self.publication.previously_listed = dids(numbers);
        self
    }

    pub fn generation(mut self, generation: i64) -> Self {
        self.publication.generation = generation;
        self
    }

    /// Another resource that claims the same tenant id.
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.publication.owner.name);
        self.publication.owner.uid = Uid::new(format!("uid-{name}"));
        self
    }

    /// These resources yield to it.
    pub fn after(mut self, names: &[&str]) -> Self {
        let uids = names.iter().map(|name| Uid::new(format!("uid-{name}")));
        self.publication.yielding_owners = uids.map(|uid| (uid, None)).collect();
        self
    }

    /// This resource yields to it while its record carries this generation.
    pub fn after_generation(mut self, name: &str, generation: i64) -> Self {
        self.publication.yielding_owners.insert(Uid::new(format!("uid-{name}")), Some(generation));
        self
    }

    pub fn take_over(mut self) -> Self {
        self.publication.take_over = true;
        self
    }

    /// The same with another config.
    pub fn saying(mut self, text: &str) -> Self {
        self.salt = Some(text.to_owned());
        self
    }

    /// The bytes that are stored.
    pub fn json(&self) -> String {
        let Publication { tenant, dids, .. } = &self.publication;
        serde_json::json!({ "tenantId": tenant, "dids": dids, "text": self.salt }).to_string()
    }

    /// The removal of the same resource.
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

/// Published with nothing to tell.
pub fn published() -> Applied {
    Applied::Published { adopted: false, taken_over: Vec::new(), removed: Vec::new() }
}

/// Waits until it holds; panics when it does not within half a minute.
pub async fn eventually(holds: impl AsyncFn() -> bool) {
    eventually_some(async || holds().await.then_some(())).await;
}

/// Waits until there is one; panics when there is none within half a minute.
pub async fn eventually_some<T>(look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "it never came about");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
