//! Figures, as people and programs read them.

use std::fmt::Write;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::site::Operator;

/// Durations of one kind.
#[derive(Default)]
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn add(&mut self, duration: Duration) {
        self.0.push(duration);
    }

    fn quantile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort();
        sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
    }
}

pub struct Report {
    tenants: usize,
    began: Instant,
    rows: Vec<(String, String)>,
    json: serde_json::Map<String, Value>,
}

impl Report {
    pub fn new(tenants: usize) -> Self {
        Self { tenants, began: Instant::now(), rows: Vec::new(), json: serde_json::Map::new() }
    }

    pub fn say(&self, what: &str) {
        eprintln!("bench: {:>6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    fn row(&mut self, what: &str, text: String, value: Value) {
        eprintln!("bench: {:>6.1} s    {what}: {text}", self.began.elapsed().as_secs_f64());
        self.rows.push((what.to_owned(), text));
        self.json.insert(what.to_owned(), value);
    }

    pub fn time(&mut self, what: &str, took: Duration, limit: Option<(&str, Duration)>) {
        let seconds = took.as_secs_f64();
        let mut text = format!("{seconds:.3} s");
        let mut value = json!({ "seconds": seconds });
        if let Some((name, limit)) = limit {
            let ratio = seconds / limit.as_secs_f64();
            let _ = write!(text, ", {ratio:.2}x the {name} ({:.3} s)", limit.as_secs_f64());
            value["ratio"] = json!(ratio);
            value["limitSeconds"] = json!(limit.as_secs_f64());
        }
        self.row(what, text, value);
    }

    pub fn spread(&mut self, what: &str, spread: &Spread) {
        let [p50, p95, p99, max] =
            [50, 95, 99, 100].map(|percent| spread.quantile(percent).as_secs_f64() * 1000.0);
        let text = format!("p50 {p50:.2} ms, p95 {p95:.2} ms, p99 {p99:.2} ms, max {max:.2} ms");
        self.row(what, text, json!({ "p50Ms": p50, "p95Ms": p95, "p99Ms": p99, "maxMs": max }));
    }

    pub fn count(&mut self, what: &str, count: u64) {
        self.row(what, count.to_string(), json!(count));
    }

    pub fn ratio(&mut self, what: &str, ratio: f64) {
        self.row(what, format!("{:.2} %", ratio * 100.0), json!(ratio));
    }

    pub fn memory(&mut self, when: &str, operator: &Operator) {
        let (now, peak) = operator.memory();
        let text = format!("{} MB, peak {} MB", now / 1_000_000, peak / 1_000_000);
        self.row(&format!("memory {when}"), text, json!({ "rss": now, "peak": peak }));
    }

    pub fn finish(mut self) {
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let mut table = format!("{} tenants; load average at the end {}\n\n", self.tenants, load.trim());
        table.push_str("| what | figure |\n| --- | --- |\n");
        for (what, text) in &self.rows {
            let _ = writeln!(table, "| {what} | {text} |");
        }
        self.json.insert("tenants".to_owned(), json!(self.tenants));
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
        std::fs::create_dir_all(folder).unwrap();
        let name = format!("{folder}/operator-{}", self.tenants);
        std::fs::write(format!("{name}.md"), &table).unwrap();
        std::fs::write(format!("{name}.json"), serde_json::to_string_pretty(&self.json).unwrap()).unwrap();
        println!("\n{table}");
    }
}
