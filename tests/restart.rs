//! Stop, kill and start: a stop is clean and in time, and after any end the next start finishes the work, decides as before
//! and repeats no write.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use kube::api::{Api, ListParams};
use rand::Rng;
use serde_json::json;
use test_support::{Operator, Permissions, World, tenant};
use tokio::net::TcpStream;

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const LONGEST_STOP: Duration = Duration::from_secs(5);

/// Returns the `n`-th DID with a prefix such as +1555.
fn number(family: &str, n: usize) -> String {
    format!("{family}{n:07}")
}

async fn apply_many(world: &World, count: usize) {
    let apply = async |n: usize| {
        let did = number("+1555", n);
        world.apply(&tenant(&format!("t{n}")).dids([did.as_str()])).await;
    };
    join_all((0..count).map(apply)).await;
}

async fn wait_all_ready(world: &World, count: usize) {
    for n in 0..count {
        world.wait_ready(&format!("t{n}")).await;
    }
}

async fn assert_stops_clean(operator: &Operator) {
    let stopped = operator.stop().await.unwrap();
    assert!(stopped.status.success(), "{}: {}", stopped.status, operator.log_tail());
    assert!(stopped.took < LONGEST_STOP, "it took {:?}: {}", stopped.took, operator.log_tail());
}

/// Returns a kubeconfig with the permissions of Roles in these namespaces: without a ClusterRole, and on Secrets only
/// `verbs`.
async fn kubeconfig(world: &World, user: &str, namespaces: &[&str], verbs: &str) -> PathBuf {
    for namespace in namespaces {
        grant(world, user, namespace, verbs).await;
    }
    world.cluster().user_kubeconfig(user, None).unwrap()
}

async fn grant(world: &World, user: &str, namespace: &str, secrets: &str) {
    Permissions { namespace, subject: test_support::user(user), secrets, leases: None }.grant(world).await;
}

#[tokio::test]
async fn sigterm_ends_cleanly_with_open_connections_and_pending_retries() {
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    world
        .set_key(
            "tenantcfg:old",
            json!({ "contractVersion": "v1", "tenantId": "old", "dids": [DID] }).to_string(),
        )
        .await;
    world.set_key(&format!("tenantmap:did:{DID}"), "old").await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_condition("acme", "Ready", "False", "NumberInUse").await;
    let address = operator.telemetry_url().strip_prefix("http://").unwrap().to_owned();
    let _silent = TcpStream::connect(address).await.unwrap();

    assert_stops_clean(&operator).await;
    world.finish().await;
}

#[tokio::test]
async fn sigterm_during_a_bulk_publish_ends_cleanly_and_the_next_start_finishes() {
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    let burst = apply_many(&world, 40);
    let stop = async {
        world
            .wait("some tenants are published", || async {
                let configs = world.keys("tenantcfg:*").await.len();
                if configs >= 5 { Ok(()) } else { Err(format!("{configs} are")) }
            })
            .await;
        assert_stops_clean(&operator).await;
    };
    tokio::join!(burst, stop);

    operator.restart().await.unwrap();

    wait_all_ready(&world, 40).await;
    world.finish().await;
}

#[tokio::test]
async fn sigterm_ends_cleanly_while_redis_hangs() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.redis().freeze().await.unwrap();
    apply_many(&world, 10).await;
    world.wait_metric(&operator, "runtime_operator_reconciles_total", 1.0).await;

    assert_stops_clean(&operator).await;

    world.redis().thaw().unwrap();
    operator.restart().await.unwrap();
    wait_all_ready(&world, 10).await;
    world.finish().await;
}

#[tokio::test]
async fn sigterm_ends_cleanly_before_the_first_reconcile() {
    let world = World::new().await;
    world.redis().kill().await.unwrap();
    let operator = world.operator().spawn().await;
    world.wait_not_ready(&operator, "Redis can't be reached").await;

    assert_stops_clean(&operator).await;
    world.redis().restart().await.unwrap();
    world.finish().await;
}

/// The expected mappings in Redis: DID to tenant.
type Wanted = BTreeMap<String, String>;

async fn wait_exactly(world: &World, wanted: &Wanted) {
    let tenants: BTreeSet<&String> = wanted.values().collect();
    let named = |prefix: &str| tenants.iter().map(|tenant| format!("{prefix}{tenant}")).collect::<Vec<_>>();
    let numbers: Vec<_> = wanted.keys().map(|did| format!("tenantmap:did:{did}")).collect();
    world
        .wait("Redis equals the resources", || async {
            for (pattern, expected) in [
                ("tenantmap:*", numbers.clone()),
                ("tenantcfg:*", named("tenantcfg:")),
                ("runtime-operator:tenant:*", named("runtime-operator:tenant:")),
            ] {
                let there = world.keys(pattern).await;
                let differs = |one: &[String], other: &[String]| {
                    one.iter().filter(|key| !other.contains(key)).cloned().collect::<Vec<_>>()
                };
                let (more, less) = (differs(&there, &expected), differs(&expected, &there));
                if !more.is_empty() || !less.is_empty() {
                    return Err(format!("keys {pattern}: {more:?} are unexpected, {less:?} are missing"));
                }
            }
            for (did, tenant) in wanted {
                let live = world.live(did).await;
                if live.as_ref() != Some(tenant) {
                    return Err(format!("{did} is live for {live:?} and not {tenant}"));
                }
            }
            Ok(())
        })
        .await;
}

/// One round of edits: a DID moves to another tenant, a tenant is deleted, others are created or edited.
async fn edits(world: &World, round: usize, wanted: &mut Wanted) {
    let (doomed, giver, taker) = (format!("t{round}"), format!("t{}", round + 5), format!("t{}", round + 10));
    let (stays, moved) = (number("+1555", round + 5), number("+1666", round + 5));
    let (own, extra) = (number("+1555", round + 10), number("+1777", round));
    world.delete(&doomed).await;
    world.patch(&taker, json!({ "spec": { "dids": [own, moved] } })).await;
    world.patch(&giver, json!({ "spec": { "dids": [stays] } })).await;
    for n in 0..6 {
        let (new, did) = (format!("new-{round}-{n}"), number("+1888", round * 10 + n));
        world.apply(&tenant(&new).dids([did.as_str()])).await;
        wanted.insert(did, new);
    }
    let edited = format!("t{}", round + 15);
    world.patch(&edited, json!({ "spec": { "dids": [extra, number("+1555", round + 15)] } })).await;
    world.apply_secret(&format!("{edited}-webhook"), "rotated").await;
    wanted.remove(&number("+1555", round));
    wanted.remove(&number("+1666", round));
    wanted.insert(moved, taker);
    wanted.insert(extra, edited.clone());
    wanted.remove(&number("+1666", round + 10));
    wanted.remove(&number("+1666", round + 15));
}

#[tokio::test]
async fn after_a_kill_at_any_instant_the_next_start_finishes() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    let mut wanted = Wanted::new();
    let initial = (0..20).map(|n| (format!("t{n}"), number("+1555", n), number("+1666", n)));
    for (name, one, two) in initial {
        world.apply(&tenant(&name).dids([one.as_str(), &two])).await;
        wanted.insert(one, name.clone());
        wanted.insert(two, name);
    }
    wait_all_ready(&world, 20).await;

    for round in 0..5 {
        world.reset_commands().await;
        let records_until_then = rand::rng().random_range(1..16);
        let over = AtomicBool::new(false);
        let work = async {
            edits(&world, round, &mut wanted).await;
            over.store(true, Ordering::SeqCst);
        };
        let killed = async {
            // The instant is chosen by a count of written records.
            world
                .wait("the instant is reached", || async {
                    let records = world.commands().await.get("hset").copied().unwrap_or_default();
                    let come = records >= records_until_then || over.load(Ordering::SeqCst);
                    if come { Ok(()) } else { Err(format!("{records} records")) }
                })
                .await;
            operator.restart().await.unwrap();
        };
        tokio::join!(work, killed);
    }

    wait_exactly(&world, &wanted).await;
    for (did, name) in &wanted {
        world.wait_ready(name).await;
        let config = world.config(name).await.unwrap();
        assert!(config["dids"].as_array().unwrap().contains(&json!(did)), "{name}");
    }
    for round in 0..5 {
        world.wait_deleted(&format!("t{round}")).await;
        let secret = world.config(&format!("t{}", round + 15)).await.unwrap()["webhookSecret"].clone();
        assert_eq!(secret, "rotated");
    }
    world.finish().await;
}

async fn versions(world: &World, count: usize) -> Vec<Option<String>> {
    join_all((0..count).map(async |n| world.version(&format!("t{n}")).await)).await
}

/// Returns name and version of every event of the world's namespace, without those about `but`.
async fn event_versions(world: &World, but: &str) -> BTreeSet<String> {
    let events: Api<Event> = Api::namespaced(world.client(), world.namespace());
    let events = events.list(&ListParams::default()).await.unwrap().items;
    let others = events.into_iter().filter(|event| event.involved_object.name.as_deref() != Some(but));
    others.map(|event| format!("{}@{}", event.name_any(), event.resource_version().unwrap())).collect()
}

#[tokio::test]
async fn a_restart_without_changes_writes_nothing_and_reads_no_secret() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_many(&world, 10).await;
    wait_all_ready(&world, 10).await;
    for n in 0..10 {
        world.wait_event(&format!("t{n}"), "Published").await;
    }
    operator.stop().await.unwrap();
    let (before, events) = (versions(&world, 10).await, event_versions(&world, "new").await);
    world.reset_commands().await;

    // This operator may list Secrets, and read no value.
    let blind = kubeconfig(&world, "blind", &[world.namespace()], "list, watch").await;
    let operator = world.operator().kubeconfig(blind).start().await;

    world.wait_metric(&operator, "runtime_operator_reconciles_total", 10.0).await;
    world.apply(&tenant("new").dids([DID])).await;
    world.wait_condition("new", "Ready", "Unknown", "SecretUnreadable").await;
    assert_eq!(world.writes().await, 0, "{:?}", world.commands().await);
    assert_eq!(world.commands().await.get("incr"), Some(&1), "the new epoch");
    assert_eq!(versions(&world, 10).await, before);
    assert_eq!(event_versions(&world, "new").await, events);
    world.finish().await;
}

#[tokio::test]
async fn changes_made_while_no_operator_ran_are_published_at_start() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_many(&world, 7).await;
    wait_all_ready(&world, 7).await;
    operator.stop().await.unwrap();

    world.patch("t0", json!({ "spec": { "dids": [OTHER] } })).await;
    world.delete("t1").await;
    world.apply_secret("t2-webhook", "rotated").await;
    world.delete_key(&format!("tenantmap:did:{}", number("+1555", 3))).await;
    world.exempt([number("+1555", 4).as_str()]);
    world.set_key(&format!("tenantmap:did:{}", number("+1555", 4)), "t0").await;
    world.delete_secret("t5-webhook").await;
    world.apply(&tenant("new").dids([DID])).await;
    operator.restart().await.unwrap();

    world.wait_live(OTHER, Some("t0")).await;
    world.wait_live(&number("+1555", 0), None).await;
    world.wait_deleted("t1").await;
    world.wait_live(&number("+1555", 3), Some("t3")).await;
    world.wait_live(&number("+1555", 4), Some("t4")).await;
    world.wait_condition("t5", "Ready", "False", "SecretNotFound").await;
    world.wait_ready("new").await;
    world
        .wait("the rotated secret is published", || async {
            let live = world.config("t2").await.unwrap()["webhookSecret"].clone();
            if live == "rotated" { Ok(()) } else { Err(live.to_string()) }
        })
        .await;
    assert_eq!(world.live(&number("+1555", 1)).await, None);
    assert_eq!(world.config("t1").await, None);
    assert_eq!(world.live(&number("+1555", 5)).await.as_deref(), Some("t5"), "it stays published");
    world.finish().await;
}

#[tokio::test]
async fn a_restart_keeps_the_decisions_of_the_last_run() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("elder").dids([OTHER])).await;
    world.wait_ready("elder").await;
    world.apply(&tenant("holder").dids([DID])).await;
    world.wait_ready("holder").await;
    let number = world.record_mapping(DID).await;
    operator.kill().await.unwrap();

    // By age it would belong to the elder.
    world.patch("elder", json!({ "spec": { "dids": [OTHER, DID] } })).await;
    operator.restart().await.unwrap();

    world.wait_condition("elder", "Ready", "False", "DidConflict").await;
    assert_eq!(number.finish().await, [Some("holder".into())]);
    world.finish().await;
}

#[tokio::test]
async fn a_number_taken_from_a_refused_namespace_stays_where_it_is_live() {
    let mut world = World::new().await;
    let hidden = world.add_namespace().await;
    world.apply(&tenant("elder").dids([DID]).in_namespace(&hidden)).await;
    let made = world.tenants_in(&hidden).get("elder").await.unwrap().creation_timestamp().unwrap();
    world
        .wait("the next second", || async {
            let younger = world.apply(&tenant("younger").dids([DID, OTHER])).await;
            if younger.creation_timestamp().unwrap() > made {
                return Ok(());
            }
            world.delete("younger").await;
            Err(String::new())
        })
        .await;
    let number = world.record_mapping(DID).await;
    // One namespace can't be listed yet.
    let user = "half-sighted";
    let half = kubeconfig(&world, user, &[world.namespace()], "get, list, watch").await;
    let operator = world.operator().kubeconfig(half).spawn().await;
    world.wait_live(DID, Some("younger")).await;
    world.wait_live(OTHER, Some("younger")).await;

    grant(&world, user, &hidden, "get, list, watch").await;

    world.wait_condition_in(&hidden, "elder", "Ready", "False", "DidConflict").await;
    world.wait_operator_ready(&operator).await;
    assert_eq!(number.finish().await, [None, Some("younger".into())]);
    world.finish().await;
}
