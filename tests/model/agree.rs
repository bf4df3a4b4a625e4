//! The model of Redis replies and stores the same as the real scripts, whatever is requested.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;
use runtime_operator::contract::Did;
use runtime_operator::domain::{ClusterId, Epoch};
use runtime_operator::store::{Applied, Operation, Removal, StoreError};

use crate::redis::{Config, Record, Redis};
use test_support::store_fixture::{World, parse_did, tenant, tenant_id};

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const DIDS: [&str; 4] = ["+15550000001", "+15550000002", "+15550000003", "+15550000004"];
const CLUSTERS: [&str; 2] = ["here", "there"];
const WRITER: &str = "";

/// A request to the model and to the real Redis.
#[derive(Clone, Debug)]
enum Request {
    Apply {
        cluster: &'static str,
        operands: Vec<Operand>,
    },
    AcquireEpoch,
    /// Another client writes.
    ExternalWrite(ExternalWrite),
}

#[derive(Clone, Debug)]
struct Operand {
    tenant: &'static str,
    owner: &'static str,
    generation: i64,
    dids: Vec<&'static str>,
    previously_listed: Vec<&'static str>,
    after: Vec<&'static str>,
    after_generation: Option<i64>,
    take_over: bool,
    remove: Option<bool>,
}

#[derive(Clone, Debug)]
enum ExternalWrite {
    Map(&'static str, &'static str),
    Unmap(&'static str),
    Store(&'static str, Vec<&'static str>),
    Drop(&'static str),
    Disown(&'static str),
    CountUp,
    Flush,
}

fn some_of(of: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(of, 0..=of.len())
}

prop_compose! {
    fn operand()(
        tenant in select(&TENANTS[..]),
        owner in proptest::option::weighted(0.2, select(&TENANTS[..])),
        generation in 1_i64..4,
        dids in subsequence(&DIDS[..], 1..=4),
        previously_listed in some_of(&DIDS),
        after in some_of(&TENANTS),
        after_generation in proptest::option::of(1_i64..4),
        take_over in proptest::bool::weighted(0.2),
        remove in proptest::option::weighted(0.3, any::<bool>()),
    ) -> Operand {
        let owner = owner.unwrap_or(tenant);
        Operand { tenant, owner, generation, dids, previously_listed, after, after_generation, take_over, remove }
    }
}

fn external_write() -> impl Strategy<Value = ExternalWrite> {
    let mapped = select(&["acme", "globex", "external"][..]);
    prop_oneof![
        3 => (select(&DIDS[..]), mapped).prop_map(|(did, to)| ExternalWrite::Map(did, to)),
        2 => select(&DIDS[..]).prop_map(ExternalWrite::Unmap),
        2 => (select(&TENANTS[..]), some_of(&DIDS)).prop_map(|(tenant, dids)| ExternalWrite::Store(tenant, dids)),
        2 => select(&TENANTS[..]).prop_map(ExternalWrite::Drop),
        1 => select(&DIDS[..]).prop_map(ExternalWrite::Disown),
        1 => Just(ExternalWrite::CountUp),
        1 => Just(ExternalWrite::Flush),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let cluster = prop_oneof![9 => Just("here"), 1 => Just("there")];
    let operands = proptest::collection::vec(operand(), 1..4);
    prop_oneof![
        8 => (cluster, operands).prop_map(|(cluster, operands)| Request::Apply { cluster, operands }),
        2 => Just(Request::AcquireEpoch),
        4 => external_write().prop_map(Request::ExternalWrite),
    ]
}

impl From<Operand> for Operation {
    fn from(it: Operand) -> Self {
        let mut tenant = tenant(it.tenant, &it.dids)
            .named(it.owner)
            .generation(it.generation)
            .previously_listed(&it.previously_listed);
        tenant = match it.after_generation {
            None => tenant.yielded_by(&it.after),
            Some(generation) => {
                it.after.iter().fold(tenant, |tenant, after| tenant.yielded_by_generation(after, generation))
            }
        };
        if it.take_over {
            tenant = tenant.take_over();
        }
        match it.remove {
            Some(retain) => Self::Remove(Removal { retain, ..tenant.removal() }),
            None => tenant.into(),
        }
    }
}

impl ExternalWrite {
    async fn in_redis(&self, world: &World) {
        match self {
            Self::Map(did, tenant) => world.set(&format!("tenantmap:did:{did}"), tenant).await,
            Self::Unmap(did) => world.run(&format!("DEL tenantmap:did:{did}")).await,
            Self::Store(tenant, dids) => {
                world
                    .set(&format!("tenantcfg:{tenant}"), &test_support::store_fixture::config(tenant, dids))
                    .await;
            }
            Self::Drop(tenant) => world.run(&format!("DEL tenantcfg:{tenant}")).await,
            Self::Disown(did) => world.run(&format!("HDEL runtime-operator:dids {did}")).await,
            Self::CountUp => world.run("INCR runtime-operator:epoch").await,
            Self::Flush => world.run("FLUSHALL").await,
        }
    }

    fn in_the_model(&self, redis: &mut Redis) {
        match self {
            Self::Map(text, tenant) => drop(redis.mappings.insert(parse_did(text), (*tenant).to_owned())),
            Self::Unmap(text) => drop(redis.mappings.remove(&parse_did(text))),
            Self::Store(tenant, dids) => {
                let config = Config::of(&test_support::store_fixture::config(tenant, dids));
                redis.configs.insert((*tenant).to_owned(), config);
            }
            Self::Drop(tenant) => drop(redis.configs.remove(*tenant)),
            Self::Disown(text) => drop(redis.owners.remove(&parse_did(text))),
            Self::CountUp => redis.epoch = Some(redis.epoch.unwrap_or(0) + 1),
            Self::Flush => *redis = Redis::default(),
        }
    }
}

/// The content of the real Redis, read key by key.
async fn real(world: &World) -> Redis {
    let mut redis = Redis { epoch: None, ..Redis::default() };
    redis.epoch = world.get("runtime-operator:epoch").await.map(|epoch| epoch.parse().unwrap());
    let epochs: BTreeMap<String, String> = world.run("HGETALL runtime-operator:epochs").await;
    let epoch = |acquired: &str| acquired.split_once('/').unwrap().0.parse().unwrap();
    redis.epochs = epochs.into_iter().map(|(writer, acquired)| (writer, (epoch(&acquired), 0))).collect();
    for text in DIDS {
        redis.mappings.extend(world.tenant_of(text).await.map(|tenant| (parse_did(text), tenant)));
    }
    let owners: BTreeMap<String, String> = world.run("HGETALL runtime-operator:dids").await;
    redis.owners = owners.into_iter().map(|(text, tenant)| (parse_did(&text), tenant)).collect();
    for name in TENANTS {
        redis.configs.extend(world.config(name).await.map(|json| (name.to_owned(), Config::of(&json))));
    }
    for cluster in CLUSTERS {
        let members: BTreeSet<String> =
            world.run(&format!("SMEMBERS runtime-operator:tenants:{cluster}")).await;
        redis.members.extend(members.into_iter().map(|tenant| (cluster.to_owned(), tenant)));
    }
    let tenants = TENANTS.map(tenant_id);
    for (tenant, found) in tenants.iter().zip(world.store.inspect(&tenants).await.unwrap()) {
        redis.records.extend(found.record.map(|record| (tenant.to_string(), of(record))));
    }
    redis
}

fn of(record: runtime_operator::domain::OwnershipRecord) -> Record {
    Record {
        cluster: record.cluster.to_string(),
        owner: record.owner.to_string(),
        uid: record.owner.uid.to_string(),
        generation: record.generation,
        secret: record.secret,
        hash: record.hash,
        sha1: record.sha1,
        dids: record.dids,
    }
}

/// The model does not compute what an adoption changes.
fn without_places(mut applied: Vec<Applied>) -> Vec<Applied> {
    for applied in &mut applied {
        if let Applied::Published { adopted: Some(adopted), .. } = applied {
            *adopted = runtime_operator::store::Adoption::default();
        }
    }
    applied
}

/// Both, and the epoch of the requests.
struct Both {
    world: World,
    model: Redis,
    epoch: u64,
    /// The highest epoch that the real store has seen.
    seen: u64,
}

impl Both {
    async fn request(&mut self, request: &Request) -> Result<(), TestCaseError> {
        match request {
            Request::Apply { cluster, operands } => {
                let cluster = ClusterId::new(*cluster);
                let operations: Vec<Operation> = operands.iter().cloned().map(Operation::from).collect();
                let real = self.world.store.apply(Epoch(self.epoch), &cluster, &operations).await;
                let real = real.map(without_places);
                prop_assert_eq!(&real, &self.apply(&cluster, &operations));
                if let Err(StoreError::Fenced { current: Some(Epoch(current)) }) = real {
                    self.seen = self.seen.max(current);
                }
            }
            Request::AcquireEpoch => {
                let Epoch(real) = self.world.store.acquire_epoch().await.unwrap();
                prop_assert_eq!(real, self.model.acquire_epoch(self.seen, WRITER, 0));
                (self.epoch, self.seen) = (real, self.seen.max(real));
            }
            Request::ExternalWrite(external_write) => {
                external_write.in_redis(&self.world).await;
                external_write.in_the_model(&mut self.model);
            }
        }
        Ok(())
    }

    fn apply(&mut self, cluster: &ClusterId, operations: &[Operation]) -> Result<Vec<Applied>, StoreError> {
        if self.model.is_current(WRITER, self.epoch, 0) {
            return Ok(self.model.apply(cluster, operations));
        }
        Err(StoreError::Fenced { current: self.model.epoch.map(Epoch) })
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(real(&self.world).await, self.model.clone());
        let inspected = self.world.store.inspect(&TENANTS.map(tenant_id)).await.unwrap();
        for (tenant, real) in TENANTS.iter().zip(inspected) {
            prop_assert_eq!(real.intact, self.model.is_intact(tenant), "whether {} is intact", tenant);
        }
        Ok(())
    }
}

#[test]
fn the_model_replies_and_stores_the_same_as_redis() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let seen = world.epoch.0;
    let both = std::cell::RefCell::new(Both { world, model: Redis::default(), epoch: 0, seen });
    let requests = proptest::collection::vec(request(), 1..16);
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&requests, |requests| {
            let mut both = both.borrow_mut();
            runtime.block_on(async {
                both.request(&Request::ExternalWrite(ExternalWrite::Flush)).await?;
                both.request(&Request::AcquireEpoch).await?;
                for request in &requests {
                    both.request(request).await?;
                    both.compare().await?;
                }
                Ok(())
            })
        })
        .unwrap();
}

/// The model parses the DIDs of a config as the scripts do.
#[test]
fn the_dids_of_a_config_are_all_parsed() {
    let dids: Vec<Did> = Config::of(&test_support::store_fixture::config("acme", &DIDS)).dids;
    assert_eq!(dids, DIDS.map(parse_did));
}
