//! T10: random faults, one after the other and side by side, while resources are edited. A seed says which: the same seed
//! draws the same faults, edits and times in the same order. `SOAK_FAULTS` leaves only some kinds, named as the table at
//! the end does.
//!
//! | file | what |
//! | --- | --- |
//! | `fault` | what can fail: a new kind of fault is added here, and in `stage` |
//! | `plan` | what a seed draws |
//! | `stage` | all that runs, and how each fault begins and ends |
//! | `edit` | what is done to the resources meanwhile |

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

/// How long, and with which seed, where nobody says.
const SHORT: (u64, u64) = (15, 4);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a whole number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_in_random_order_redis_equals_the_resources_after_each_fault() {
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
    println!("{}", told(&table, begin.elapsed()));
    stage.finish().await;
}

/// Has it all happen, and waits until all is right again: how long that took after the last fault had ended.
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
    stage.wait_true().await;
    stage.world.heed_all();
    ended.elapsed()
}

/// What became of the faults of one kind. One that was not survived ends the test.
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

fn told(table: &BTreeMap<Fault, Tally>, took: Duration) -> String {
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
