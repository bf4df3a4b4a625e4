//! Sentinels, which promote a replica when the primary fails.

use std::time::{Duration, Instant};

use crate::{Error, Redis, RedisOptions, Result};

/// Options of the Sentinels of a primary.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// The number of Sentinels.
    pub count: usize,
    /// The number of Sentinels that must agree that the primary has failed.
    pub quorum: usize,
    /// The name of the primary.
    pub service: String,
    /// The port at which they and their clients connect to the primary, if it is not its own: such as an
    /// [`Edge`](crate::Edge)'s.
    pub port: Option<u16>,
    /// The password that the Sentinels require, if any. It is not the primary's.
    pub password: Option<String>,
}

impl Default for SentinelOptions {
    /// Three Sentinels, of which two must agree, with a primary named `runtime`.
    fn default() -> Self {
        Self { count: 3, quorum: 2, service: "runtime".into(), port: None, password: None }
    }
}

/// The Sentinels of one primary.
pub struct Sentinels {
    nodes: Vec<Redis>,
    service: String,
}

impl Sentinels {
    /// Starts them; on return each knows the primary, its replicas and the other Sentinels, so that a failover can begin. If the
    /// primary has TLS, they have too, with the same authority.
    pub async fn start(primary: &Redis, options: SentinelOptions) -> Result<Self> {
        let lines = monitor(primary, &options);
        // The primary's TLS, without its password, which is for the primary alone.
        let mut like_primary = RedisOptions::default().replica_of(primary).no_password();
        if let Some(password) = &options.password {
            like_primary = like_primary.password(password);
        }
        let mut nodes = Vec::new();
        for _ in 0..options.count {
            nodes.push(Redis::sentinel(&like_primary, lines.clone()).await?);
        }
        let sentinels = Self { nodes, service: options.service };
        sentinels.wait_acquainted(primary).await?;
        Ok(sentinels)
    }

    /// Returns the Sentinels, each a process.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the name of the primary.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// Returns `127.0.0.1:<port>` of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::address).collect()
    }

    /// Returns `127.0.0.1:<port>` of the primary, according to the majority of the Sentinels that reply.
    pub async fn primary(&self) -> Result<Option<String>> {
        let mut votes: Vec<String> = Vec::new();
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            let mut connection = node.connection().await?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("get-master-addr-by-name").arg(&self.service);
            let (host, port): (String, String) = command.query_async(&mut connection).await?;
            votes.push(format!("{host}:{port}"));
        }
        let majority = |vote: &&String| votes.iter().filter(|other| other == vote).count() * 2 > votes.len();
        Ok(votes.iter().find(majority).cloned())
    }

    /// Waits until they have promoted another primary, and returns its `127.0.0.1:<port>`.
    pub async fn wait_failover(&self, old: &str) -> Result<String> {
        let begin = Instant::now();
        loop {
            if let Some(primary) = self.primary().await?.filter(|primary| primary != old) {
                return Ok(primary);
            }
            timeout(begin, "the Sentinels have promoted no other primary").await?;
        }
    }

    async fn wait_acquainted(&self, primary: &Redis) -> Result<()> {
        let begin = Instant::now();
        let replicas = connected_replicas(primary).await?;
        for node in &self.nodes {
            while !knows(node, &self.service, self.nodes.len() - 1, replicas).await? {
                timeout(begin, "the Sentinels do not know each other").await?;
            }
        }
        Ok(())
    }
}

/// A failing test prints their logs, which are needed to explain it.
impl Drop for Sentinels {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for node in &self.nodes {
                eprintln!("a Sentinel; the end of its log:\n{}\n", node.log_tail());
            }
        }
    }
}

fn monitor(primary: &Redis, options: &SentinelOptions) -> Vec<String> {
    let SentinelOptions { service, quorum, port, .. } = options;
    let port = port.unwrap_or(primary.port());
    let mut lines = vec![
        format!("sentinel monitor {service} 127.0.0.1 {port} {quorum}"),
        format!("sentinel down-after-milliseconds {service} 1000"),
        format!("sentinel failover-timeout {service} 10000"),
    ];
    lines.extend(primary.password().map(|password| format!("sentinel auth-pass {service} {password}")));
    lines
}

async fn connected_replicas(primary: &Redis) -> Result<usize> {
    let mut connection = primary.connection().await?;
    let info: redis::InfoDict = redis::cmd("INFO").arg("replication").query_async(&mut connection).await?;
    Ok(info.get("connected_slaves").unwrap_or_default())
}

async fn knows(node: &Redis, service: &str, sentinels: usize, replicas: usize) -> Result<bool> {
    let mut connection = node.connection().await?;
    let mut command = redis::cmd("SENTINEL");
    let facts: std::collections::HashMap<String, String> =
        command.arg("master").arg(service).query_async(&mut connection).await?;
    let count = |name: &str| facts.get(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or_default();
    Ok(count("num-other-sentinels") >= sentinels && count("num-slaves") >= replicas)
}

/// The timeout of a failover, which includes a Sentinel's pause (`TILT`, 30 s) after it was not scheduled for two seconds.
async fn timeout(begin: Instant, what: &str) -> Result<()> {
    if begin.elapsed() > Duration::from_secs(90) {
        return Err(Error::Waited { what: what.into(), waited: begin.elapsed() });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
