//! Any operations in any order: no DID without its config, no DID of two tenants.

use std::collections::BTreeSet;

use local_cluster::RedisOptions;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::domain::ClusterId;
use runtime_operator::store::{Applied, Operation, PERMISSIONS, Removal, Store};

use test_support::store_fixture::*;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
/// Keys of the runtime and of the control plane, one of each prefix.
const THEIRS: [&str; 9] = [
    "cap:global",
    "cap:usage:acme:day:20260101:calls",
    "ratelimit:admin:x",
    "runtime:healthcheck",
    "telnyxreplay:evt:00ff",
    "tenantmap:tenant:acme:cap:concurrency",
    "tenantmap:tenant:acme:cap:rpm",
    "ttscache:00ff",
    "veralux:workflow:jobs",
];
const DIDS: [&str; 4] = ["+15550000001", "+15550000002", "+15550000003", "+15550000004"];

#[derive(Clone, Debug)]
struct Move {
    tenant: &'static str,
    owner: &'static str,
    elsewhere: bool,
    dids: Vec<&'static str>,
    listed: Vec<&'static str>,
    after: Vec<&'static str>,
    take_over: bool,
    remove: Option<bool>,
}

fn some_of(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(of, 0..=of.len())
}

prop_compose! {
    fn a_move()(
        tenant in proptest::sample::select(&TENANTS[..]),
        owner in proptest::option::weighted(0.2, proptest::sample::select(&TENANTS[..])),
        elsewhere in proptest::bool::weighted(0.1),
        dids in some_of(&DIDS),
        listed in some_of(&DIDS),
        after in some_of(&TENANTS),
        take_over in proptest::bool::weighted(0.2),
        remove in proptest::option::weighted(0.3, any::<bool>()),
    ) -> Move {
        // A config lists at least one DID.
        let dids = if dids.is_empty() { vec![DIDS[0]] } else { dids };
        Move { tenant, owner: owner.unwrap_or(tenant), elsewhere, dids, listed, after, take_over, remove }
    }
}

impl From<Move> for Operation {
    fn from(mv: Move) -> Self {
        let mut tenant =
            tenant(mv.tenant, &mv.dids).named(mv.owner).yielded_by(&mv.after).previously_listed(&mv.listed);
        if mv.take_over {
            tenant = tenant.take_over();
        }
        match mv.remove {
            Some(retain) => Self::Remove(Removal { retain, ..tenant.removal() }),
            None => tenant.into(),
        }
    }
}

async fn check(world: &World, calls: &[Vec<Move>]) -> Result<(), TestCaseError> {
    for call in calls {
        let cluster = ClusterId::new(if call[0].elsewhere { "there" } else { "here" });
        let operations: Vec<Operation> = call.iter().cloned().map(Operation::from).collect();
        let before = world.everything().await;
        let applied = world.store.apply(world.epoch, &cluster, &operations).await.unwrap();
        let after = world.everything().await;
        if applied.iter().any(|applied| matches!(applied, Applied::Rejected(_) | Applied::Aborted)) {
            prop_assert_eq!(&after, &before, "a rejected call wrote something");
        }
        let writes = |applied: &Applied| {
            matches!(applied, Applied::Published { .. } | Applied::Recorded | Applied::Removed { .. })
        };
        let changed = applied.iter().any(writes);
        prop_assert!(changed || after == before, "{:?} but something was written", applied);
        check_mapped_dids(world).await?;
        check_records_are_disjoint(world).await?;
    }
    Ok(())
}

async fn check_mapped_dids(world: &World) -> Result<(), TestCaseError> {
    for did in DIDS {
        let Some(tenant) = world.tenant_of(did).await else { continue };
        let config = world.config(&tenant).await;
        let lists = config.as_ref().is_some_and(|config| config.contains(did));
        prop_assert!(lists, "{} maps to {} whose config is {:?}", did, tenant, config);
    }
    Ok(())
}

async fn check_records_are_disjoint(world: &World) -> Result<(), TestCaseError> {
    let mut held = BTreeSet::new();
    for cluster in ["here", "there"] {
        for (record, _) in world.store.records(&ClusterId::new(cluster)).await.unwrap() {
            for did in record.dids {
                let mapped = world.tenant_of(did.as_str()).await;
                prop_assert_eq!(mapped.as_deref(), Some(record.tenant.as_str()));
                prop_assert!(held.insert(did.clone()), "{} is held twice", did);
            }
        }
    }
    let indexed: Vec<String> = world.run("HKEYS runtime-operator:dids").await;
    let held: BTreeSet<String> = held.into_iter().map(|did| did.to_string()).collect();
    prop_assert_eq!(indexed.into_iter().collect::<BTreeSet<_>>(), held);
    Ok(())
}

#[test]
fn any_sequence_of_calls_keeps_each_did_with_config_and_one_owner() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Redis denies, and logs, each command and key that is not the operator's.
    let options = RedisOptions::default().in_memory().user("operator", &format!(">p {PERMISSIONS}"));
    let mut world = runtime.block_on(World::with(options));
    world.store = Store::new(settings(&format!("redis://operator:p@{}/0", world.redis.address()))).unwrap();
    let calls = proptest::collection::vec(proptest::collection::vec(a_move(), 1..4), 1..12);
    let config = ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&calls, |calls| {
            runtime.block_on(async {
                let () = world.run("FLUSHALL").await;
                world.restore_epoch().await;
                for key in THEIRS {
                    world.set(key, "7").await;
                }
                check(&world, &calls).await?;
                for key in THEIRS {
                    prop_assert_eq!(world.get(key).await, Some("7".to_owned()), "{}", key);
                }
                Ok(())
            })
        })
        .unwrap();
    let denied: Vec<redis::Value> = runtime.block_on(world.run("ACL LOG"));
    assert!(denied.is_empty(), "the operator has used more than its own: {denied:?}");
}
