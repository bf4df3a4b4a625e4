//! Operator processes: the binary, as users run it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;

use local_cluster::{Error, Launch, Port, Process};

use super::World;

/// Builds an operator process; each setting is a variable of its environment.
pub struct OperatorBuilder<'w> {
    world: &'w World,
    env: BTreeMap<String, String>,
    args: Vec<String>,
}

/// A running operator. Clones are the same process: `stop`, `kill`, `freeze`, `thaw` and `restart` are methods of
/// [`Process`].
#[derive(Clone)]
pub struct Operator(Arc<Running>);

struct Running {
    process: Process,
    admin: Port,
    telemetry: Port,
}

impl<'w> OperatorBuilder<'w> {
    /// Uses this world's cluster, namespaces and Redis, without leader election, and logs everything.
    pub(super) fn new(world: &'w World) -> Self {
        let builder = Self { world, env: BTreeMap::new(), args: Vec::new() };
        builder
            .kubeconfig(world.kubeconfig())
            .env("REDIS_URL", world.redis().url())
            .env("WATCH_NAMESPACES", world.namespaces().join(","))
            .env("CLUSTER_ID", format!("cluster-of-{}", world.namespace()))
            .env("LEADER_ELECT", "false")
            .env("LOG_FORMAT", "text")
            .env("NO_COLOR", "1")
            .env("RUST_LOG", "info,runtime_operator=trace")
    }

    /// Sets a variable, replacing its value.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Removes a variable: `without("WATCH_NAMESPACES")` watches all namespaces.
    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    /// Adds an argument after `run`.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Uses another kubeconfig than the administrator's.
    pub fn kubeconfig(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.env("KUBECONFIG", path.to_str().expect("a path of this test is UTF-8"))
    }

    /// Enables leader election, with a Lease in the world's first namespace.
    pub fn leader_elect(self) -> Self {
        self.env("LEADER_ELECT", "true")
    }

    /// Starts it and waits until `/readyz` succeeds.
    pub async fn start(self) -> Operator {
        self.try_start().await.unwrap()
    }

    /// Starts it and waits until `/readyz` succeeds; if it exits before, returns [`Error::EndedEarly`] with the end of its log.
    pub async fn try_start(self) -> Result<Operator, Error> {
        let operator = self.spawn().await;
        operator.wait_ready().await?;
        Ok(operator)
    }

    /// Starts it and waits for nothing: Redis or the API server may be unavailable.
    pub async fn spawn(self) -> Operator {
        let (admin, telemetry) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        let (name, log) = self.world.next_log("operator");
        let readyz = format!("http://{}/readyz", telemetry.address());
        let mut launch = Launch::new(name, crate::operator_binary(), log)
            .args(["run"])
            .args(self.args)
            .env("ADMIN_ADDR", admin.address())
            .env("TELEMETRY_ADDR", telemetry.address())
            .ready(move || ready(readyz.clone()));
        for (name, value) in self.env {
            launch = launch.env(name, value);
        }
        let process = Process::spawn(launch).await.unwrap();
        let operator = Operator(Arc::new(Running { process, admin, telemetry }));
        self.world.owns(operator.clone());
        operator
    }
}

impl Operator {
    /// `http://127.0.0.1:<port>` of the admin routes.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.0.admin.address())
    }

    /// `http://127.0.0.1:<port>` of probes and metrics.
    pub fn telemetry_url(&self) -> String {
        format!("http://{}", self.0.telemetry.address())
    }

    /// Returns the text of `/metrics`.
    pub async fn metrics(&self) -> String {
        let answer = http().get(format!("{}/metrics", self.telemetry_url())).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// Returns the sum of a metric over its labels; 0 while there is none of that name.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.metrics().await;
        let ours = text.lines().filter_map(|line| line.strip_prefix(name));
        let values =
            ours.filter(|rest| rest.starts_with([' ', '{'])).filter_map(|rest| rest.split(' ').next_back());
        values.map(|value| value.parse::<f64>().expect("a metric is a number")).sum()
    }

    /// Returns everything that it has logged, in earlier runs too.
    pub fn logs(&self) -> String {
        self.0.process.log()
    }
}

impl Deref for Operator {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0.process
    }
}

/// Returns a client that ignores the environment's proxy settings.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

async fn ready(url: String) -> Result<(), String> {
    let answer = http().get(&url).send().await.map_err(|error| error.to_string())?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("{url} responds {status}: {}", answer.text().await.unwrap_or_default()))
}
