//! Reads and breaks Redis, as the runtime and other clients do.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, FromRedisValue, cmd};

use crate::load::Tenant;
use crate::requests::{Counts, less};
use crate::site::TIMEOUT;

/// Pauses between two reads: without a pause, polling Redis would take a core from the measured processes. The pause is as
/// short as the kernel allows; tokio's timer has ticks of a millisecond.
fn pause() {
    std::thread::sleep(Duration::from_micros(50));
}

/// A connection of this program, whose commands are counted.
#[derive(Clone)]
pub struct Keyspace {
    connection: MultiplexedConnection,
    own: Arc<Mutex<Counts>>,
}

impl Keyspace {
    pub fn new(connection: MultiplexedConnection) -> Self {
        Self { connection, own: Arc::default() }
    }

    /// Returns the connection without counting, for times without an operator.
    pub fn uncounted(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> T {
        if let Some(Arg::Simple(name)) = command.args_iter().next() {
            self.note(&String::from_utf8_lossy(name).to_lowercase(), 1);
        }
        command.query_async(&mut self.connection.clone()).await.unwrap()
    }

    /// Adds calls that were made on another path.
    pub fn note(&self, command: &str, calls: u64) {
        *self.own.lock().unwrap().entry(command.to_owned()).or_default() += calls;
    }

    /// Returns the commands of all other clients since the server started, including those in scripts.
    pub async fn of_others(&self) -> Counts {
        let info: String = self.run(cmd("INFO").arg("commandstats")).await;
        let counts = info.lines().filter_map(|line| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        });
        less(&counts.collect(), &self.own.lock().unwrap())
    }

    /// Returns the changes since the server started. It takes no snapshots, which would reset the count.
    pub async fn changes(&self) -> u64 {
        let info: String = self.run(cmd("INFO").arg("persistence")).await;
        let count = info.lines().find_map(|line| line.strip_prefix("rdb_changes_since_last_save:"));
        count.and_then(|count| count.trim().parse().ok()).unwrap()
    }

    /// Returns all keys of a pattern.
    pub async fn all(&self, pattern: &str) -> BTreeSet<String> {
        let (mut cursor, mut all) = (0_u64, BTreeSet::new());
        loop {
            let scan = cmd("SCAN").arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(10_000).clone();
            let (next, keys): (u64, Vec<String>) = self.run(&scan).await;
            all.extend(keys);
            cursor = next;
            if cursor == 0 {
                return all;
            }
        }
    }

    /// Returns the number of configs.
    pub async fn configs(&self) -> usize {
        self.all("tenantcfg:*").await.len()
    }

    /// Waits until this many tenants have their config and both DIDs.
    pub async fn wait_keys(&self, tenants: usize) {
        // Three keys and a record for each tenant, the epoch and two indexes: reading the size costs nothing, the keys are
        // counted once it is reached.
        let began = Instant::now();
        loop {
            let size: usize = self.run(&cmd("DBSIZE")).await;
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
        while self.run::<bool>(cmd("EXISTS").arg(key)).await != there {
            assert!(began.elapsed() < TIMEOUT, "{key} does not come or go");
            pause();
        }
    }

    pub async fn wait_config(&self, tenant: &Tenant, text: &str) {
        let began = Instant::now();
        loop {
            let config: Option<String> = self.run(cmd("GET").arg(tenant.config_key())).await;
            if config.is_some_and(|config| config.contains(text)) {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "{} is not published again", tenant.name);
            pause();
        }
    }

    /// Returns the epoch that was acquired last, 0 for none.
    pub async fn epoch(&self) -> u64 {
        self.run::<Option<u64>>(cmd("GET").arg("runtime-operator:epoch")).await.unwrap_or_default()
    }

    /// Waits until a replica acquires the next epoch.
    pub async fn wait_epoch_after(&self, epoch: u64) {
        let began = Instant::now();
        while self.epoch().await <= epoch {
            assert!(began.elapsed() < TIMEOUT, "no replica takes over");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub async fn delete(&self, key: &str) {
        self.run::<()>(cmd("DEL").arg(key)).await;
    }

    pub async fn set(&self, key: &str, value: &str) {
        self.run::<()>(cmd("SET").arg(key).arg(value)).await;
    }

    pub async fn flush(&self) {
        self.run::<()>(&cmd("FLUSHALL")).await;
    }
}
