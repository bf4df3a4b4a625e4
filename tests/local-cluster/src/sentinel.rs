//! Sentinels: what finds a new primary when one is gone.

use std::time::{Duration, Instant};

use crate::{Error, Redis, RedisOptions, Result};

/// How many Sentinels watch a primary, and what they call it.
#[derive(Clone, Debug)]
pub struct SentinelOptions {
    /// How many there are.
    pub count: usize,
    /// How many must agree that the primary is gone.
    pub quorum: usize,
    /// What they call the primary.
    pub service: String,
    /// Where they, and who asks them, find the primary, if not at its own port: such as an [`Edge`](crate::Edge)'s.
    pub port: Option<u16>,
}

impl Default for SentinelOptions {
    /// Three, of which two must agree, with a primary named `runtime`.
    fn default() -> Self {
        Self { count: 3, quorum: 2, service: "runtime".into(), port: None }
    }
}

/// The Sentinels of one primary.
pub struct Sentinels {
    nodes: Vec<Redis>,
    service: String,
}

impl Sentinels {
    /// Starts them; on return each knows the primary, its replicas and the others, so that a failover can begin. Where
    /// the primary has TLS, so have they, by the same authority.
    pub async fn start(primary: &Redis, options: SentinelOptions) -> Result<Self> {
        let lines = monitor(primary, &options);
        // The primary's TLS, without its password: it is for the primary alone.
        let like_primary = RedisOptions::default().replica_of(primary).no_password();
        let mut nodes = Vec::new();
        for _ in 0..options.count {
            nodes.push(Redis::sentinel(&like_primary, lines.clone()).await?);
        }
        let sentinels = Self { nodes, service: options.service };
        sentinels.wait_acquainted(primary).await?;
        Ok(sentinels)
    }

    /// Each a process of its own.
    #[must_use]
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// What they call the primary.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// `127.0.0.1:<port>` of each.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(Redis::address).collect()
    }

    /// `127.0.0.1:<port>` of the primary, as a majority of those that answer has it.
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

    /// Waits until they have made another the primary, and says which: `127.0.0.1:<port>`.
    pub async fn wait_failover(&self, old: &str) -> Result<String> {
        let begin = Instant::now();
        loop {
            if let Some(primary) = self.primary().await?.filter(|primary| primary != old) {
                return Ok(primary);
            }
            timeout(begin, "the Sentinels have found no other primary").await?;
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

/// Where a test fails, what they saw is half of why.
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

/// Longer than a Sentinel rests (`TILT`, 30 s) after it was not scheduled for two seconds, and a failover after it.
async fn timeout(begin: Instant, what: &str) -> Result<()> {
    if begin.elapsed() > Duration::from_secs(90) {
        return Err(Error::Waited { what: what.into(), waited: begin.elapsed() });
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(())
}
