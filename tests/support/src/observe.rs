//! Other observations: probes, metrics, kubectl, the command counters of Redis, a DID's mapping over time.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kube::ResourceExt;
use kube::api::DynamicObject;
use local_cluster::tools;
use redis::AsyncCommands;
use tokio::task::JoinHandle;

use super::operator::{Operator, http};
use super::world::World;

/// The commands that write, called by clients or by scripts.
const WRITES: [&str; 9] = ["set", "del", "unlink", "hset", "hdel", "hmset", "sadd", "srem", "expire"];

impl Operator {
    /// Requests a probe, such as `probe("readyz")`. Returns its status and text, and `None` while the port is closed.
    pub async fn probe(&self, path: &str) -> Option<(u16, String)> {
        let answer = http().get(format!("{}/{path}", self.telemetry_url())).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }
}

impl World {
    /// Waits until `/readyz` fails with a text that contains `why`; returns the text.
    pub async fn wait_not_ready(&self, operator: &Operator, why: &str) -> String {
        self.wait(&format!("/readyz fails with: {why}"), || async {
            match operator.probe("readyz").await {
                Some((503, text)) if text.contains(why) => Ok(text),
                other => Err(format!("the response is {other:?}")),
            }
        })
        .await
    }

    /// Waits until `/readyz` succeeds.
    pub async fn wait_operator_ready(&self, operator: &Operator) {
        self.wait("/readyz succeeds", || async {
            match operator.probe("readyz").await {
                Some((200, _)) => Ok(()),
                other => Err(format!("the response is {other:?}")),
            }
        })
        .await;
    }

    /// Waits until a metric is at least `least`.
    pub async fn wait_metric(&self, operator: &Operator, name: &str, least: f64) {
        self.wait(&format!("{name} is at least {least}"), || async {
            let is = operator.metric(name).await;
            if is >= least { Ok(()) } else { Err(format!("it is {is}")) }
        })
        .await;
    }

    /// Runs kubectl as an administrator in the world's first namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        let mut kubectl = Command::new(tools::find("kubectl").unwrap());
        kubectl.arg("--kubeconfig").arg(self.kubeconfig()).args(arguments).output().unwrap()
    }

    /// Runs kubectl, which must succeed; returns its standard output.
    pub fn kubectl_text(&self, arguments: &[&str]) -> String {
        let output = self.kubectl(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {text}{errors}");
        text
    }

    /// Runs any command in Redis, as redis-cli would.
    pub async fn redis_cli(&self, words: &[&str]) -> redis::Value {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query_async(&mut self.connection().await).await.unwrap()
    }

    /// Returns the number of calls of each command since [`World::reset_commands`] (`INFO commandstats`).
    pub async fn commands(&self) -> BTreeMap<String, u64> {
        let mut info = redis::cmd("INFO");
        let text: String = info.arg("commandstats").query_async(&mut self.connection().await).await.unwrap();
        let calls = text.lines().filter_map(|line| {
            let (name, stats) = line.strip_prefix("cmdstat_")?.split_once(':')?;
            let calls = stats.split(',').find_map(|stat| stat.strip_prefix("calls="))?;
            Some((name.to_owned(), calls.parse().ok()?))
        });
        calls.collect()
    }

    /// Resets the command counters.
    pub async fn reset_commands(&self) {
        self.redis_cli(&["CONFIG", "RESETSTAT"]).await;
    }

    /// Returns the number of writes in Redis since [`World::reset_commands`], without the three that acquire an epoch:
    /// INCR, HSET for the process that acquired it, and HSET for its note.
    pub async fn writes(&self) -> u64 {
        let commands = self.commands().await;
        let all: u64 = WRITES.iter().filter_map(|name| commands.get(*name)).sum();
        all.saturating_sub(2 * commands.get("incr").copied().unwrap_or_default())
    }

    /// Reads a DID's mapping continuously from now on, on a connection of its own.
    pub async fn record_mapping(&self, did: &str) -> MappingRecorder {
        let (mut connection, key) = (self.connection().await, format!("tenantmap:did:{did}"));
        let done = Arc::<AtomicBool>::default();
        let ends = Arc::clone(&done);
        let task = tokio::spawn(async move {
            let mut seen: Vec<Option<String>> = Vec::new();
            while !ends.load(Ordering::SeqCst) {
                let now: Option<String> = connection.get(&key).await.unwrap();
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
            }
            seen
        });
        MappingRecorder { done, task }
    }

    /// Counts the events about a resource with a reason, each occurrence of a series.
    pub async fn event_count(&self, name: &str, reason: &str) -> usize {
        let about = format!("involvedObject.kind=RuntimeTenant,involvedObject.name={name}");
        let events: kube::Api<k8s_openapi::api::core::v1::Event> =
            kube::Api::namespaced(self.client(), self.namespace());
        let events = events.list(&kube::api::ListParams::default().fields(&about)).await.unwrap();
        let of_it = events.items.into_iter().filter(|event| event.reason.as_deref() == Some(reason));
        of_it
            .map(|event| {
                let series = event.series.and_then(|series| series.count).unwrap_or(1);
                usize::try_from(series.max(event.count.unwrap_or(1)).max(1)).unwrap()
            })
            .sum()
    }

    /// Returns the `resourceVersion` of a resource, which every write to it changes.
    pub async fn version(&self, name: &str) -> Option<String> {
        self.get(name).await.and_then(|tenant: DynamicObject| tenant.resource_version())
    }
}

/// Reads a DID's mapping continuously.
pub struct MappingRecorder {
    done: Arc<AtomicBool>,
    task: JoinHandle<Vec<Option<String>>>,
}

impl MappingRecorder {
    /// Stops reading and returns the tenants to which the DID was mapped, in order, without repetitions. `None` means that it
    /// was mapped to no tenant.
    pub async fn finish(self) -> Vec<Option<String>> {
        self.done.store(true, Ordering::SeqCst);
        self.task.await.unwrap()
    }
}
