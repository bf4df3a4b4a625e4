#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

mod cast;
mod kept;
mod redis;
mod replica;
mod truth;
mod world;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};
use world::{Budget, Scenario};

fn explore(name: &str, scenario: Scenario) {
    let began = Instant::now();
    let checker = scenario.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!(
        "{name}: {} states ({} transitions), depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    checker.assert_properties();
}

#[test]
fn one_replica_contested() {
    explore(
        "contested",
        Scenario {
            replicas: 1,
            claims: [&[0b11, 0b01], &[0b10]],
            settled: true,
            budget: Budget { edits: 1, ..Budget::default() },
            bug: None,
        },
    );
}
