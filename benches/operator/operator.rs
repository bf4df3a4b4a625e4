//! A running operator, as its metrics and the kernel show it.

use std::time::{Duration, Instant};

use local_cluster::Process;

use crate::site::TIMEOUT;

/// How often the kernel is asked what processor time was used.
const LOOK: Duration = Duration::from_millis(2);
/// An operator that has started waits for nobody as long as this.
const CHECKED: Duration = Duration::from_millis(100);

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

/// What its metrics say of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub waits: Backlog,
    pub looks: u64,
    pub statuses: u64,
    /// Resources that are Ready.
    pub ready: u64,
}

/// An operator at rest.
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

    async fn metrics(&self) -> String {
        reqwest::get(format!("{}/metrics", self.telemetry)).await.unwrap().text().await.unwrap()
    }

    /// What it has to do, and has done. Whoever asks has all resources counted, which takes processor time.
    pub async fn work(&self) -> Work {
        let text = self.metrics().await;
        let depth = |queue| value(&text, &format!(r#"runtime_operator_queue_depth{{queue="{queue}"}}"#));
        Work {
            waits: Backlog { publish: depth("publish"), status: depth("status") },
            looks: value(&text, "runtime_operator_reconciles_total"),
            statuses: value(&text, "runtime_operator_status_writes_total"),
            ready: value(&text, r#"runtime_operator_tenants{condition="Ready",status="True"}"#),
        }
    }

    /// Waits until it has used no processor time for a while, and asks nothing of it. Who uses less than a tick of 10 ms in
    /// this while counts as one that uses none.
    pub async fn wait_quiet(&self, quiet: Duration) -> Quiet {
        let (began, mut last) = (Instant::now(), Quiet { since: Instant::now(), cpu: self.cpu() });
        while last.since.elapsed() < quiet {
            assert!(began.elapsed() < TIMEOUT, "the operator does not come to rest");
            tokio::time::sleep(LOOK).await;
            let cpu = self.cpu();
            if cpu > last.cpu {
                last = Quiet { since: Instant::now(), cpu };
            }
        }
        last
    }

    /// Waits until it has looked at so many resources since its start and is quiet; says since when it is.
    pub async fn wait_checked(&self, tenants: usize) -> Instant {
        let began = Instant::now();
        loop {
            let quiet = self.wait_quiet(CHECKED).await;
            if self.work().await.looks >= tenants as u64 {
                return quiet.since;
            }
            assert!(began.elapsed() < TIMEOUT, "the operator does not look at {tenants} resources");
        }
    }

    /// Waits until it has seen so many resources Ready, known to a hundredth of the time since `began`. Asked in the middle
    /// of what is left at the pace so far, so a handful of times.
    pub async fn wait_ready(&self, tenants: usize, began: Instant) {
        let (mut before, mut asked) = (0, began);
        loop {
            let (ready, now) = (self.work().await.ready as usize, Instant::now());
            if ready >= tenants {
                return;
            }
            assert!(began.elapsed() < TIMEOUT, "only {ready} of {tenants} get Ready");
            let each = (now - asked).div_f64(ready.saturating_sub(before).max(1) as f64);
            let least = began.elapsed().div_f64(100.0).max(LOOK);
            tokio::time::sleep(each.mul_f64((tenants - ready) as f64 / 2.0).clamp(least, 25 * least)).await;
            (before, asked) = (ready, now);
        }
    }

    /// Waits until it leads, known to 20 ms.
    pub async fn wait_leading(&self) {
        let began = Instant::now();
        while value(&self.metrics().await, "runtime_operator_leading") == 0 {
            assert!(began.elapsed() < TIMEOUT, "nobody takes over");
            tokio::time::sleep(Duration::from_millis(20)).await;
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
