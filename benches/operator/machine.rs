//! The machine's other load during the run.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// From this share of all cores on, figures depend more on other processes than on the operator.
const BUSY: f64 = 0.05;

/// Processor time since the machine started, in ticks of 10 ms.
#[derive(Clone, Copy)]
struct Ticks {
    all: u64,
    idle: u64,
    ours: u64,
}

/// The machine's state at the start of the run.
pub struct Machine {
    start: Ticks,
    load: String,
}

/// The machine's load from the start until now.
pub struct Otherwise {
    pub cores: usize,
    /// The share of all cores' time that other processes used.
    pub others: f64,
    /// The share of this program and its children.
    pub ours: f64,
    /// Load averages before, as the kernel writes them.
    pub load: String,
}

impl Machine {
    pub fn watched() -> Self {
        let load = fs::read_to_string("/proc/loadavg").unwrap();
        let load: Vec<&str> = load.split(' ').take(3).collect();
        Self { start: Ticks::now(), load: load.join(" ") }
    }

    pub fn otherwise(&self) -> Otherwise {
        let now = Ticks::now();
        let all = (now.all - self.start.all).max(1) as f64;
        let ours = now.ours.saturating_sub(self.start.ours) as f64 / all;
        let busy = 1.0 - (now.idle - self.start.idle) as f64 / all;
        let cores = std::thread::available_parallelism().unwrap().get();
        Otherwise { cores, others: (busy - ours).max(0.0), ours, load: self.load.clone() }
    }
}

impl Otherwise {
    pub fn is_busy(&self) -> bool {
        self.others > BUSY
    }

    /// Returns a sentence for the readers of the figures.
    pub fn say(&self) -> String {
        let text = format!(
            "{} cores; of their time the run and all that it started took {:.0} %, others {:.1} %; load averages before the run {}.",
            self.cores,
            self.ours * 100.0,
            self.others * 100.0,
            self.load,
        );
        if self.is_busy() {
            format!("{text} **The machine was busy with other things: take ratios only, and run it again.**")
        } else {
            text
        }
    }
}

impl Ticks {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap();
        let fields = stat.lines().next().unwrap().split_whitespace().skip(1);
        // user nice system idle iowait irq softirq steal; guests' time is within user's already.
        let times: Vec<u64> = fields.take(8).map(|text| text.parse().unwrap()).collect();
        Self { all: times.iter().sum(), idle: times[3] + times[4], ours: ours() }
    }
}

/// Returns the ticks of this process and its descendants, including those that have ended.
fn ours() -> u64 {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields = fields(&stat);
        let ticks = fields[11..13].iter().filter_map(|text| text.parse::<u64>().ok()).sum();
        Some((id, (fields[1].parse().ok()?, ticks)))
    });
    let processes: BTreeMap<u32, (u32, u64)> = processes.collect();
    let own = std::process::id();
    let is_ours = |mut id: u32| {
        while id != own {
            match processes.get(&id) {
                Some((parent, _)) => id = *parent,
                None => return false,
            }
        }
        true
    };
    let living: u64 = processes.iter().filter(|(id, _)| is_ours(**id)).map(|(_, (_, ticks))| ticks).sum();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let ended: u64 = fields(&stat)[13..15].iter().filter_map(|text| text.parse::<u64>().ok()).sum();
    living + ended
}

/// Returns the fields of `/proc/<id>/stat` (proc(5)) from the third, the state, on: names may contain spaces and brackets.
fn fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(')').unwrap().1.split_whitespace().collect()
}

/// Returns user and system time in the text of a `/proc/<id>/stat`.
pub fn ticks(stat: &str) -> Duration {
    let ticks: u64 = fields(stat)[11..13].iter().map(|text| text.parse::<u64>().unwrap()).sum();
    // Linux counts these in hundredths of a second (USER_HZ).
    Duration::from_millis(ticks * 10)
}
