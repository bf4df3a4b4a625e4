//! Reports figures as Markdown and JSON.

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::figure::{Figure, GOAL_TENANTS, Goal, megabytes, short};
use crate::machine::Machine;
use crate::requests::Counts;
use crate::usage::Cost;
use crate::{page, plot};

/// A row of the table.
pub struct Row {
    name: String,
    figure: Figure,
    limit: Option<(&'static str, Duration)>,
    baseline: Option<Goal>,
    goal: Option<Goal>,
    cost: Option<Cost>,
}

impl Row {
    pub fn new(name: impl Into<String>, figure: Figure) -> Self {
        Self { name: name.into(), figure, limit: None, baseline: None, goal: None, cost: None }
    }

    /// The time of the API server and Redis alone for the same work, if it was measured.
    pub fn limit(mut self, name: &'static str, limit: Option<Duration>) -> Self {
        self.limit = limit.map(|limit| (name, limit));
        self
    }

    /// The figure of a tuned operator built on controller-runtime, measured once.
    pub fn baseline(mut self, baseline: Goal) -> Self {
        self.baseline = Some(baseline);
        self
    }

    pub fn goal(mut self, goal: Goal) -> Self {
        self.goal = Some(goal);
        self
    }

    pub fn cost(mut self, cost: Cost) -> Self {
        self.cost = Some(cost);
        self
    }

    fn ratio(&self) -> Option<f64> {
        Some(self.figure.typical()?.as_secs_f64() / self.limit?.1.as_secs_f64())
    }

    fn met(&self, tenants: usize) -> Option<bool> {
        self.goal.as_ref()?.met(&self.figure, self.ratio(), tenants)
    }

    fn line(&self, tenants: usize) -> String {
        let limit = self.limit.map(|(name, limit)| format!("{} ({name})", short(limit))).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!("{ratio:.2}x")).unwrap_or_default();
        let [baseline, goal] =
            [&self.baseline, &self.goal].map(|goal| goal.as_ref().map(Goal::text).unwrap_or_default());
        let met = match (self.met(tenants), &self.goal) {
            (Some(true), _) => "met".to_owned(),
            (Some(false), _) => "**not met**".to_owned(),
            (None, Some(Goal::Ratio(_))) => "limit not measured".to_owned(),
            (None, Some(_)) => format!("set for {GOAL_TENANTS}"),
            (None, None) => String::new(),
        };
        let figures = self.figure.cells().join(" | ");
        format!("| {} | {figures} | {limit} | {ratio} | {baseline} | {goal} | {met} |", self.name)
    }

    fn cost_line(&self, cost: &Cost) -> String {
        let each = cost.each.max(1) as f64;
        let cpu = cost.cpu.as_secs_f64();
        format!(
            "| {} | {} | {cpu:.2} s | {:.2} ms | {} | {} | {} MB | {} MB |",
            self.name,
            cost.each,
            cpu * 1000.0 / each,
            per(&cost.redis, each),
            per(&cost.kube, each),
            megabytes(cost.memory.0),
            megabytes(cost.memory.1),
        )
    }

    fn json(&self, tenants: usize) -> Value {
        let mut value = json!({ "name": self.name, "figure": self.figure.json() });
        if let Some((name, limit)) = self.limit {
            value["limit"] = json!({ "name": name, "seconds": limit.as_secs_f64(), "ratio": self.ratio() });
        }
        if let Some(baseline) = &self.baseline {
            value["baseline"] = json!(baseline.text());
        }
        if let Some(goal) = &self.goal {
            value["goal"] = json!({ "text": goal.text(), "met": self.met(tenants) });
        }
        if let Some(cost) = &self.cost {
            value["cost"] = json!({
                "each": cost.each,
                "cpuSeconds": cost.cpu.as_secs_f64(),
                "redisCommands": cost.redis,
                "kubernetesRequests": cost.kube,
                "rssBytes": cost.memory.0,
                "peakBytes": cost.memory.1,
            });
        }
        value
    }
}

/// Returns the count of each kind per tenant or sample, the most frequent first, without rare ones.
fn per(counts: &Counts, each: f64) -> String {
    let mut kinds: Vec<(&String, f64)> = counts
        .iter()
        .map(|(kind, count)| (kind, *count as f64 / each))
        .filter(|(_, count)| *count >= 0.005)
        .collect();
    kinds.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let sum: f64 = kinds.iter().map(|(_, count)| count).sum();
    // A bar between a command and its subcommand would separate columns.
    let kinds: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{} {count:.2}", kind.replace('|', " "))).collect();
    if kinds.is_empty() { "0".to_owned() } else { format!("{sum:.2}: {}", kinds.join(", ")) }
}

/// All figures of a run.
pub struct Report {
    name: &'static str,
    tenants: usize,
    began: Instant,
    machine: Machine,
    sections: Vec<(String, Vec<Row>)>,
}

impl Report {
    pub fn new(name: &'static str, tenants: usize) -> Self {
        Self { name, tenants, began: Instant::now(), machine: Machine::watched(), sections: Vec::new() }
    }

    pub fn say(&self, what: &str) {
        eprintln!("bench: {:>6.1} s  {what}", self.began.elapsed().as_secs_f64());
    }

    /// Begins another table.
    pub fn section(&mut self, title: &str) {
        self.say(title);
        self.sections.push((title.to_owned(), Vec::new()));
    }

    pub fn row(&mut self, row: Row) {
        self.say(&row.line(self.tenants));
        if let Some(cost) = &row.cost {
            self.say(&format!("  {}", row.cost_line(cost)));
        }
        self.sections.last_mut().unwrap().1.push(row);
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|(_, rows)| rows)
    }

    /// Returns true if no goal is missed.
    pub fn is_good(&self) -> bool {
        self.rows().all(|row| row.met(self.tenants) != Some(false))
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "{} tenants, a run of {:.0} s. {}\n",
            self.tenants,
            self.began.elapsed().as_secs_f64(),
            self.machine.otherwise().say()
        );
        for (title, rows) in self.sections.iter().filter(|(_, rows)| !rows.is_empty()) {
            let _ = write!(text, "\n### {}\n\n", capital(title));
            text.push_str("| what | p50 | p95 | p99 | time or max | limit | ratio | baseline | goal | |\n");
            text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
            for row in rows {
                let _ = writeln!(text, "{}", row.line(self.tenants));
            }
        }
        let costs: Vec<String> =
            self.rows().filter_map(|row| Some(row.cost_line(row.cost.as_ref()?))).collect();
        if !costs.is_empty() {
            text.push_str("\n### What each costs\n\n");
            text.push_str("| what | tenants or samples | operator's CPU | each | Redis commands each ");
            text.push_str("| Kubernetes requests each | RSS | peak |\n");
            text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
            text.push_str(&costs.join("\n"));
            text.push('\n');
        }
        text
    }

    fn json(&self) -> Value {
        let otherwise = self.machine.otherwise();
        let rows = self.rows().map(|row| row.json(self.tenants));
        json!({
            "tenants": self.tenants,
            "seconds": self.began.elapsed().as_secs_f64(),
            "machine": {
                "cores": otherwise.cores,
                "loadBefore": otherwise.load,
                "othersShare": otherwise.others,
                "oursShare": otherwise.ours,
                "busy": otherwise.is_busy(),
            },
            "rows": rows.collect::<Vec<_>>(),
        })
    }

    /// Prints the tables, writes them and the JSON to `target/bench`, and with `UPDATE` into the page.
    pub fn finish(self) {
        let text = self.markdown();
        write(&format!("{}-{}.md", self.name, self.tenants), &text);
        let json = serde_json::to_string_pretty(&self.json()).unwrap();
        write(&format!("{}-{}.json", self.name, self.tenants), &json);
        page::update(self.name, &text);
        let ratios: Vec<(String, f64)> =
            self.rows().filter_map(|row| Some((row.name.clone(), row.ratio()?))).collect();
        if !ratios.is_empty() {
            let drawing = plot::bars("Times the limit", "x", &ratios);
            page::drawing(&format!("{}-ratios.svg", self.name), &drawing);
        }
        println!("\n{text}");
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Writes a file in `target/bench`.
pub fn write(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
}
