//! Runs the rendered chart end to end: with a real API server, controllers and scheduler, nodes by kwok, and every Pod run as its
//! spec says and with its own permissions only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod caller;
mod isolated;
mod kubelet;
mod life;
mod namespaced;
mod network;
mod pages;
mod previous;
mod quickstart;
mod site;
mod upgrade;

use isolated::isolated;

#[test]
fn a_release_loses_no_call_from_install_to_uninstall() {
    isolated("a_release_loses_no_call_from_install_to_uninstall", life::story);
}

#[test]
fn a_namespaced_release_changes_nothing_cluster_wide_on_the_oldest_kubernetes() {
    isolated("a_namespaced_release_changes_nothing_cluster_wide_on_the_oldest_kubernetes", namespaced::story);
}

#[test]
fn the_quickstart_leads_to_a_tenant() {
    isolated("the_quickstart_leads_to_a_tenant", quickstart::story);
}

#[test]
#[ignore = "needs an older program: make proofs builds it, and UPGRADE_FROM names its repository"]
fn an_upgrade_from_an_older_version_and_back_unmaps_no_number() {
    isolated("an_upgrade_from_an_older_version_and_back_unmaps_no_number", upgrade::story);
}
