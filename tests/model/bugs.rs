//! A bug that is planted is found: without these, nothing found would mean nothing.

use stateright::{Checker, HasDiscoveries, Model};

use crate::scenario::{BOTH, Budget, Bug, Scenario, X, Y};
use crate::truth;

/// Fails unless the promise is found broken; says by what.
fn find(bug: Bug, promise: &'static str, mut scenario: Scenario) {
    scenario.bug = Some(bug);
    let checker = scenario.checker().finish_when(HasDiscoveries::AnyOf([promise].into())).spawn_bfs().join();
    let path = checker.discovery(promise).unwrap_or_else(|| panic!("{bug:?} is not found"));
    let actions = path.into_actions();
    println!(
        "{bug:?} after {} states, in {} steps: {actions:?}",
        checker.unique_state_count(),
        actions.len()
    );
}

fn one(claims: [&'static [u8]; 2], budget: Budget) -> Scenario {
    Scenario { replicas: 1, claims, settled: true, budget, shows: &[], bug: None }
}

fn two(claims: [&'static [u8]; 2], budget: Budget) -> Scenario {
    Scenario { replicas: 2, ..one(claims, budget) }
}

#[test]
fn without_the_fence_a_superseded_leader_writes() {
    let budget = Budget { edits: 1, steals: 1, ..Budget::default() };
    find(Bug::NoFence, truth::ONE_WRITER, two([&[X, Y], &[]], budget));
}

#[test]
fn with_mappings_before_configs_a_number_has_no_config() {
    let budget = Budget { edits: 1, ..Budget::default() };
    find(Bug::MappingFirst, truth::SERVED, one([&[X, BOTH], &[]], budget));
}

#[test]
fn without_promotion_a_number_stays_nobodys() {
    let budget = Budget { deletions: 1, ..Budget::default() };
    find(Bug::PromotionForgotten, truth::IN_THE_END, one([&[X], &[X]], budget));
}

#[test]
fn with_the_lease_not_read_again_a_superseded_leader_writes() {
    let budget = Budget { steals: 1, ..Budget::default() };
    find(Bug::LeaseNotReadAgain, truth::ONE_WRITER, Scenario { settled: false, ..two([&[X], &[]], budget) });
}

#[test]
fn with_numbers_unmarked_a_flush_lets_a_superseded_leader_write() {
    let budget = Budget { edits: 1, steals: 1, flushes: 1, ..Budget::default() };
    find(Bug::NumbersUnmarked, truth::ONE_WRITER, two([&[X, Y], &[]], budget));
}

#[test]
fn with_owners_that_yield_for_good_a_live_number_is_rerouted() {
    let budget = Budget { edits: 2, ..Budget::default() };
    find(Bug::YieldedForGood, truth::LIVE_CALLS_FIRST, one([&[BOTH, X], &[Y]], budget));
}

#[test]
fn with_late_answers_trusted_a_flush_stays_unnoticed() {
    let budget = Budget { losses: 1, flushes: 1, ..Budget::default() };
    find(Bug::AnswersTrusted, truth::IN_THE_END, one([&[X], &[]], budget));
}

#[test]
fn with_the_number_kept_a_late_script_undoes_what_came_after() {
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    find(Bug::NumberKept, truth::NOTHING_LATE, one([&[BOTH, X], &[BOTH]], budget));
}
