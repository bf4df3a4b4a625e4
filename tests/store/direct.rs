//! Single writes beside the controller's: as the old publisher made them where no resource holds a thing, and none
//! where one does, whatever the order.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::store::{Applied, Operation, StoreError, WriteError};

use crate::fixture::*;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const NUMBERS: [&str; 3] = ["+15550000001", "+15550000002", "+15550000003"];

/// One call, of the routes or of the controller.
#[derive(Clone, Debug)]
enum Call {
    Put {
        tenant: &'static str,
        numbers: Vec<&'static str>,
    },
    Map {
        number: &'static str,
        tenant: &'static str,
    },
    Unmap {
        number: &'static str,
    },
    Publish {
        tenant: &'static str,
        numbers: Vec<&'static str>,
        take_over: bool,
    },
    Remove {
        tenant: &'static str,
        retain: bool,
    },
    /// Somebody deletes or changes a mapping from outside.
    Break {
        number: &'static str,
        to: Option<&'static str>,
    },
}

fn a_call() -> impl Strategy<Value = Call> {
    let tenant = || proptest::sample::select(&TENANTS[..]);
    let number = || proptest::sample::select(&NUMBERS[..]);
    let numbers = || proptest::sample::subsequence(&NUMBERS[..], 1..=NUMBERS.len());
    prop_oneof![
        3 => (tenant(), numbers()).prop_map(|(tenant, numbers)| Call::Put { tenant, numbers }),
        4 => (number(), tenant()).prop_map(|(number, tenant)| Call::Map { number, tenant }),
        3 => number().prop_map(|number| Call::Unmap { number }),
        3 => (tenant(), numbers(), any::<bool>())
            .prop_map(|(tenant, numbers, take_over)| Call::Publish { tenant, numbers, take_over }),
        2 => (tenant(), any::<bool>()).prop_map(|(tenant, retain)| Call::Remove { tenant, retain }),
        1 => (number(), proptest::option::of(tenant())).prop_map(|(number, to)| Call::Break { number, to }),
    ]
}

/// The old publisher, which wrote what it was told to, and what resources hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    configs: BTreeMap<String, String>,
    mappings: BTreeMap<String, String>,
    /// Tenant to its numbers.
    held: BTreeMap<String, Vec<String>>,
}

/// What the store says to a single write: `Ok` with what a caller is told, or who holds it.
type Said = Result<Option<String>, String>;

impl Model {
    /// What is there, and what the records say of it.
    async fn read(world: &World) -> Self {
        let mut model = Self::default();
        for tenant in TENANTS {
            model.configs.extend(world.config(tenant).await.map(|config| (tenant.to_owned(), config)));
        }
        for number in NUMBERS {
            model.mappings.extend(world.maps(number).await.map(|tenant| (number.to_owned(), tenant)));
        }
        for (record, _) in world.store.records(&world.cluster).await.unwrap() {
            let numbers = record.dids.iter().map(ToString::to_string).collect();
            model.held.insert(record.tenant.to_string(), numbers);
        }
        model
    }

    fn tenant_is_free(&self, tenant: &str) -> Result<(), String> {
        if self.held.contains_key(tenant) { Err(format!("tenant: voice/{tenant}")) } else { Ok(()) }
    }

    fn number_is_free(&self, number: &str) -> Result<(), String> {
        let holder = self.held.iter().find(|(_, numbers)| numbers.iter().any(|held| held == number));
        holder.map_or(Ok(()), |(tenant, _)| Err(format!("number: voice/{tenant}")))
    }

    fn put(&mut self, tenant: &str, config: &str) -> Said {
        self.tenant_is_free(tenant)?;
        self.configs.insert(tenant.to_owned(), config.to_owned());
        Ok(None)
    }

    fn map(&mut self, number: &str, tenant: &str) -> Said {
        self.number_is_free(number)?;
        self.tenant_is_free(tenant)?;
        self.mappings.insert(number.to_owned(), tenant.to_owned());
        Ok(Some(self.configs.contains_key(tenant).to_string()))
    }

    fn unmap(&mut self, number: &str) -> Said {
        if !self.mappings.contains_key(number) {
            return Ok(None);
        }
        self.number_is_free(number)?;
        Ok(self.mappings.remove(number))
    }
}

fn said<T>(outcome: Result<T, WriteError>, tell: impl Fn(T) -> Option<String>) -> Said {
    match outcome {
        Ok(done) => Ok(tell(done)),
        Err(WriteError::TenantManaged { owner }) => Err(format!("tenant: {owner}")),
        Err(WriteError::DidManaged { owner }) => Err(format!("number: {owner}")),
        Err(WriteError::Store(error)) => panic!("{error}"),
    }
}

async fn call(world: &World, model: &mut Model, call: &Call) -> Result<(), TestCaseError> {
    let (expected, outcome) = match call {
        Call::Put { tenant, numbers } => {
            let bytes = config(tenant, numbers);
            let put = world.store.put_config(&id(tenant), &bytes.clone().into_bytes().into()).await;
            (model.put(tenant, &bytes), said(put, |()| None))
        }
        Call::Map { number, tenant } => {
            let mapped = world.store.map(&did(number), &id(tenant)).await;
            (model.map(number, tenant), said(mapped, |has_config| Some(has_config.to_string())))
        }
        Call::Unmap { number } => {
            (model.unmap(number), said(world.store.unmap(&did(number)).await, |was| was))
        }
        Call::Publish { tenant: name, numbers, take_over } => {
            let publication = tenant(name, numbers);
            let publication = if *take_over { publication.take_over() } else { publication };
            return by_the_controller(world, model, publication.into()).await;
        }
        Call::Remove { tenant: name, retain } => {
            let removal = tenant(name, &[]);
            let removal = if *retain { removal.retained() } else { removal.removal() };
            return by_the_controller(world, model, Operation::Remove(removal)).await;
        }
        Call::Break { number, to } => {
            let key = format!("tenantmap:did:{number}");
            match to {
                Some(tenant) => world.set(&key, tenant).await,
                None => world.run::<()>(&format!("DEL {key}")).await,
            }
            *model = Model::read(world).await;
            return Ok(());
        }
    };
    prop_assert_eq!(expected, outcome);
    prop_assert_eq!(&*model, &Model::read(world).await);
    Ok(())
}

/// The controller's own operations are held to their promises elsewhere; here they are what is between the single writes.
async fn by_the_controller(
    world: &World,
    model: &mut Model,
    operation: Operation,
) -> Result<(), TestCaseError> {
    let applied = world.one(operation).await;
    let after = Model::read(world).await;
    if matches!(applied, Applied::Rejected(_) | Applied::Unchanged | Applied::NotOwned) {
        prop_assert_eq!(&*model, &after, "{:?} and yet something was written", applied);
    }
    *model = after;
    Ok(())
}

/// A number that a resource holds and that nobody broke maps to a tenant whose config lists it.
async fn managed_numbers_are_served(world: &World, broken: &[&str]) -> Result<(), TestCaseError> {
    let model = Model::read(world).await;
    for (tenant, numbers) in &model.held {
        for number in numbers.iter().filter(|number| !broken.contains(&number.as_str())) {
            prop_assert_eq!(model.mappings.get(number), Some(tenant));
            let config = model.configs.get(tenant);
            prop_assert!(config.is_some_and(|config| config.contains(number)), "{}: {:?}", number, config);
        }
    }
    Ok(())
}

#[test]
fn any_sequence_of_calls_is_as_with_the_old_publisher_but_for_what_resources_hold() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(World::new());
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&proptest::collection::vec(a_call(), 1..24), |calls| {
            runtime.block_on(async {
                let () = world.run("FLUSHALL").await;
                world.restore_epoch().await;
                let mut model = Model::default();
                let mut broken = Vec::new();
                for operation in &calls {
                    if let Call::Break { number, .. } = operation {
                        broken.push(*number);
                    }
                    call(&world, &mut model, operation).await?;
                    managed_numbers_are_served(&world, &broken).await?;
                }
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn a_number_stays_its_holders_though_its_mapping_or_the_index_was_lost() {
    let world = World::new().await;
    world.one(tenant("acme", &NUMBERS[..2])).await;
    let [first, second, free] = NUMBERS.map(did);
    let held = Err(WriteError::DidManaged { owner: "voice/acme".to_owned() });

    world.run::<()>(&format!("DEL tenantmap:did:{first}")).await;
    world.run::<()>(&format!("HDEL runtime-operator:dids {second}")).await;

    assert_eq!(world.store.map(&first, &id("globex")).await, held);
    assert_eq!(world.store.map(&second, &id("globex")).await, held);
    assert_eq!(world.store.unmap(&second).await.map(drop), held.map(drop));
    assert_eq!(world.store.unmap(&first).await, Ok(None));
    assert_eq!(world.store.map(&free, &id("globex")).await, Ok(false));
}

#[tokio::test]
async fn what_another_cluster_or_an_old_record_holds_is_held_and_what_is_no_record_is_not() {
    let world = World::new().await;
    world.one_as("elsewhere", tenant("acme", &NUMBERS[..1])).await;
    world.set("tenantmap:did:+15550000009", "").await;
    let () = world.run("HSET runtime-operator:tenant:globex cluster here dids +15550000002").await;
    let () = world.run("HSET runtime-operator:dids +15550000002 globex").await;

    let put = world.store.put_config(&id("acme"), &b"{}".to_vec().into()).await;
    assert_eq!(put, Err(WriteError::TenantManaged { owner: "voice/acme".to_owned() }));
    assert_eq!(world.store.map(&did(NUMBERS[1]), &id("globex")).await, Ok(false));
    // The runtime takes an empty text for no mapping.
    assert_eq!(world.store.unmap(&did("+15550000009")).await, Ok(None));
}

#[tokio::test]
async fn keys_of_another_type_are_overwritten_and_never_shown() {
    let world = World::new().await;
    for key in ["tenantcfg:acme", "tenantmap:did:+15550000001"] {
        let () = world.run(&format!("SADD {key} x")).await;
    }
    assert_eq!(world.store.unmap(&did(NUMBERS[0])).await, Ok(None));
    assert_eq!(world.store.map(&did(NUMBERS[0]), &id("acme")).await, Ok(false));
    world.store.put_config(&id("acme"), &b"{}".to_vec().into()).await.unwrap();
    assert_eq!(world.config("acme").await.as_deref(), Some("{}"));
    assert_eq!(world.maps(NUMBERS[0]).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_named() {
    let world = World::new().await;
    let () = world.run("CONFIG SET maxmemory 1").await;
    let put = world.store.put_config(&id("acme"), &vec![b'x'; 1000].into()).await;
    assert_eq!(put, Err(WriteError::Store(StoreError::OutOfMemory)));
    assert_eq!(world.config("acme").await, None);
}
