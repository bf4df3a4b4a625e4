//! The promises hold in every reachable state, and every run comes to rest.

use std::collections::HashMap;
use std::time::Instant;

use stateright::{Checker, Expectation, Model};

use crate::scenario::{BOTH, Budget, MustHappen, Scenario, X, Y};
use crate::shared::{Fixed, Shared};
use crate::values::{SUSPEND, TAKE_OVER};
use crate::world::World;

/// Explores all states, prints their number, and fails with the path to a state in which a promise is broken.
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

/// Explores all states again, and fails if a run can go round for ever. Users and faults have a budget, so only what the
/// product does could.
fn comes_to_rest(name: &str, scenario: &Scenario) {
    let start = scenario.start();
    let mut open: HashMap<Shared<World>, bool, Fixed> = HashMap::default();
    let mut path = vec![(Shared::new(start.clone()), scenario.next_states(&start))];
    open.insert(path[0].0.clone(), true);
    let mut transitions = 0_usize;
    while let Some((_, ways)) = path.last_mut() {
        let Some(next) = ways.pop() else {
            let (done, _) = path.pop().unwrap();
            open.insert(done, false);
            continue;
        };
        transitions += 1;
        let shared = Shared::new(next);
        match open.get(&shared) {
            Some(true) => panic!("{name}: goes round for ever through {:#?}", *shared),
            Some(false) => {}
            None => {
                open.insert(shared.clone(), true);
                let ways = scenario.next_states(&shared);
                path.push((shared, ways));
            }
        }
    }
    println!("{name}: every run comes to rest, {} states ({transitions} transitions)", open.len());
}

fn one(claims: [&'static [u8]; 2], budget: Budget, must_happen: &'static [MustHappen]) -> Scenario {
    Scenario { must_happen, ..Scenario::one(claims, budget) }
}

fn two(claims: [&'static [u8]; 2], budget: Budget, must_happen: &'static [MustHappen]) -> Scenario {
    Scenario { replicas: 2, ..one(claims, budget, must_happen) }
}

#[test]
fn promises_hold_from_an_empty_redis_while_specs_change() {
    let budget = Budget { edits: 1, ..Budget::default() };
    explore(
        "from nothing",
        Scenario { starts_at_rest: false, ..one([&[BOTH, X], &[Y, BOTH]], budget, &[MustHappen::Transfer]) },
    );
}

#[test]
fn promises_hold_while_a_contested_did_is_edited() {
    let budget = Budget { edits: 3, ..Budget::default() };
    explore("contested", one([&[BOTH, X], &[Y, BOTH]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_while_dids_are_exchanged() {
    let budget = Budget { edits: 3, ..Budget::default() };
    explore("swapped", one([&[X, Y], &[Y, X]], budget, &[MustHappen::Transfer, MustHappen::Together]));
}

#[test]
fn promises_hold_during_a_deletion_while_specs_change() {
    let budget = Budget { edits: 2, deletions: 1, ..Budget::default() };
    explore("deletion", one([&[BOTH, X], &[Y, BOTH]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_after_a_crash_during_deletion_and_recreation() {
    let budget = Budget { edits: 1, deletions: 1, creations: 1, crashes: 1, ..Budget::default() };
    explore("crash", one([&[BOTH, X], &[Y]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_with_a_lost_reply_and_a_late_script() {
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    explore("late", one([&[BOTH, X], &[BOTH]], budget, &[MustHappen::Transfer, MustHappen::Fence]));
}

#[test]
fn promises_hold_despite_external_deletes_and_reroutes() {
    let budget = Budget { edits: 1, losses: 1, reroutes: 1, ..Budget::default() };
    explore("drift", one([&[BOTH, X], &[Y, BOTH]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_after_a_flush_during_a_transfer() {
    let budget = Budget { edits: 1, flushes: 1, ..Budget::default() };
    explore("flush", one([&[X, Y], &[X]], budget, &[MustHappen::Transfer, MustHappen::Fence]));
}

#[test]
fn promises_hold_after_a_flush_during_a_repair() {
    let budget = Budget { losses: 1, flushes: 1, timeouts: 1, ..Budget::default() };
    explore("flush and loss", one([&[X], &[X]], budget, &[MustHappen::Fence]));
}

#[test]
fn promises_hold_after_a_lost_signal() {
    let budget = Budget { losses: 1, dropped_signals: 1, edits: 1, ..Budget::default() };
    explore("audit", one([&[X, Y], &[X]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_after_a_watch_loses_a_deletion() {
    let budget = Budget { deletions: 1, creations: 1, relists: 1, ..Budget::default() };
    explore("relist", one([&[X], &[X]], budget, &[]));
}

#[test]
fn promises_hold_with_a_frozen_superseded_leader_during_a_transfer() {
    let budget = Budget { deletions: 1, expired_leases: 1, ..Budget::default() };
    explore("superseded", two([&[X], &[X]], budget, &[MustHappen::Transfer, MustHappen::Fence]));
}

#[test]
fn promises_hold_with_a_superseded_leader_and_a_lost_counter() {
    let budget = Budget { edits: 1, expired_leases: 1, flushes: 1, overstays: 1, ..Budget::default() };
    explore("superseded and flushed", two([&[X, Y], &[]], budget, &[MustHappen::Fence]));
}

#[test]
fn promises_hold_in_an_election_with_a_frozen_winner_and_a_crash() {
    let budget = Budget { expired_leases: 1, crashes: 1, ..Budget::default() };
    explore("election", Scenario { starts_at_rest: false, ..two([&[X], &[]], budget, &[MustHappen::Fence]) });
}

#[test]
fn promises_hold_for_a_resource_deleted_between_two_leaders() {
    let budget =
        Budget { expired_leases: 1, deletions: 1, stray_epochs: 1, overstays: 1, ..Budget::default() };
    explore("deleted between two", two([&[X], &[]], budget, &[MustHappen::Fence]));
}

/// One replica, beside the operator of another cluster that holds the first DID.
fn beside_another_cluster(
    claims: [&'static [u8]; 2],
    budget: Budget,
    must_happen: &'static [MustHappen],
) -> Scenario {
    Scenario { shares_redis: true, ..one(claims, budget, must_happen) }
}

#[test]
fn promises_hold_for_a_waiter_of_another_cluster_at_a_flush() {
    let budget = Budget { flushes: 2, ..Budget::default() };
    explore("waiter", beside_another_cluster([&[BOTH], &[]], budget, &[MustHappen::Fence]));
    let budget = Budget { flushes: 1, crashes: 1, neighbour_deletions: 1, ..Budget::default() };
    explore("waiter and crash", beside_another_cluster([&[BOTH], &[]], budget, &[MustHappen::Fence]));
}

#[test]
fn promises_hold_while_a_secret_cant_be_read() {
    let budget = Budget { edits: 2, broken_secrets: 1, ..Budget::default() };
    explore("secret", one([&[BOTH, X], &[Y, BOTH]], budget, &[MustHappen::Transfer]));
    let budget = Budget { edits: 1, deletions: 1, broken_secrets: 1, ..Budget::default() };
    explore("secret and deletion", one([&[X, Y], &[Y, X]], budget, &[MustHappen::Transfer]));
}

#[test]
fn promises_hold_for_a_take_over_that_is_taken_back() {
    let budget = Budget { edits: 1, take_backs: 1, ..Budget::default() };
    explore("take-over", beside_another_cluster([&[BOTH, BOTH | TAKE_OVER], &[]], budget, &[]));
}

#[test]
fn promises_hold_while_an_older_publishers_config_is_adopted() {
    let budget = Budget { edits: 2, ..Budget::default() };
    let scenario = one([&[X, BOTH], &[Y]], budget, &[]);
    explore("adoption", Scenario { is_adopted: true, starts_at_rest: false, ..scenario });
}

#[test]
fn promises_hold_while_a_resource_is_suspended() {
    let budget = Budget { edits: 2, ..Budget::default() };
    explore("suspend", one([&[BOTH, X | SUSPEND, X], &[Y]], budget, &[MustHappen::Transfer]));
}

#[test]
fn every_run_comes_to_rest() {
    let budget = Budget { edits: 2, losses: 1, ..Budget::default() };
    comes_to_rest("one", &one([&[X, Y], &[Y, X]], budget, &[]));
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    comes_to_rest("one, late", &one([&[X, Y], &[X]], budget, &[]));
    let budget = Budget { edits: 1, expired_leases: 1, overstays: 2, ..Budget::default() };
    comes_to_rest("two", &two([&[X, Y], &[]], budget, &[]));
}
