//! The promises hold in every state that there is, and every run comes to rest.

use std::collections::HashMap;
use std::time::Instant;

use stateright::{Checker, Expectation, Model};

use crate::kept::{Fixed, Kept};
use crate::scenario::{BOTH, Budget, Scenario, Shows, X, Y};
use crate::world::World;

/// Goes through all states, says how many there were, and fails with the way to a state in which a promise is broken.
fn explore(name: &str, scenario: Scenario) {
    let began = Instant::now();
    let checker = scenario.checker().threads(2).spawn_bfs().join();
    println!(
        "{name}: {} states ({} transitions), depth {}, {:.1} s",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        began.elapsed().as_secs_f64()
    );
    for property in checker.model().properties() {
        match (checker.discovery(property.name), property.expectation) {
            (None, Expectation::Sometimes) => panic!("never seen: {}", property.name),
            (Some(path), Expectation::Always) => {
                let last = path.last_state().clone();
                panic!("broken: {}\nby {:#?}\nin {last:#?}", property.name, path.into_actions());
            }
            _ => {}
        }
    }
}

/// Goes through all states once more and fails where a run can go round for ever: since users and mishaps have a
/// budget, only what happens by itself could.
fn comes_to_rest(name: &str, scenario: &Scenario) {
    let start = scenario.start();
    let mut open: HashMap<Kept<World>, bool, Fixed> = HashMap::default();
    let mut path = vec![(Kept::new(start.clone()), scenario.next_states(&start))];
    open.insert(path[0].0.clone(), true);
    let mut transitions = 0_usize;
    while let Some((_, ways)) = path.last_mut() {
        let Some(next) = ways.pop() else {
            let (done, _) = path.pop().unwrap();
            open.insert(done, false);
            continue;
        };
        transitions += 1;
        let kept = Kept::new(next);
        match open.get(&kept) {
            Some(true) => panic!("{name}: goes round for ever through {:#?}", *kept),
            Some(false) => {}
            None => {
                open.insert(kept.clone(), true);
                let ways = scenario.next_states(&kept);
                path.push((kept, ways));
            }
        }
    }
    println!("{name}: every run comes to rest, {} states ({transitions} transitions)", open.len());
}

fn one(claims: [&'static [u8]; 2], budget: Budget, shows: &'static [Shows]) -> Scenario {
    Scenario { replicas: 1, claims, settled: true, budget, shows, bug: None }
}

fn two(claims: [&'static [u8]; 2], budget: Budget, shows: &'static [Shows]) -> Scenario {
    Scenario { replicas: 2, ..one(claims, budget, shows) }
}

#[test]
fn from_nothing_while_specs_change() {
    let budget = Budget { edits: 1, ..Budget::default() };
    explore(
        "from nothing",
        Scenario { settled: false, ..one([&[BOTH, X], &[Y, BOTH]], budget, &[Shows::HandOver]) },
    );
}

#[test]
fn a_contested_number_while_specs_change() {
    let budget = Budget { edits: 3, ..Budget::default() };
    explore("contested", one([&[BOTH, X], &[Y, BOTH]], budget, &[Shows::HandOver]));
}

#[test]
fn numbers_that_are_swapped() {
    let budget = Budget { edits: 3, ..Budget::default() };
    explore("swapped", one([&[X, Y], &[Y, X]], budget, &[Shows::HandOver, Shows::Together]));
}

#[test]
fn a_deletion_while_specs_change() {
    let budget = Budget { edits: 2, deletions: 1, ..Budget::default() };
    explore("deletion", one([&[BOTH, X], &[Y, BOTH]], budget, &[Shows::HandOver]));
}

#[test]
fn a_crash_while_resources_are_deleted_and_made_again() {
    let budget = Budget { edits: 1, deletions: 1, creations: 1, crashes: 1, ..Budget::default() };
    explore("crash", one([&[BOTH, X], &[Y]], budget, &[Shows::HandOver]));
}

#[test]
fn an_answer_that_never_comes_and_a_script_that_comes_late() {
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    explore("late", one([&[BOTH, X], &[BOTH]], budget, &[Shows::HandOver, Shows::Fence]));
}

#[test]
fn keys_that_somebody_else_deletes_and_reroutes() {
    let budget = Budget { edits: 1, losses: 1, reroutes: 1, ..Budget::default() };
    explore("drift", one([&[BOTH, X], &[Y, BOTH]], budget, &[Shows::HandOver]));
}

#[test]
fn a_flush_while_a_number_is_handed_over() {
    let budget = Budget { edits: 1, flushes: 1, ..Budget::default() };
    explore("flush", one([&[X, Y], &[X]], budget, &[Shows::HandOver, Shows::Fence]));
}

#[test]
fn a_flush_while_a_key_is_repaired() {
    let budget = Budget { losses: 1, flushes: 1, timeouts: 1, ..Budget::default() };
    explore("flush and loss", one([&[X], &[X]], budget, &[Shows::Fence]));
}

#[test]
fn a_message_of_redis_that_is_lost() {
    let budget = Budget { losses: 1, deaf: 1, edits: 1, ..Budget::default() };
    explore("audit", one([&[X, Y], &[X]], budget, &[Shows::HandOver]));
}

#[test]
fn a_watch_that_loses_a_deletion() {
    let budget = Budget { deletions: 1, creations: 1, relists: 1, ..Budget::default() };
    explore("relist", one([&[X], &[X]], budget, &[]));
}

#[test]
fn a_leader_that_is_frozen_and_superseded_while_a_number_is_handed_over() {
    let budget = Budget { deletions: 1, steals: 1, ..Budget::default() };
    explore("superseded", two([&[X], &[X]], budget, &[Shows::HandOver, Shows::Fence]));
}

#[test]
fn a_leader_that_is_superseded_while_the_counter_is_lost() {
    let budget = Budget { edits: 1, steals: 1, flushes: 1, overstays: 1, ..Budget::default() };
    explore("superseded and flushed", two([&[X, Y], &[]], budget, &[Shows::Fence]));
}

#[test]
fn an_election_in_which_the_winner_is_frozen_and_another_crashes() {
    let budget = Budget { steals: 1, crashes: 1, ..Budget::default() };
    explore("election", Scenario { settled: false, ..two([&[X], &[]], budget, &[Shows::Fence]) });
}

#[test]
fn a_resource_that_is_deleted_between_two_leaders() {
    let budget = Budget { steals: 1, deletions: 1, strays: 1, overstays: 1, ..Budget::default() };
    explore("deleted between two", two([&[X], &[]], budget, &[Shows::Fence]));
}

#[test]
fn every_run_comes_to_rest() {
    let budget = Budget { edits: 2, losses: 1, ..Budget::default() };
    comes_to_rest("one", &one([&[X, Y], &[Y, X]], budget, &[]));
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    comes_to_rest("one, late", &one([&[X, Y], &[X]], budget, &[]));
    let budget = Budget { edits: 1, steals: 1, overstays: 2, ..Budget::default() };
    comes_to_rest("two", &two([&[X, Y], &[]], budget, &[]));
}
