//! A running operator, as its metrics and the kernel show it.

use std::time::{Duration, Instant};

use local_cluster::Process;

use crate::site::PATIENCE;

pub struct Operator {
    pub process: Process,
    telemetry: String,
    admin: String,
}

/// What an operator has to do yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Resources that wait for a look or a publish.
    pub publish: u64,
    /// Resources that wait for their status.
    pub status: u64,
}

impl Operator {
    pub fn new(process: Process, telemetry: String, admin: String) -> Self {
        Self { process, telemetry, admin }
    }

    /// `host:port` of the admin routes.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.telemetry)).await.unwrap().text().await.unwrap()
    }

    /// A metric by its name and labels, as they are written; 0 while it is not there.
    pub async fn counter(&self, name: &str) -> u64 {
        value(&self.metrics().await, name)
    }

    pub async fn backlog(&self) -> Backlog {
        backlog(&self.metrics().await)
    }

    /// Waits until it has looked at so many resources since its start.
    pub async fn wait_checked(&self, tenants: usize) {
        self.wait_counter("runtime_operator_reconciles_total", tenants).await;
    }

    /// Waits until it has seen so many resources Ready.
    pub async fn wait_ready(&self, tenants: usize) {
        let ready = r#"runtime_operator_tenants{condition="Ready",status="True"}"#;
        self.wait_counter(ready, tenants).await;
    }

    async fn wait_counter(&self, name: &str, least: usize) {
        let began = Instant::now();
        // Whoever asks has all resources counted, so the more there are, the more seldom it is asked.
        let pause = Duration::from_micros(least as u64 * 10).max(Duration::from_millis(2));
        while self.counter(name).await < least as u64 {
            assert!(began.elapsed() < PATIENCE, "{name} does not get to {least}");
            tokio::time::sleep(pause).await;
        }
    }

    /// Waits until nothing is left to do and nothing was done for a while.
    pub async fn wait_settled(&self) {
        let began = Instant::now();
        let mut before = None;
        loop {
            let text = self.metrics().await;
            let done = ["reconciles", "status_writes"]
                .map(|what| value(&text, &format!("runtime_operator_{what}_total")));
            let now = (backlog(&text), done);
            if now.0 == Backlog::default() && before == Some(now) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "the operator does not come to rest: {now:?}");
            before = Some(now);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    pub async fn wait_leading(&self) {
        let began = Instant::now();
        while self.counter("runtime_operator_leading").await == 0 {
            assert!(began.elapsed() < PATIENCE, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id().unwrap())
    }

    /// Resident memory now and at its peak, bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
        };
        (kilobytes("VmRSS:"), kilobytes("VmHWM:"))
    }

    /// From now on the peak is that of what comes (proc(5), `clear_refs`).
    pub fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    /// Processor time used so far, of all its threads.
    pub fn cpu(&self) -> Duration {
        crate::machine::ticks(&std::fs::read_to_string(self.proc("stat")).unwrap())
    }
}

fn value(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

fn backlog(metrics: &str) -> Backlog {
    let depth = |queue| value(metrics, &format!(r#"runtime_operator_queue_depth{{queue="{queue}"}}"#));
    Backlog { publish: depth("publish"), status: depth("status") }
}
