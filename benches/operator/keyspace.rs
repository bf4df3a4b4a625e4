//! Redis, as the runtime and whoever breaks it see it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, FromRedisValue, cmd};

use crate::load::Tenant;
use crate::requests::{Counts, less};
use crate::site::TIMEOUT;

/// Whoever asks Redis without a pause takes a core from those who are waited for. As short as the kernel lets one sleep;
/// the runtime's own timer has ticks of a millisecond.
fn breathe() {
    std::thread::sleep(Duration::from_micros(50));
}

/// A connection of this program's own; what it asks for is counted.
#[derive(Clone)]
pub struct Keyspace {
    connection: MultiplexedConnection,
    own: Arc<Mutex<Counts>>,
}

impl Keyspace {
    pub fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, own: Arc::default() }
    }

    /// A pipeline that nobody counts is for times without an operator.
    pub fn uncounted(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    pub async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> T {
        if let Some(Arg::Simple(name)) = command.args_iter().next() {
            self.note(&String::from_utf8_lossy(name).to_lowercase(), 1);
        }
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    /// Counts calls that went another way.
    pub fn note(&self, command: &str, calls: u64) {
        *self.own.lock().unwrap().entry(command.to_owned()).or_default() += calls;
    }

    /// Commands of all others since the server started, those within scripts too.
    pub async fn of_others(&self) -> Counts {
        let info: String = self.ask(cmd("INFO").arg("commandstats")).await;
        let counts = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        less(&counts.collect(), &self.own.lock().unwrap())
    }

    /// All keys of a pattern.
    pub async fn all(&self, pattern: &str) -> BTreeSet<String> {
        let (mut cursor, mut all) = (0_u64, BTreeSet::new());
        loop {
            let scan = cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(10_000).clone();
            let (next, keys): (u64, Vec<String>) = self.ask(&scan).await;
            all.extend(keys);
            cursor = next;
            if cursor == 0 {
                return all;
            }
        }
    }

    /// How many configs there are.
    pub async fn configs(&self) -> usize {
        self.all("tenantcfg:*").await.len()
    }

    /// Waits until so many tenants have their config and both numbers.
    pub async fn wait_keys(&self, tenants: usize) {
        // Three keys and a record a tenant, the epoch and two indexes: the size is read for nothing, the keys are
        // counted once it is reached.
        let began = Instant::now();
        loop {
            let size: usize = self.ask(&cmd("DBSIZE")).await;
            if size >= tenants * 4
                && self.all("tenantmap:did:*").await.len() >= tenants * 2
                && self.configs().await >= tenants
            {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "{tenants} tenants are not readable");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn wait_key(&self, key: &str, there: bool) {
        let began = Instant::now();
        while self.ask::<bool>(cmd("EXISTS").arg(key)).await != there {
            assert!(began.elapsed() < TIMEOUT, "{key} does not come or go");
            breathe();
        }
    }

    pub async fn wait_config(&self, tenant: &Tenant, text: &str) {
        let began = Instant::now();
        loop {
            let config: Option<String> = self.ask(cmd("GET").arg(tenant.config_key())).await;
            if config.is_some_and(|config| config.contains(text)) {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "{} is not published anew", tenant.name);
            breathe();
        }
    }

    /// The number that whoever writes took last.
    pub async fn epoch(&self) -> u64 {
        self.ask(cmd("GET").arg("runtime-operator:epoch")).await
    }

    /// Waits until somebody takes the next one.
    pub async fn wait_epoch_after(&self, epoch: u64) {
        let began = Instant::now();
        while self.epoch().await <= epoch {
            assert!(began.elapsed() < TIMEOUT, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn delete(&self, key: &str) {
        self.ask::<()>(cmd("DEL").arg(key)).await;
    }

    pub async fn set(&self, key: &str, value: &str) {
        self.ask::<()>(cmd("SET").arg(key).arg(value)).await;
    }

    pub async fn flush(&self) {
        self.ask::<()>(&cmd("FLUSHALL")).await;
    }
}
