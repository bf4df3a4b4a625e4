//! A running operator, observed through its metrics and the kernel.

use std::time::{Duration, Instant};

use local_cluster::Process;

use crate::site::TIMEOUT;

/// The interval at which its processor time is read.
const POLL: Duration = Duration::from_millis(2);
/// An operator that has just started is never idle for this long before it has finished.
const CHECKED: Duration = Duration::from_millis(100);

pub struct Operator {
    pub process: Process,
    telemetry: String,
    admin: String,
}

/// The pending work of an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Resources in the reconcile queue.
    pub reconcile: u64,
    /// Resources in the status queue.
    pub status: u64,
}

/// The metrics of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub backlog: Backlog,
    pub reconciles: u64,
    pub statuses: u64,
    /// Resources that are Ready.
    pub ready: u64,
}

/// An idle operator.
pub struct Quiet {
    pub since: Instant,
    /// The processor time that it had used by then.
    pub cpu: Duration,
}

impl Operator {
    pub fn new(process: Process, telemetry: String, admin: String) -> Self {
        Self { process, telemetry, admin }
    }

    /// `host:port` of the admin routes.
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// `host:port` of probes and metrics.
    pub fn telemetry_address(&self) -> &str {
        self.telemetry.trim_start_matches("http://")
    }

    async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.telemetry)).await.unwrap().text().await.unwrap()
    }

    /// Reads its pending and finished work. The metrics count all resources, which takes processor time.
    pub async fn work(&self) -> Work {
        let text = self.metrics().await;
        let depth = |queue| value(&text, &format!(r#"runtime_operator_queue_depth{{queue="{queue}"}}"#));
        Work {
            backlog: Backlog { reconcile: depth("reconcile"), status: depth("status") },
            reconciles: value(&text, "runtime_operator_reconciles_total"),
            statuses: value(&text, "runtime_operator_status_writes_total"),
            ready: value(&text, r#"runtime_operator_tenants{condition="Ready",status="True"}"#),
        }
    }

    /// Waits until it has used no processor time for a while, without requests to it. Less than a tick of 10 ms in this time
    /// counts as none.
    pub async fn wait_quiet(&self, quiet: Duration) -> Quiet {
        let (began, mut last) = (Instant::now(), Quiet { since: Instant::now(), cpu: self.cpu() });
        while last.since.elapsed() < quiet {
            assert!(began.elapsed() < TIMEOUT, "the operator does not become idle");
            tokio::time::sleep(POLL).await;
            let cpu = self.cpu();
            if cpu > last.cpu {
                last = Quiet { since: Instant::now(), cpu };
            }
        }
        last
    }

    /// Waits until it has reconciled this many resources since its start and is idle; returns since when.
    pub async fn wait_checked(&self, tenants: usize) -> Instant {
        let began = Instant::now();
        loop {
            let quiet = self.wait_quiet(CHECKED).await;
            if self.work().await.reconciles >= tenants as u64 {
                return quiet.since;
            }
            assert!(began.elapsed() < TIMEOUT, "the operator does not reconcile {tenants} resources");
        }
    }

    /// Waits until this many resources are Ready, with a precision of a hundredth of the time since `began`. It reads the
    /// metrics after half of the remaining time at the present rate, so only a few times.
    pub async fn wait_ready(&self, tenants: usize, began: Instant) {
        let (mut before, mut last) = (0, began);
        loop {
            let (ready, now) = (self.work().await.ready as usize, Instant::now());
            if ready >= tenants {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "only {ready} of {tenants} are Ready");
            let each = (now - last).div_f64(ready.saturating_sub(before).max(1) as f64);
            let shortest = began.elapsed().div_f64(100.0).max(POLL);
            tokio::time::sleep(each.mul_f64((tenants - ready) as f64 / 2.0).clamp(shortest, 25 * shortest))
                .await;
            (before, last) = (ready, now);
        }
    }

    /// Waits until it leads, with a precision of 20 ms.
    pub async fn wait_leading(&self) {
        let began = Instant::now();
        while value(&self.metrics().await, "runtime_operator_leading") == 0 {
            assert!(began.elapsed() < TIMEOUT, "no replica takes over");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.process.id().unwrap())
    }

    /// Returns resident memory now and at its peak, in bytes.
    pub fn memory(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(self.proc("status")).unwrap();
        let kilobytes = |field: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
            line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
        };
        (kilobytes("VmRSS:"), kilobytes("VmHWM:"))
    }

    /// Resets the peak (proc(5), `clear_refs`).
    pub fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").unwrap();
    }

    /// Returns the processor time of all its threads so far.
    pub fn cpu(&self) -> Duration {
        crate::machine::ticks(&std::fs::read_to_string(self.proc("stat")).unwrap())
    }
}

fn value(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}
