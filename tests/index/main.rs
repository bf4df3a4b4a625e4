//! The index as a value: what each event makes it ask for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, reason = "a test may fail")]

mod fixture;
mod history;
mod loss;

use fixture::{DID, Fixture, OTHER_DID, publish, start, synced, tenant, uid};
use runtime_operator::domain::claims::Published;
use runtime_operator::domain::event::EventReason;
use runtime_operator::domain::index::{Effects, Failure, Index, Readiness, Recorded, Start};
use runtime_operator::domain::plan::PublishedVersion;
use runtime_operator::domain::reason::Reason;
use runtime_operator::domain::secret::SecretVersion;
use runtime_operator::domain::{ResourceName, Uid};
use serde_json::json;

fn failure(message: &str) -> Failure {
    let reason = Reason::RedisUnreachable;
    Failure { reason, message: message.to_owned(), is_store: true, is_epoch_lost: false }
}

fn reconciles(effects: &Effects) -> Vec<&str> {
    effects.reconcile.iter().map(Uid::as_str).collect()
}

#[test]
fn nothing_is_enqueued_before_the_caches_have_synced() {
    let mut index = Index::new(true);
    assert_eq!(tenant("acme").apply(&mut index), Effects::default());
    index.mark_synced();
    assert_eq!(reconciles(&index.enqueue_all()), ["acme"]);
}

#[test]
fn own_writes_do_not_enqueue_a_reconcile() {
    let mut index = synced();
    let mut acme = tenant("acme");
    assert_eq!(reconciles(&acme.apply(&mut index)), ["acme"]);
    let snapshot = start(&index, "acme");
    assert_eq!(publish(&mut index, &snapshot).status, [uid("acme")]);
    (acme.version, acme.status) = (2, json!({ "observedGeneration": 1, "publishedDids": [DID] }));
    let effects = acme.apply_again(&mut index);
    assert_eq!((reconciles(&effects).len(), effects.status), (0, vec![uid("acme")]));
}

#[test]
fn a_status_waits_until_the_watch_shows_the_own_write_before() {
    let mut index = synced();
    let mut acme = tenant("acme");
    let _ = acme.apply(&mut index);
    index.own_write(&uid("acme"), Some(2));
    assert!(index.take_pending_status(&uid("acme")).is_none());
    acme.version = 2;
    let _ = acme.apply_again(&mut index);
    assert!(index.take_pending_status(&uid("acme")).is_some());
}

#[test]
fn a_released_did_enqueues_the_tenant_that_waits_for_it() {
    let mut index = synced();
    let mut acme = tenant("acme");
    let _ = acme.apply(&mut index);
    let snapshot = start(&index, "acme");
    let _ = publish(&mut index, &snapshot);
    let _ = tenant("beta").apply(&mut index);
    assert!(start(&index, "beta").claims.holdings.unwrap().dids.is_empty());
    (acme.dids, acme.generation, acme.version) = (vec![OTHER_DID], 2, 2);
    assert_eq!(reconciles(&acme.apply(&mut index)), ["acme", "beta"]);
    assert!(matches!(index.start(&uid("acme")), Start::Group), "beta must be published first");
}

#[test]
fn a_deleted_resource_is_reconciled_until_its_record_is_gone() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let snapshot = start(&index, "acme");
    let _ = publish(&mut index, &snapshot);
    assert_eq!(reconciles(&index.delete(&uid("acme"))), ["acme"]);
    assert!(start(&index, "acme").object.is_none());
    assert_eq!(index.orphans().0, [uid("acme")].into());
    let _ = index.correct_record(&uid("acme"), None, None);
    assert!(index.tenant(&uid("acme")).is_none());
    assert_eq!(index.orphans().1, 0);
}

#[test]
fn a_resource_that_vanished_while_it_was_published_is_reconciled_again() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let snapshot = start(&index, "acme");
    // Handled before the reply of Redis, as in the reconcile of another tenant, which publishes it too.
    let _ = index.delete(&uid("acme"));

    assert_eq!(reconciles(&publish(&mut index, &snapshot)), ["acme"], "its keys must be removed");

    let removed = start(&index, "acme");
    assert!(removed.object.is_none() && removed.claims.published.is_some());
}

#[test]
fn a_resource_that_was_recreated_between_two_lists_replaces_the_one_before() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let again = Fixture { uid: "second", ..tenant("acme") };
    let _ = again.apply(&mut index);
    assert_eq!(index.len(), 1);
    assert!(index.object(&uid("acme")).is_none() && index.object(&uid("second")).is_some());
}

#[test]
fn a_resource_whose_record_another_took_over_is_forgotten() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let snapshot = start(&index, "acme");
    let _ = publish(&mut index, &snapshot);
    let _ = index.remove_unlisted(2, |_| true);
    let again = Fixture { uid: "second", ..tenant("acme") };
    let _ = again.apply(&mut index);
    let snapshot = start(&index, "second");
    let _ = publish(&mut index, &snapshot);
    assert_eq!(reconciles(&index.enqueue_unpublished()), ["acme"], "the audit finds it");
    let _ = index.reconciled(&uid("acme"));
    assert!(index.tenant(&uid("acme")).is_none());
}

#[test]
fn a_result_from_before_an_invalidation_proves_nothing() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let snapshot = start(&index, "acme");
    let now = std::time::Instant::now();
    let (effects, immediately) = index.drifted(&uid("acme"), now);
    assert_eq!((reconciles(&effects), immediately), (vec!["acme"], true));
    let _ = publish(&mut index, &snapshot);
    assert!(!index.tenant(&uid("acme")).unwrap().is_verified());
    let snapshot = start(&index, "acme");
    let _ = publish(&mut index, &snapshot);
    assert!(index.tenant(&uid("acme")).unwrap().is_verified());
}

#[test]
fn a_resync_reconciles_every_tenant_and_forgets_lost_records() {
    let mut index = synced();
    for name in ["acme", "beta"] {
        let _ = Fixture { dids: vec![if name == "acme" { DID } else { OTHER_DID }], ..tenant(name) }
            .apply(&mut index);
        let snapshot = start(&index, name);
        let _ = publish(&mut index, &snapshot);
    }
    let effects = index.resync(Vec::new());
    assert_eq!(reconciles(&effects), ["acme", "beta"]);
    assert_eq!(index.orphans(), (std::collections::HashSet::new(), 0));
}

#[test]
fn one_success_retries_all_failed_tenants() {
    let mut index = synced();
    for name in ["acme", "beta", "gamma"] {
        let _ = tenant(name).apply(&mut index);
        let (effects, retry) = index.failed(&uid(name), failure("out of memory"));
        assert_eq!((retry.failures, effects.status), (0, vec![uid(name)]));
    }
    let (effects, must_poll) = index.reconciled(&uid("beta"));
    assert_eq!((reconciles(&effects), must_poll), (vec!["acme", "gamma"], false));
}

#[test]
fn readiness_reports_a_store_error_while_tenants_wait_for_redis() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let (effects, _) = index.failed(&uid("acme"), failure("out of memory"));
    assert_eq!(effects.readiness, Some(Readiness::StoreError("RedisUnreachable: out of memory".to_owned())));
    let (effects, _) = index.failed(&uid("acme"), failure("out of memory"));
    assert_eq!(effects.readiness, None, "it is known");
    let (effects, _) = index.reconciled(&uid("acme"));
    assert_eq!(effects.readiness, Some(Readiness::Ready));
}

#[test]
fn a_delayed_change_is_reported_once() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    for _ in 0..3 {
        let _ = index.failed(&uid("acme"), failure("out of memory"));
    }
    let delay = index.take_pending_status(&uid("acme")).unwrap().delay.unwrap();
    assert_eq!(delay.failure.message, "out of memory");
    let event = index.report_delay(&uid("acme"), &delay.failure).unwrap();
    assert_eq!(event.reason, EventReason::PublishDelayed);
    assert_eq!(event.message, "not published yet (RedisUnreachable), retrying: out of memory");
    assert_eq!(index.report_delay(&uid("acme"), &delay.failure), None);
}

#[test]
fn a_new_secret_version_enqueues_the_tenants_that_refer_to_it() {
    let mut index = synced();
    let _ = tenant("acme").apply(&mut index);
    let hook = ResourceName::new("voice", "hook");
    let second = SecretVersion::new(Some("secret"), Some("2"));
    assert_eq!(reconciles(&index.apply_secret(&hook, Some((second.clone(), 1)))), ["acme"]);
    assert!(index.apply_secret(&hook, Some((second, 1))).reconcile.is_empty());
    assert_eq!(reconciles(&index.remove_unlisted_secrets(2, |_| true)), ["acme"]);
    assert!(start(&index, "acme").secret.is_none());
}

#[test]
fn an_orphan_is_left_to_the_sweep() {
    let mut index = synced();
    let version = PublishedVersion { generation: 1, secret: "s/1".to_owned(), hash: "h".to_owned() };
    let tenant = runtime_operator::contract::TenantId::parse("gone").unwrap();
    let recorded = Recorded { published: Published { tenant, dids: Vec::new() }, version };
    let effects = index.resync(vec![(uid("gone"), recorded, true)]);
    assert!(effects.reconcile.is_empty());
    let owners = index.published_owners();
    let tenants: Vec<_> = owners.keys().cloned().collect();
    let expected = index.expect(&tenants, &owners);
    let cluster = runtime_operator::domain::ClusterId::new("here");
    let (effects, result) = index.audit(&cluster, &expected, &[(None, false)]);
    assert_eq!((effects.reconcile.len(), result.drifted), (0, 1));
    assert_eq!(index.orphans().0, [uid("gone")].into());
}
