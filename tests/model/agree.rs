//! The model's Redis answers and holds what the real scripts answer and leave, whatever is asked of them.

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
const NUMBERS: [&str; 4] = ["+15550000001", "+15550000002", "+15550000003", "+15550000004"];
const CLUSTERS: [&str; 2] = ["here", "there"];
const WRITER: &str = "";

/// What is asked of both.
#[derive(Clone, Debug)]
enum Ask {
    Apply {
        cluster: &'static str,
        moves: Vec<Move>,
    },
    TakeNumber,
    /// Somebody else writes.
    Foreign(Foreign),
}

#[derive(Clone, Debug)]
struct Move {
    tenant: &'static str,
    owner: &'static str,
    generation: i64,
    numbers: Vec<&'static str>,
    known: Vec<&'static str>,
    after: Vec<&'static str>,
    after_generation: Option<i64>,
    take_over: bool,
    remove: Option<bool>,
}

#[derive(Clone, Debug)]
enum Foreign {
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
    fn a_move()(
        tenant in select(&TENANTS[..]),
        owner in proptest::option::weighted(0.2, select(&TENANTS[..])),
        generation in 1_i64..4,
        numbers in subsequence(&NUMBERS[..], 1..=4),
        known in some_of(&NUMBERS),
        after in some_of(&TENANTS),
        after_generation in proptest::option::of(1_i64..4),
        take_over in proptest::bool::weighted(0.2),
        remove in proptest::option::weighted(0.3, any::<bool>()),
    ) -> Move {
        let owner = owner.unwrap_or(tenant);
        Move { tenant, owner, generation, numbers, known, after, after_generation, take_over, remove }
    }
}

fn foreign() -> impl Strategy<Value = Foreign> {
    let mapped = select(&["acme", "globex", "stranger"][..]);
    prop_oneof![
        3 => (select(&NUMBERS[..]), mapped).prop_map(|(did, to)| Foreign::Map(did, to)),
        2 => select(&NUMBERS[..]).prop_map(Foreign::Unmap),
        2 => (select(&TENANTS[..]), some_of(&NUMBERS)).prop_map(|(tenant, dids)| Foreign::Store(tenant, dids)),
        2 => select(&TENANTS[..]).prop_map(Foreign::Drop),
        1 => select(&NUMBERS[..]).prop_map(Foreign::Disown),
        1 => Just(Foreign::CountUp),
        1 => Just(Foreign::Flush),
    ]
}

fn ask() -> impl Strategy<Value = Ask> {
    let cluster = prop_oneof![9 => Just("here"), 1 => Just("there")];
    let moves = proptest::collection::vec(a_move(), 1..4);
    prop_oneof![
        8 => (cluster, moves).prop_map(|(cluster, moves)| Ask::Apply { cluster, moves }),
        2 => Just(Ask::TakeNumber),
        4 => foreign().prop_map(Ask::Foreign),
    ]
}

impl From<Move> for Operation {
    fn from(it: Move) -> Self {
        let mut tenant = tenant(it.tenant, &it.numbers)
            .named(it.owner)
            .generation(it.generation)
            .previously_listed(&it.known);
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

impl Foreign {
    async fn really(&self, world: &World) {
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
            Self::Map(number, tenant) => drop(redis.mappings.insert(parse_did(number), (*tenant).to_owned())),
            Self::Unmap(number) => drop(redis.mappings.remove(&parse_did(number))),
            Self::Store(tenant, dids) => {
                let config = Config::of(&test_support::store_fixture::config(tenant, dids));
                redis.configs.insert((*tenant).to_owned(), config);
            }
            Self::Drop(tenant) => drop(redis.configs.remove(*tenant)),
            Self::Disown(number) => drop(redis.owners.remove(&parse_did(number))),
            Self::CountUp => redis.epoch = Some(redis.epoch.unwrap_or(0) + 1),
            Self::Flush => *redis = Redis::default(),
        }
    }
}

/// What the real one holds, read key by key.
async fn real(world: &World) -> Redis {
    let mut redis = Redis { epoch: None, ..Redis::default() };
    redis.epoch = world.get("runtime-operator:epoch").await.map(|number| number.parse().unwrap());
    let epochs: BTreeMap<String, String> = world.run("HGETALL runtime-operator:epochs").await;
    let number = |taken: &str| taken.split_once('/').unwrap().0.parse().unwrap();
    redis.epochs = epochs.into_iter().map(|(writer, taken)| (writer, (number(&taken), 0))).collect();
    for number in NUMBERS {
        redis.mappings.extend(world.tenant_of(number).await.map(|tenant| (parse_did(number), tenant)));
    }
    let owners: BTreeMap<String, String> = world.run("HGETALL runtime-operator:dids").await;
    redis.owners = owners.into_iter().map(|(number, tenant)| (parse_did(&number), tenant)).collect();
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

/// Both, and the number with which they are asked.
struct Both {
    world: World,
    model: Redis,
    epoch: u64,
    /// The highest number that the real store has seen.
    seen: u64,
}

impl Both {
    async fn ask(&mut self, ask: &Ask) -> Result<(), TestCaseError> {
        match ask {
            Ask::Apply { cluster, moves } => {
                let cluster = ClusterId::new(*cluster);
                let steps: Vec<Operation> = moves.iter().cloned().map(Operation::from).collect();
                let real = self.world.store.apply(Epoch(self.epoch), &cluster, &steps).await;
                prop_assert_eq!(&real, &self.apply(&cluster, &steps));
                if let Err(StoreError::Fenced { current: Some(Epoch(current)) }) = real {
                    self.seen = self.seen.max(current);
                }
            }
            Ask::TakeNumber => {
                let Epoch(real) = self.world.store.acquire_epoch().await.unwrap();
                prop_assert_eq!(real, self.model.acquire_epoch(self.seen, WRITER, 0));
                (self.epoch, self.seen) = (real, self.seen.max(real));
            }
            Ask::Foreign(foreign) => {
                foreign.really(&self.world).await;
                foreign.in_the_model(&mut self.model);
            }
        }
        Ok(())
    }

    fn apply(&mut self, cluster: &ClusterId, steps: &[Operation]) -> Result<Vec<Applied>, StoreError> {
        if self.model.is_current(WRITER, self.epoch, 0) {
            return Ok(self.model.apply(cluster, steps));
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
fn whatever_is_asked_the_model_answers_and_holds_what_redis_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let seen = world.epoch.0;
    let both = std::cell::RefCell::new(Both { world, model: Redis::default(), epoch: 0, seen });
    let asks = proptest::collection::vec(ask(), 1..16);
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&asks, |asks| {
            let mut both = both.borrow_mut();
            runtime.block_on(async {
                both.ask(&Ask::Foreign(Foreign::Flush)).await?;
                both.ask(&Ask::TakeNumber).await?;
                for ask in &asks {
                    both.ask(ask).await?;
                    both.compare().await?;
                }
                Ok(())
            })
        })
        .unwrap();
}

/// The numbers of a config are those that the scripts find in it.
#[test]
fn a_config_lists_what_it_lists() {
    let dids: Vec<Did> = Config::of(&test_support::store_fixture::config("acme", &NUMBERS)).dids;
    assert_eq!(dids, NUMBERS.map(parse_did));
}
