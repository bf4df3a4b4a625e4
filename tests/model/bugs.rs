//! The model finds planted bugs: otherwise it would prove nothing that it finds none in the product.

use stateright::{Checker, HasDiscoveries, Model};

use crate::scenario::{BOTH, Budget, Bug, Scenario, X, Y};
use crate::truth;
use crate::values::{SUSPEND, TAKE_OVER};

/// Fails unless the model finds the promise broken; prints by which actions.
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

fn two(claims: [&'static [u8]; 2], budget: Budget) -> Scenario {
    Scenario { replicas: 2, ..Scenario::one(claims, budget) }
}

#[test]
fn without_the_fence_a_superseded_leader_writes() {
    let budget = Budget { edits: 1, expired_leases: 1, ..Budget::default() };
    find(Bug::NoFence, truth::ONE_WRITER, two([&[X, Y], &[]], budget));
}

#[test]
fn mappings_before_configs_leave_a_did_without_config() {
    let budget = Budget { edits: 1, ..Budget::default() };
    find(Bug::MappingFirst, truth::SERVED, Scenario::one([&[X, BOTH], &[]], budget));
}

#[test]
fn without_promotion_a_released_did_stays_unmapped() {
    let budget = Budget { deletions: 1, ..Budget::default() };
    find(Bug::NoPromotion, truth::IN_THE_END, Scenario::one([&[X], &[X]], budget));
}

#[test]
fn an_unconfirmed_lease_lets_a_superseded_leader_write() {
    let budget = Budget { expired_leases: 1, ..Budget::default() };
    find(
        Bug::LeaseNotConfirmed,
        truth::ONE_WRITER,
        Scenario { starts_at_rest: false, ..two([&[X], &[]], budget) },
    );
}

#[test]
fn without_process_ids_a_flush_lets_a_superseded_leader_write() {
    let budget = Budget { edits: 1, expired_leases: 1, flushes: 1, ..Budget::default() };
    find(Bug::NoProcessIds, truth::ONE_WRITER, two([&[X, Y], &[]], budget));
}

#[test]
fn owners_that_yield_forever_reroute_a_published_did() {
    let budget = Budget { edits: 2, ..Budget::default() };
    find(Bug::YieldsForever, truth::LIVE_CALLS_FIRST, Scenario::one([&[BOTH, X], &[Y]], budget));
}

#[test]
fn trusted_late_replies_leave_a_flush_unnoticed() {
    let budget = Budget { losses: 1, flushes: 1, ..Budget::default() };
    find(Bug::LateRepliesTrusted, truth::IN_THE_END, Scenario::one([&[X], &[]], budget));
}

#[test]
fn a_kept_epoch_lets_a_late_script_undo_newer_writes() {
    let budget = Budget { edits: 1, deletions: 1, timeouts: 1, ..Budget::default() };
    find(Bug::EpochKept, truth::NOTHING_LATE, Scenario::one([&[BOTH, X], &[BOTH]], budget));
}

#[test]
fn holders_that_dont_come_first_after_a_flush_lose_a_did_to_another_cluster() {
    let budget = Budget { flushes: 1, ..Budget::default() };
    let scenario = Scenario { shares_redis: true, ..Scenario::one([&[BOTH], &[]], budget) };
    find(Bug::HoldersNotFirst, truth::OTHERS_KEEP, scenario);
}

#[test]
fn a_taker_whose_secret_cant_be_read_holds_up_the_giver_of_a_did() {
    let budget = Budget { edits: 1, broken_secrets: 1, ..Budget::default() };
    find(Bug::TakersHoldUp, truth::IN_THE_END, Scenario::one([&[BOTH, X], &[Y]], budget));
}

#[test]
fn a_take_over_that_works_again_takes_what_was_taken_back() {
    let budget = Budget { edits: 1, take_backs: 1, ..Budget::default() };
    let scenario = Scenario { shares_redis: true, ..Scenario::one([&[BOTH, BOTH | TAKE_OVER], &[]], budget) };
    find(Bug::TakesOverForever, truth::OTHERS_KEEP, scenario);
}

#[test]
fn a_blind_adoption_unmaps_dids_of_an_older_publisher() {
    let scenario =
        Scenario { is_adopted: true, starts_at_rest: false, ..Scenario::one([&[X], &[]], Budget::default()) };
    find(Bug::AdoptsBlindly, truth::OTHERS_KEEP, scenario);
}

#[test]
fn an_ignored_suspend_publishes_a_suspended_resource() {
    let budget = Budget { edits: 1, ..Budget::default() };
    find(Bug::SuspendIgnored, truth::SUSPENDED, Scenario::one([&[BOTH, X | SUSPEND], &[]], budget));
}
