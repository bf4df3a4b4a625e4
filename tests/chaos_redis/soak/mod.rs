//! T10: random faults, consecutive and concurrent, while resources are edited. A seed determines faults, edits and times and
//! their order. `SOAK_FAULTS` selects some kinds, by the names of the table at the end.
//!
//! | file | subject |
//! | --- | --- |
//! | `fault` | the kinds of faults: a new one is added here, and in `stage` |
//! | `plan` | the steps that a seed draws |
//! | `stage` | all processes, and the begin and end of each fault |
//! | `edit` | the edits of resources |

mod edit;
mod fault;
mod plan;
mod stage;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use fault::Fault;
use plan::{Plan, Step};
use stage::Stage;

/// The default duration and seed.
const SHORT: (u64, u64) = (15, 4);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_equals_the_resources_after_each_random_fault() {
    let long = number("SOAK_SECONDS");
    let seconds = long.unwrap_or(SHORT.0);
    let seed = number("SOAK_SEED").unwrap_or(SHORT.1);
    println!(
        "soak: {seconds} s, seed {seed}; the same again: SOAK_SEED={seed} SOAK_SECONDS={seconds} make soak"
    );
    let stage = Stage::set(long.is_some()).await;
    let mut faults = if long.is_some() { Fault::all() } else { Fault::quick() };
    if let Ok(only) = std::env::var("SOAK_FAULTS") {
        faults.retain(|fault| only.split(',').any(|name| name == fault.to_string()));
    }
    let mut table: BTreeMap<Fault, Tally> = BTreeMap::new();
    let begin = Instant::now();
    for (number, step) in (1..).zip(Plan::new(seed, &faults)) {
        println!("soak: {:?} step {number}: {step}", begin.elapsed());
        let healed = play(&stage, &step).await;
        for (fault, _) in &step.faults {
            table.entry(*fault).or_default().add(healed);
        }
        if begin.elapsed() > Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{}", report(&table, begin.elapsed()));
    stage.finish().await;
}

/// Runs a step, and waits until everything agrees again; returns the time since the end of the last fault.
async fn play(stage: &Stage, step: &Step) -> Duration {
    for (fault, operator) in &step.faults {
        stage.begin(*fault, *operator).await;
    }
    for edit in &step.edits {
        edit.make(&stage.world).await;
    }
    tokio::time::sleep(step.lasts).await;
    for (fault, operator) in step.faults.iter().rev() {
        stage.end(*fault, *operator).await;
    }
    let ended = Instant::now();
    stage.write_meanwhile().await;
    stage.wait_true().await;
    stage.world.resume_checks();
    ended.elapsed()
}

/// The result of the faults of one kind. A fault that is not survived ends the test.
#[derive(Default)]
struct Tally {
    survived: u32,
    longest: Duration,
}

impl Tally {
    fn add(&mut self, healed: Duration) {
        self.survived += 1;
        self.longest = self.longest.max(healed);
    }
}

fn report(table: &BTreeMap<Fault, Tally>, took: Duration) -> String {
    let mut text = format!("{:<24} {:>8} {:>8} {:>14}\n", "fault", "injected", "survived", "longest repair");
    for (fault, tally) in table {
        let (name, count) = (fault.to_string(), tally.survived);
        let longest = format!("{:.1} s", tally.longest.as_secs_f64());
        writeln!(text, "{name:<24} {count:>8} {count:>8} {longest:>14}").unwrap();
    }
    let all: u32 = table.values().map(|tally| tally.survived).sum();
    writeln!(text, "{all} faults of {} kinds in {:.0} s, all survived", table.len(), took.as_secs_f64())
        .unwrap();
    text
}
