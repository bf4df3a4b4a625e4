//! After a loss in Redis, holders come first by what statuses say; and a tenant that is refused outside leaves free DIDs to
//! others.

use std::time::{Duration, Instant};

use runtime_operator::domain::ClusterId;
use runtime_operator::domain::index::Index;
use serde_json::{Value, json};

use super::fixture::{DID, Fixture, OTHER_DID, reconcile, start, synced, tenant};
use super::reconciles;

/// A tenant with a live DID, which waits for another one that a resource of the cluster `there` holds.
fn waiting() -> Fixture {
    let held = json!([{ "cluster": "there", "owner": "voice/theirs", "dids": [OTHER_DID] }]);
    let status = json!({ "observedGeneration": 1, "publishedDids": [DID], "heldElsewhere": held });
    Fixture { dids: vec![DID, OTHER_DID], status, ..tenant("acme") }
}

/// The DIDs with which a tenant would be published now; none: it would not be.
fn published(index: &Index, name: &str) -> Vec<String> {
    let recorded = reconcile(&start(index, name)).change.and_then(|change| change.recorded);
    recorded.map_or(Vec::new(), |recorded| recorded.published.dids.iter().map(ToString::to_string).collect())
}

fn there() -> Vec<ClusterId> {
    vec![ClusterId::new("there")]
}

#[test]
fn own_dids_are_published_at_once_and_those_of_others_after_ten_seconds() {
    let (mut index, begin) = (synced(), Instant::now());
    let _ = waiting().apply(&mut index);
    assert_eq!(published(&index, "acme"), [DID, OTHER_DID], "nothing is lost");

    index.loss_found(begin, true);

    assert_eq!(published(&index, "acme"), [DID]);
    assert!(start(&index, "acme").claims.held_back.after_loss);
    assert_eq!(index.next_release(), Some(begin + Duration::from_secs(10)));
    assert!(reconciles(&index.release_held_back(begin + Duration::from_secs(9))).is_empty());
    assert_eq!(reconciles(&index.release_held_back(begin + Duration::from_secs(10))), ["acme"]);
    assert_eq!(published(&index, "acme"), [DID, OTHER_DID]);
    assert!(!start(&index, "acme").claims.held_back.after_loss);
    assert_eq!(index.next_release(), None);
}

#[test]
fn a_new_claimant_waits_for_a_did_that_another_status_names() {
    let (mut index, begin) = (synced(), Instant::now());
    let _ = waiting().apply(&mut index);
    index.loss_found(begin, true);
    let _ = index.delete(&super::uid("acme"));
    let _ = Fixture { dids: vec![OTHER_DID], ..tenant("late") }.apply(&mut index);
    assert_eq!(published(&index, "late"), Vec::<String>::new());
    assert_eq!(reconciles(&index.release_held_back(begin + Duration::from_secs(10))), ["late"]);
    assert_eq!(published(&index, "late"), [OTHER_DID]);
}

#[test]
fn a_cluster_that_redis_has_forgotten_is_waited_for_without_another_sign_of_a_loss() {
    let (mut index, begin) = (synced(), Instant::now());
    let _ = waiting().apply(&mut index);
    let named = index.named_clusters();
    assert_eq!(named.iter().cloned().collect::<Vec<_>>(), there());
    index.clusters_seen(&named, &there(), begin);
    assert_eq!((published(&index, "acme").len(), index.next_release()), (2, None));

    index.clusters_seen(&named, &[], begin);

    assert_eq!(published(&index, "acme"), [DID]);
    assert_eq!(index.awaited_clusters(), named);
    let back = begin + Duration::from_secs(60);
    assert!(reconciles(&index.release_held_back(back)).is_empty());
    index.clusters_seen(&named, &there(), back);
    assert!(index.awaited_clusters().is_empty());
    assert!(reconciles(&index.release_held_back(back + Duration::from_secs(9))).is_empty());
    assert_eq!(reconciles(&index.release_held_back(back + Duration::from_secs(10))), ["acme"]);
    assert_eq!(published(&index, "acme"), [DID, OTHER_DID]);
}

#[test]
fn a_tenant_id_of_another_cluster_is_held_back_but_not_from_who_had_it() {
    let held = json!([{ "cluster": "there", "owner": "voice/acme" }]);
    for (own, expected) in [(json!([]), vec![]), (json!([DID]), vec![DID.to_owned()])] {
        let (mut index, begin) = (synced(), Instant::now());
        let status = json!({ "observedGeneration": 1, "publishedDids": own, "heldElsewhere": held });
        let _ = Fixture { status, ..tenant("acme") }.apply(&mut index);
        index.loss_found(begin, false);
        assert_eq!(published(&index, "acme"), expected, "{own}");
    }
}

#[test]
fn fewer_records_than_statuses_that_list_dids_are_a_loss() {
    let mut index = synced();
    assert!(!index.has_lost(&[]));
    let _ = tenant("new").apply(&mut index);
    assert!(!index.has_lost(&[]));
    let _ = waiting().apply(&mut index);
    assert!(index.has_lost(&[]));
}

#[test]
fn a_status_says_after_a_start_that_a_tenant_is_refused_outside() {
    let adoption = json!([{
        "type": "Ready", "status": "False", "reason": "AdoptionWouldChangeSecret", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]);
    let elsewhere = json!([{ "cluster": "there", "owner": "voice/blocked" }]);
    let statuses: [Value; 2] = [
        json!({ "observedGeneration": 1, "conditions": adoption }),
        json!({ "observedGeneration": 1, "heldElsewhere": elsewhere }),
    ];
    for status in statuses {
        let mut index = synced();
        // The first one by name, of the same age.
        let _ = Fixture { status: status.clone(), ..tenant("blocked") }.apply(&mut index);
        let _ = tenant("honest").apply(&mut index);
        assert_eq!(published(&index, "honest"), [DID], "{status}");
        // It asks Redis for the same, in case it is no longer refused.
        assert_eq!(published(&index, "blocked"), [DID], "{status}");
    }
}
