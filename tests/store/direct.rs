//! The admin routes' writes beside the controller's, in any order: they equal the old publisher's where no resource owns
//! the key, and are rejected where one does.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use runtime_operator::store::{Applied, Operation, StoreError, WriteError};

use test_support::store_fixture::*;

const TENANTS: [&str; 3] = ["acme", "globex", "initech"];
const DIDS: [&str; 3] = ["+15550000001", "+15550000002", "+15550000003"];

/// One call, of the admin routes or of the controller.
#[derive(Clone, Debug)]
enum Call {
    Put {
        tenant: &'static str,
        dids: Vec<&'static str>,
    },
    Map {
        did: &'static str,
        tenant: &'static str,
    },
    Unmap {
        did: &'static str,
    },
    Publish {
        tenant: &'static str,
        dids: Vec<&'static str>,
        take_over: bool,
    },
    Remove {
        tenant: &'static str,
        retain: bool,
    },
    /// Another client deletes or changes a mapping.
    Break {
        did: &'static str,
        to: Option<&'static str>,
    },
}

fn a_call() -> impl Strategy<Value = Call> {
    let tenant = || proptest::sample::select(&TENANTS[..]);
    let did = || proptest::sample::select(&DIDS[..]);
    let dids = || proptest::sample::subsequence(&DIDS[..], 1..=DIDS.len());
    prop_oneof![
        3 => (tenant(), dids()).prop_map(|(tenant, dids)| Call::Put { tenant, dids }),
        4 => (did(), tenant()).prop_map(|(did, tenant)| Call::Map { did, tenant }),
        3 => did().prop_map(|did| Call::Unmap { did }),
        3 => (tenant(), dids(), any::<bool>())
            .prop_map(|(tenant, dids, take_over)| Call::Publish { tenant, dids, take_over }),
        2 => (tenant(), any::<bool>()).prop_map(|(tenant, retain)| Call::Remove { tenant, retain }),
        1 => (did(), proptest::option::of(tenant())).prop_map(|(did, to)| Call::Break { did, to }),
    ]
}

/// The old publisher, which wrote without a check, and what resources own.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    configs: BTreeMap<String, String>,
    mappings: BTreeMap<String, String>,
    /// Tenant -> its DIDs.
    held: BTreeMap<String, Vec<String>>,
}

/// The outcome of a direct write: the caller's result, or the owner of the key.
type Outcome = Result<Option<String>, String>;

impl Model {
    /// Reads the keys and the records.
    async fn read(world: &World) -> Self {
        let mut model = Self::default();
        for tenant in TENANTS {
            model.configs.extend(world.config(tenant).await.map(|config| (tenant.to_owned(), config)));
        }
        for did in DIDS {
            model.mappings.extend(world.tenant_of(did).await.map(|tenant| (did.to_owned(), tenant)));
        }
        for (record, _) in world.store.records(&world.cluster).await.unwrap() {
            let dids = record.dids.iter().map(ToString::to_string).collect();
            model.held.insert(record.tenant.to_string(), dids);
        }
        model
    }

    fn check_tenant_is_free(&self, tenant: &str) -> Result<(), String> {
        if self.held.contains_key(tenant) { Err(format!("tenant: voice/{tenant}")) } else { Ok(()) }
    }

    fn check_did_is_free(&self, did: &str) -> Result<(), String> {
        let holder = self.held.iter().find(|(_, dids)| dids.iter().any(|held| held == did));
        holder.map_or(Ok(()), |(tenant, _)| Err(format!("did: voice/{tenant}")))
    }

    fn put(&mut self, tenant: &str, config: &str) -> Outcome {
        self.check_tenant_is_free(tenant)?;
        self.configs.insert(tenant.to_owned(), config.to_owned());
        Ok(None)
    }

    fn map(&mut self, did: &str, tenant: &str) -> Outcome {
        self.check_did_is_free(did)?;
        self.check_tenant_is_free(tenant)?;
        self.mappings.insert(did.to_owned(), tenant.to_owned());
        Ok(Some(self.configs.contains_key(tenant).to_string()))
    }

    fn unmap(&mut self, did: &str) -> Outcome {
        if !self.mappings.contains_key(did) {
            return Ok(None);
        }
        self.check_did_is_free(did)?;
        Ok(self.mappings.remove(did))
    }
}

fn outcome<T>(written: Result<T, WriteError>, result: impl Fn(T) -> Option<String>) -> Outcome {
    match written {
        Ok(done) => Ok(result(done)),
        Err(WriteError::TenantManaged { owner }) => Err(format!("tenant: {owner}")),
        Err(WriteError::DidManaged { owner }) => Err(format!("did: {owner}")),
        Err(WriteError::Store(error)) => panic!("{error}"),
    }
}

async fn call(world: &World, model: &mut Model, call: &Call) -> Result<(), TestCaseError> {
    let (expected, actual) = match call {
        Call::Put { tenant, dids } => {
            let bytes = config(tenant, dids);
            let put = world.store.put_config(&tenant_id(tenant), &bytes.clone().into_bytes().into()).await;
            (model.put(tenant, &bytes), outcome(put, |()| None))
        }
        Call::Map { did, tenant } => {
            let mapped = world.store.map(&parse_did(did), &tenant_id(tenant)).await;
            (model.map(did, tenant), outcome(mapped, |has_config| Some(has_config.to_string())))
        }
        Call::Unmap { did } => {
            (model.unmap(did), outcome(world.store.unmap(&parse_did(did)).await, |was| was))
        }
        Call::Publish { tenant: name, dids, take_over } => {
            let publication = tenant(name, dids);
            let publication = if *take_over { publication.take_over() } else { publication };
            return apply_operation(world, model, publication.into()).await;
        }
        Call::Remove { tenant: name, retain } => {
            let removal = tenant(name, &[]);
            let removal = if *retain { removal.retained() } else { removal.removal() };
            return apply_operation(world, model, Operation::Remove(removal)).await;
        }
        Call::Break { did, to } => {
            let key = format!("tenantmap:did:{did}");
            match to {
                Some(tenant) => world.set(&key, tenant).await,
                None => world.run::<()>(&format!("DEL {key}")).await,
            }
            *model = Model::read(world).await;
            return Ok(());
        }
    };
    prop_assert_eq!(expected, actual);
    prop_assert_eq!(&*model, &Model::read(world).await);
    Ok(())
}

/// Applies an operation of the controller between the direct writes. Other tests check what it writes.
async fn apply_operation(
    world: &World,
    model: &mut Model,
    operation: Operation,
) -> Result<(), TestCaseError> {
    let applied = world.apply_one(operation).await;
    let after = Model::read(world).await;
    if matches!(applied, Applied::Rejected(_) | Applied::Unchanged | Applied::NotOwned) {
        prop_assert_eq!(&*model, &after, "{:?} but something was written", applied);
    }
    *model = after;
    Ok(())
}

/// Checks that each owned DID, unless another client broke it, maps to a tenant whose config lists it.
async fn check_owned_dids(world: &World, broken: &[&str]) -> Result<(), TestCaseError> {
    let model = Model::read(world).await;
    for (tenant, dids) in &model.held {
        for did in dids.iter().filter(|did| !broken.contains(&did.as_str())) {
            prop_assert_eq!(model.mappings.get(did), Some(tenant));
            let config = model.configs.get(tenant);
            prop_assert!(config.is_some_and(|config| config.contains(did)), "{}: {:?}", did, config);
        }
    }
    Ok(())
}

#[test]
fn direct_writes_match_the_old_publisher_except_for_owned_keys() {
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
                    if let Call::Break { did, .. } = operation {
                        broken.push(*did);
                    }
                    call(&world, &mut model, operation).await?;
                    check_owned_dids(&world, &broken).await?;
                }
                Ok(())
            })
        })
        .unwrap();
}

#[tokio::test]
async fn an_owned_did_is_protected_without_its_mapping_or_index_entry() {
    let world = World::new().await;
    world.apply_one(tenant("acme", &DIDS[..2])).await;
    let [first, second, free] = DIDS.map(parse_did);
    let held = Err(WriteError::DidManaged { owner: "voice/acme".to_owned() });

    world.run::<()>(&format!("DEL tenantmap:did:{first}")).await;
    world.run::<()>(&format!("HDEL runtime-operator:dids {second}")).await;

    assert_eq!(world.store.map(&first, &tenant_id("globex")).await, held);
    assert_eq!(world.store.map(&second, &tenant_id("globex")).await, held);
    assert_eq!(world.store.unmap(&second).await.map(drop), held.map(drop));
    assert_eq!(world.store.unmap(&first).await, Ok(None));
    assert_eq!(world.store.map(&free, &tenant_id("globex")).await, Ok(false));
}

#[tokio::test]
async fn only_complete_records_of_any_cluster_protect_a_tenant() {
    let world = World::new().await;
    world.apply_one_as("elsewhere", tenant("acme", &DIDS[..1])).await;
    world.set("tenantmap:did:+15550000009", "").await;
    let () = world.run("HSET runtime-operator:tenant:globex cluster here dids +15550000002").await;
    let () = world.run("HSET runtime-operator:dids +15550000002 globex").await;

    let put = world.store.put_config(&tenant_id("acme"), &b"{}".to_vec().into()).await;
    assert_eq!(put, Err(WriteError::TenantManaged { owner: "voice/acme".to_owned() }));
    assert_eq!(world.store.map(&parse_did(DIDS[1]), &tenant_id("globex")).await, Ok(false));
    // The runtime reads an empty value as no mapping.
    assert_eq!(world.store.unmap(&parse_did("+15550000009")).await, Ok(None));
}

#[tokio::test]
async fn keys_of_another_type_are_overwritten_and_read_as_absent() {
    let world = World::new().await;
    for key in ["tenantcfg:acme", "tenantmap:did:+15550000001"] {
        let () = world.run(&format!("SADD {key} x")).await;
    }
    assert_eq!(world.store.unmap(&parse_did(DIDS[0])).await, Ok(None));
    assert_eq!(world.store.map(&parse_did(DIDS[0]), &tenant_id("acme")).await, Ok(false));
    world.store.put_config(&tenant_id("acme"), &b"{}".to_vec().into()).await.unwrap();
    assert_eq!(world.config("acme").await.as_deref(), Some("{}"));
    assert_eq!(world.tenant_of(DIDS[0]).await.as_deref(), Some("acme"));
}

#[tokio::test]
async fn a_direct_write_to_a_full_redis_reports_out_of_memory() {
    let world = World::new().await;
    let () = world.run("CONFIG SET maxmemory 1").await;
    let put = world.store.put_config(&tenant_id("acme"), &vec![b'x'; 1000].into()).await;
    assert_eq!(put, Err(WriteError::Store(StoreError::OutOfMemory)));
    assert_eq!(world.config("acme").await, None);
}
