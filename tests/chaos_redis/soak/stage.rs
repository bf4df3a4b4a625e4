//! All processes: two operators that share a Lease, each with its own connections to a Redis primary with a replica, to Sentinels,
//! and to an API server; an operator of another cluster on the same Redis; and the begin and end of each fault.

use std::cell::Cell;
use std::time::{Duration, Instant};

use local_cluster::{
    ApiServer, Edge, Redis, RedisOptions, SentinelOptions, Sentinels, Toxic, Toxiproxy, Way,
};
use serde_json::Value;
use test_support::proxy::{ForgetfulNat, SentinelProxy, Translation};
use test_support::{Operator, World};

use super::edit::Edit;
use super::fault::{Between, Fault, Harm};
use crate::truth::{TIMEOUT, differences};

/// The idle time after which a NAT forgets a connection by itself: never in these tests.
const NEVER: Duration = Duration::from_secs(86_400);
/// The interval at which remaining differences are printed.
const PRINT_INTERVAL: Duration = Duration::from_secs(5);

pub struct Stage {
    pub world: World,
    operators: Vec<Placed>,
    /// The operator of another cluster, which no fault concerns directly.
    neighbour: Option<Operator>,
    replica: Redis,
    sentinels: Sentinels,
    /// Present on a cluster of its own: the second operator's API server, and its connection to etcd.
    second: Option<(ApiServer, Edge)>,
    toxiproxy: Toxiproxy,
}

/// An operator with its connections.
struct Placed {
    operator: Operator,
    redis: Vec<Edge>,
    sentinels: Vec<Edge>,
    kubernetes: Vec<Edge>,
    /// Behind the edges to Redis.
    nats: Vec<ForgetfulNat>,
    /// Behind the edges to Sentinels.
    sentinel_proxies: Vec<SentinelProxy>,
    /// The ports of the two Redis, and those of the edges to them.
    ports: Vec<Translation>,
}

impl Stage {
    /// Starts everything, with published tenants. On a cluster of its own, the cluster's processes can fail too.
    pub async fn set(own_cluster: bool) -> Self {
        // Otherwise a replica stores the received data on disk, and would not restart empty.
        let options = RedisOptions::default().in_memory().set("rdb-del-sync-files", "yes");
        let like_primary = options.clone();
        let mut world =
            if own_cluster { World::on_own_cluster(options).await } else { World::with_redis(options).await };
        world.add_namespace().await;
        let replica = Redis::start(like_primary.replica_of(world.redis())).await.unwrap();
        world.also_read(&replica);
        let sentinels = Sentinels::start(world.redis(), SentinelOptions::default()).await.unwrap();
        let toxiproxy = Toxiproxy::start().await.unwrap();
        let second = if own_cluster {
            let way = toxiproxy.edge("etcd", &world.cluster().etcd_address()).await.unwrap();
            Some((world.cluster().add_api_server_through("second", &way.address()).await.unwrap(), way))
        } else {
            None
        };
        let (operators, neighbour) = (Vec::new(), None);
        let mut stage = Self { world, operators, neighbour, replica, sentinels, second, toxiproxy };
        for number in 0..2 {
            let placed = stage.place(number).await;
            stage.operators.push(placed);
        }
        stage.neighbour = Some(stage.place_neighbour().await);
        for edit in Edit::first() {
            edit.make(&stage.world).await;
        }
        stage.wait_true().await;
        stage
    }

    async fn place(&self, number: usize) -> Placed {
        let edge =
            async |name: &str, to: &str| self.toxiproxy.edge(&format!("{name}-{number}"), to).await.unwrap();
        let nodes = [self.world.redis(), &self.replica];
        let (mut nats, mut redis) = (Vec::new(), Vec::new());
        for (name, node) in ["redis", "replica"].into_iter().zip(nodes) {
            let nat = ForgetfulNat::start(&node.address(), NEVER).await;
            redis.push(edge(name, &nat.address()).await);
            nats.push(nat);
        }
        let ports: Vec<_> = nodes.iter().zip(&redis).map(|(node, edge)| (node.port(), edge.port())).collect();
        let (mut sentinel_proxies, mut sentinels) = (Vec::new(), Vec::new());
        for (at, address) in self.sentinels.addresses().into_iter().enumerate() {
            let proxy = SentinelProxy::start(address, ports.clone()).await;
            sentinels.push(edge(&format!("sentinel{at}"), &proxy.address()).await);
            sentinel_proxies.push(proxy);
        }
        let first = self.world.cluster().api_server().url();
        let server = self.second.as_ref().filter(|_| number == 1).map_or(first, |(second, _)| second.url());
        let kubernetes = edge("kubernetes", server.strip_prefix("https://").unwrap()).await;
        let operator = self
            .world
            .operator()
            .leader_elect()
            .kubeconfig(self.kubeconfig(number, &kubernetes))
            .env("WATCH_NAMESPACES", self.world.namespace())
            .env("REDIS_SENTINEL", sentinels.iter().map(Edge::address).collect::<Vec<_>>().join(","))
            .env("REDIS_SENTINEL_SERVICE", self.sentinels.service())
            .start()
            .await;
        let kubernetes = vec![kubernetes];
        Placed { operator, redis, sentinels, kubernetes, nats, sentinel_proxies, ports }
    }

    async fn place_neighbour(&self) -> Operator {
        self.world
            .operator()
            .env("WATCH_NAMESPACES", &self.world.namespaces()[1])
            .env("CLUSTER_ID", format!("neighbour-of-{}", self.world.namespace()))
            .env("REDIS_SENTINEL", self.sentinels.addresses().join(","))
            .env("REDIS_SENTINEL_SERVICE", self.sentinels.service())
            .start()
            .await
    }

    /// Returns the world's kubeconfig with this connection's address.
    fn kubeconfig(&self, number: usize, way: &Edge) -> std::path::PathBuf {
        let text = std::fs::read_to_string(self.world.kubeconfig()).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["clusters"][0]["cluster"]["server"] = format!("https://{}", way.address()).into();
        self.world.write_file(&format!("kubeconfig-{number}"), &config.to_string())
    }

    /// Returns the primary, according to the Sentinels, and the replica.
    async fn redis(&self) -> (&Redis, &Redis) {
        let primary = self.sentinels.primary().await.ok().flatten();
        if primary.is_some_and(|address| address == self.replica.address()) {
            (&self.replica, self.world.redis())
        } else {
            (self.world.redis(), &self.replica)
        }
    }

    pub async fn begin(&self, fault: Fault, number: usize) {
        let operator = &self.operators[number].operator;
        let (primary, replica) = self.redis().await;
        match fault {
            Fault::Flush => ask(primary, &["FLUSHALL"]).await,
            Fault::SwapDb => ask(primary, &["SWAPDB", "0", "1"]).await,
            Fault::RestartEmpty => primary.restart().await.unwrap(),
            Fault::Failover => {
                replica.freeze().await.unwrap();
                ask(primary, &["CLIENT", "KILL", "TYPE", "replica"]).await;
            }
            Fault::FrozenRedis => primary.freeze().await.unwrap(),
            Fault::OutOfMemory => ask(primary, &["CONFIG", "SET", "maxmemory", "1"]).await,
            Fault::LacksReplicas => ask(primary, &["CONFIG", "SET", "min-replicas-to-write", "2"]).await,
            Fault::LostCounter => ask(primary, &["DEL", "runtime-operator:epoch"]).await,
            Fault::ExternalWrites => {
                self.world.exempt_all();
                ask(primary, &["DEL", "tenantmap:did:+15550000001", "tenantcfg:t2"]).await;
                // Only keys that exist: keys without an owner would stay.
                ask(primary, &["SET", "tenantcfg:t5", "{}", "XX"]).await;
            }
            Fault::FrozenOperator | Fault::FrozenPastLease if operator.is_running() => {
                operator.freeze().await.unwrap();
            }
            Fault::KilledOperator if operator.is_running() => operator.kill().await.unwrap(),
            Fault::StoppedOperator if operator.is_running() => drop(operator.stop().await.unwrap()),
            Fault::FrozenOperator
            | Fault::FrozenPastLease
            | Fault::KilledOperator
            | Fault::StoppedOperator => {}
            Fault::ForgottenConnections => {
                self.operators[number].nats.iter().for_each(ForgetfulNat::forget_all);
            }
            Fault::LyingSentinel => self.exchange_nodes(number),
            Fault::SentinelsDisagree => {
                self.exchange_nodes(number);
                let unrelated = self.sentinels.nodes()[0].port();
                let translations = vec![(primary.port(), unrelated), (replica.port(), unrelated)];
                self.operators[number].sentinel_proxies[1].translate(translations);
            }
            Fault::EvictingRedis => {
                self.world.exempt_all();
                let used: u64 = used_memory(primary).await;
                ask(primary, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"]).await;
                ask(primary, &["CONFIG", "SET", "maxmemory", &(used - 8_192).to_string()]).await;
            }
            Fault::FlushOfAnotherDatabase => {
                let mut connection = primary.connection().await.unwrap();
                let mut flush = redis::pipe();
                flush.cmd("SELECT").arg(2).cmd("FLUSHDB").cmd("SELECT").arg(0);
                flush.exec_async(&mut connection).await.unwrap();
            }
            Fault::Way(between, harm) => {
                for way in self.ways(between, number) {
                    break_way(way, harm).await;
                }
            }
            Fault::KilledApiServer => self.world.cluster().api_server().kill().await.unwrap(),
            Fault::FrozenApiServer => self.world.cluster().api_server().freeze().await.unwrap(),
            Fault::FrozenEtcd => self.world.cluster().etcd().freeze().await.unwrap(),
        }
    }

    pub async fn end(&self, fault: Fault, number: usize) {
        let operator = &self.operators[number].operator;
        let (primary, replica) = self.redis().await;
        match fault {
            Fault::Flush
            | Fault::LostCounter
            | Fault::ExternalWrites
            | Fault::ForgottenConnections
            | Fault::FlushOfAnotherDatabase
            | Fault::KilledOperator
            | Fault::StoppedOperator => {}
            Fault::LyingSentinel | Fault::SentinelsDisagree => {
                let placed = &self.operators[number];
                placed.sentinel_proxies.iter().for_each(|proxy| proxy.translate(placed.ports.clone()));
            }
            Fault::EvictingRedis => {
                for redis in [primary, replica] {
                    ask(redis, &["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction"]).await;
                }
            }
            Fault::SwapDb => {
                ask(primary, &["SWAPDB", "0", "1"]).await;
                let mut connection = primary.connection().await.unwrap();
                let mut empty = redis::pipe();
                empty.cmd("SELECT").arg(1).cmd("FLUSHDB").cmd("SELECT").arg(0);
                empty.exec_async(&mut connection).await.unwrap();
            }
            Fault::RestartEmpty => self.wait_replicated().await,
            Fault::Failover => {
                let old = primary.address();
                primary.kill().await.unwrap();
                replica.thaw().unwrap();
                self.sentinels.wait_failover(&old).await.unwrap();
                primary.restart().await.unwrap();
                self.wait_replicated().await;
            }
            Fault::FrozenRedis => {
                self.world.redis().thaw().unwrap();
                self.replica.thaw().unwrap();
                self.wait_replicated().await;
            }
            Fault::OutOfMemory => {
                for redis in [primary, replica] {
                    ask(redis, &["CONFIG", "SET", "maxmemory", "0"]).await;
                }
            }
            Fault::LacksReplicas => {
                for redis in [primary, replica] {
                    ask(redis, &["CONFIG", "SET", "min-replicas-to-write", "0"]).await;
                }
            }
            Fault::FrozenOperator | Fault::FrozenPastLease => {
                if operator.is_running() {
                    operator.thaw().unwrap();
                }
            }
            Fault::Way(between, _) => {
                for way in self.ways(between, number) {
                    way.heal().await.unwrap();
                }
            }
            Fault::KilledApiServer => self.world.cluster().api_server().restart().await.unwrap(),
            Fault::FrozenApiServer => self.world.cluster().api_server().thaw().unwrap(),
            Fault::FrozenEtcd => self.world.cluster().etcd().thaw().unwrap(),
        }
    }

    /// Makes an operator's first Sentinel name each Redis in place of the other.
    fn exchange_nodes(&self, number: usize) {
        let placed = &self.operators[number];
        let [(first, to_first), (second, to_second)] = placed.ports[..] else { unreachable!("two Redis") };
        placed.sentinel_proxies[0].translate(vec![(first, to_second), (second, to_first)]);
    }

    /// Another client breaks keys of the contract while the operators recover.
    pub async fn write_meanwhile(&self) {
        self.world.exempt_all();
        for n in 0..3 {
            let (primary, _) = self.redis().await;
            let Ok(mut connection) = primary.connection().await else { return };
            let mut writes = redis::pipe();
            writes.cmd("DEL").arg(format!("tenantmap:did:+1555000000{n}")).arg("tenantcfg:neighbour-0");
            // Only keys that exist: keys without an owner would stay.
            writes.cmd("SET").arg(format!("tenantcfg:t{n}")).arg("{}").arg("XX");
            // Redis may refuse writes at this moment.
            let _ = writes.exec_async(&mut connection).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn ways(&self, between: Between, number: usize) -> Vec<&Edge> {
        let placed = &self.operators[number];
        match between {
            Between::Redis => placed.redis.iter().collect(),
            Between::Sentinels => placed.sentinels.iter().collect(),
            Between::Kubernetes => placed.kubernetes.iter().collect(),
            Between::Etcd => self.second.iter().map(|(_, way)| way).collect(),
        }
    }

    /// Waits until one Redis is the primary and the other follows it.
    async fn wait_replicated(&self) {
        self.world
            .wait_within(TIMEOUT, "one Redis follows the other", || async {
                let (primary, replica) = self.redis().await;
                let (primary, replica) = (role(primary).await, role(replica).await);
                let good = primary.as_deref() == Ok("master") && replica.as_deref() == Ok("slave up");
                if good { Ok(()) } else { Err(format!("{primary:?} and {replica:?}")) }
            })
            .await;
    }

    /// Waits until there is no difference. Operators that exited, as a superseded one does, are restarted meanwhile. Differences
    /// that remain for long are printed.
    pub async fn wait_true(&self) {
        let printed = Cell::new(Instant::now());
        self.world
            .wait_within(TIMEOUT, "Redis equals the resources", || async {
                let operators = self.operators.iter().map(|placed| &placed.operator);
                for operator in operators.chain(&self.neighbour) {
                    if !operator.is_running() {
                        println!("soak: restarting an operator that has exited");
                        operator.run_again().await.map_err(|error| error.to_string())?;
                    }
                }
                let wrong = differences(&self.world, self.redis().await.0).await;
                if wrong.is_empty() {
                    return Ok(());
                }
                if printed.get().elapsed() > PRINT_INTERVAL {
                    println!("soak: not yet: {}", wrong.join("; "));
                    printed.set(Instant::now());
                }
                Err(wrong.join("\n"))
            })
            .await;
    }

    pub async fn finish(self) {
        self.world.finish().await;
    }
}

/// Returns `master`, or `slave` with the state of its link.
async fn role(redis: &Redis) -> Result<String, String> {
    let mut connection = redis.connection().await.map_err(|error| error.to_string())?;
    let info: Result<redis::InfoDict, _> =
        redis::cmd("INFO").arg("replication").query_async(&mut connection).await;
    let info = info.map_err(|error| error.to_string())?;
    let role: String = info.get("role").unwrap_or_default();
    let link: Option<String> = info.get("master_link_status");
    Ok(link.map_or(role.clone(), |link| format!("{role} {link}")))
}

async fn used_memory(redis: &Redis) -> u64 {
    let mut connection = redis.connection().await.unwrap();
    let info: redis::InfoDict = redis::cmd("INFO").arg("memory").query_async(&mut connection).await.unwrap();
    info.get("used_memory").unwrap()
}

async fn ask(redis: &Redis, words: &[&str]) {
    let mut connection = redis.connection().await.unwrap();
    redis::cmd(words[0]).arg(&words[1..]).exec_async(&mut connection).await.unwrap();
}

async fn break_way(way: &Edge, harm: Harm) {
    let toxics = match harm {
        Harm::Cut => return way.cut().await.unwrap(),
        Harm::SilentThere => vec![(Toxic::Silence, Way::There)],
        Harm::SilentBack => vec![(Toxic::Silence, Way::Back)],
        Harm::Silent => vec![(Toxic::Silence, Way::There), (Toxic::Silence, Way::Back)],
        Harm::Slow(tenths) => {
            vec![(Toxic::Latency(Duration::from_millis(100) * u32::from(tenths)), Way::Back)]
        }
        Harm::Torn => vec![(Toxic::Slices(50), Way::There), (Toxic::Slices(50), Way::Back)],
        Harm::BrokenOff => vec![(Toxic::Limit(3_000), Way::Back)],
    };
    for (toxic, way_of) in toxics {
        way.add(toxic, way_of).await.unwrap();
    }
}
