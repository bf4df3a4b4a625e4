//! The final state: Redis equals the resources, byte for byte and key for key, and the statuses agree.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use local_cluster::Redis;
use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::contract::Did;
use runtime_operator::domain::compile::compile;
use secrecy::ExposeSecret;
use serde_json::Value;
use test_support::World;

/// The timeout of the final state: a Sentinel pauses for 30 s on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// All keys in Redis with the prefixes of the contract and of the operator.
#[derive(Default)]
struct Held {
    configs: BTreeMap<String, String>,
    mappings: BTreeMap<String, String>,
    records: BTreeMap<String, BTreeMap<String, String>>,
    /// The hash of DIDs to the tenants that own them.
    owners: BTreeMap<String, String>,
    /// The sets of tenants of all clusters.
    members: BTreeSet<String>,
}

impl Held {
    async fn read(redis: &Redis) -> Result<Self, String> {
        let mut connection = redis.connection().await.map_err(|error| error.to_string())?;
        Self::ask(&mut connection).await.map_err(|error| error.to_string())
    }

    async fn ask(connection: &mut MultiplexedConnection) -> RedisResult<Self> {
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(connection).await?;
        let mut held = Self::default();
        for key in keys {
            if let Some(tenant) = key.strip_prefix("tenantcfg:") {
                held.configs.insert(tenant.into(), get(connection, &key).await?);
            } else if let Some(did) = key.strip_prefix("tenantmap:did:") {
                held.mappings.insert(did.into(), get(connection, &key).await?);
            } else if let Some(tenant) = key.strip_prefix("runtime-operator:tenant:") {
                // A record that was removed in between has no fields.
                let fields = Some(all(connection, &key).await?).filter(|fields| !fields.is_empty());
                held.records.extend(fields.map(|fields| (tenant.into(), fields)));
            } else if key == "runtime-operator:dids" {
                held.owners = all(connection, &key).await?;
            } else if key.starts_with("runtime-operator:tenants:") {
                let members: Vec<String> = redis::cmd("SMEMBERS").arg(&key).query_async(connection).await?;
                held.members.extend(members);
            }
        }
        Ok(held)
    }

    /// Returns the record, if it belongs to this resource.
    fn record(&self, tenant: &str, uid: &str) -> Option<&BTreeMap<String, String>> {
        self.records.get(tenant).filter(|record| record["uid"] == uid)
    }
}

/// Returns a key's value. A key that was removed in between has none; the next check reads the new state.
async fn get(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<String> {
    let value: Option<String> = redis::cmd("GET").arg(key).query_async(connection).await?;
    Ok(value.unwrap_or_default())
}

async fn all(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<BTreeMap<String, String>> {
    redis::cmd("HGETALL").arg(key).query_async(connection).await
}

/// The parts of a resource.
struct Said {
    name: String,
    uid: String,
    generation: i64,
    spec: RuntimeTenantSpec,
    dids: Vec<String>,
    secret: Option<String>,
    status: Value,
}

impl Said {
    fn of(tenant: &DynamicObject, secrets: &BTreeMap<String, BTreeMap<String, String>>) -> Self {
        let spec: RuntimeTenantSpec = serde_json::from_value(tenant.data["spec"].clone()).unwrap();
        let reference = &spec.webhook_secret_ref;
        let secret = secrets.get(&reference.name).and_then(|values| values.get(&reference.key)).cloned();
        Self {
            name: tenant.name_any(),
            uid: tenant.uid().unwrap(),
            generation: tenant.metadata.generation.unwrap(),
            dids: spec.dids.iter().map(|did| Did::parse(did).unwrap().to_string()).collect(),
            spec,
            secret,
            status: tenant.data["status"].clone(),
        }
    }
}

async fn said(client: &Client, world: &World) -> Result<Vec<Said>, String> {
    let mut found = Vec::new();
    for namespace in world.namespaces() {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let secrets = secrets.list(&ListParams::default()).await.map_err(|error| error.to_string())?;
        let text =
            |(key, value): (String, k8s_openapi::ByteString)| (key, String::from_utf8(value.0).unwrap());
        let values = |secret: Secret| {
            (secret.name_any(), secret.data.unwrap_or_default().into_iter().map(text).collect())
        };
        let secrets = secrets.items.into_iter().map(values).collect();
        let tenants = world.tenants_in(namespace).list(&ListParams::default()).await;
        let tenants = tenants.map_err(|error| error.to_string())?;
        if let Some(leaving) =
            tenants.items.iter().find(|tenant| tenant.metadata.deletion_timestamp.is_some())
        {
            return Err(format!("{} is being deleted", leaving.name_any()));
        }
        found.extend(tenants.items.iter().map(|tenant| Said::of(tenant, &secrets)));
    }
    Ok(found)
}

/// Returns all differences. Resources are valid and not suspended; several may claim one DID, but not one tenant id.
pub async fn differences(world: &World, redis: &Redis) -> Vec<String> {
    let (held, said) = match (Held::read(redis).await, said(&world.client(), world).await) {
        (Ok(held), Ok(said)) => (held, said),
        (Err(why), _) | (_, Err(why)) => return vec![why],
    };
    let mut wrong: Vec<String> = said.iter().flat_map(|one| compare(one, &said, &held)).collect();
    let tenants: BTreeSet<&String> = said.iter().map(|one| &one.spec.tenant_id).collect();
    let strays = |keys: &mut dyn Iterator<Item = &String>, what: &str| -> Vec<String> {
        keys.filter(|tenant| !tenants.contains(tenant)).map(|tenant| format!("{what} of {tenant}")).collect()
    };
    wrong.extend(strays(&mut held.configs.keys(), "a stray config"));
    wrong.extend(strays(&mut held.records.keys(), "a stray record"));
    wrong.extend(strays(&mut held.members.iter(), "a stray member"));
    for (did, tenant) in held.mappings.iter().chain(&held.owners) {
        let listed = held.records.get(tenant).is_some_and(|record| lists(record, did));
        if !listed {
            wrong.push(format!("{did} is {tenant}'s, whose record does not list it"));
        }
    }
    wrong
}

fn lists(record: &BTreeMap<String, String>, did: &str) -> bool {
    record["dids"].split(' ').any(|listed| listed == did)
}

/// Returns the differences of one resource.
fn compare(one: &Said, all: &[Said], held: &Held) -> Vec<String> {
    let tenant = &one.spec.tenant_id;
    let record = held.record(tenant, &one.uid);
    let (mine, others): (Vec<&String>, Vec<&String>) =
        one.dids.iter().partition(|did| record.is_some_and(|record| lists(record, did)));
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            wrong.push(format!("{}: {what}", one.name));
        }
    };
    for did in others {
        let holder = all.iter().find(|other| {
            other.uid != one.uid
                && other.dids.contains(did)
                && held.record(&other.spec.tenant_id, &other.uid).is_some_and(|record| lists(record, did))
        });
        must(holder.is_some(), format!("{did} is mapped to no tenant"));
    }
    if let Some(record) = record {
        let joined = mine.iter().map(|did| did.as_str()).collect::<Vec<_>>().join(" ");
        must(record["dids"] == joined, format!("its record lists {}", record["dids"]));
        let generation = &record["generation"];
        must(*generation == one.generation.to_string(), format!("its record is of generation {generation}"));
        must(held.members.contains(tenant), "the index of records lacks it".into());
        let dids: Vec<Did> = mine.iter().map(|did| Did::parse(did).unwrap()).collect();
        let config = compile(&one.spec, &dids).ok().and_then(|config| match &one.secret {
            Some(secret) => config.with_secret(&secret.clone().into()).ok(),
            None => Some(config),
        });
        let config = config.map(|config| config.to_json());
        let config = config.as_ref().map(ExposeSecret::expose_secret);
        let is = held.configs.get(tenant);
        must(is.map(String::as_str) == config, format!("its config is {is:?}"));
    } else {
        let (config, record) = (held.configs.get(tenant), held.records.get(tenant));
        must(config.is_none() && record.is_none(), format!("not its own: {config:?}, {record:?}"));
    }
    for did in &mine {
        must(
            held.mappings.get(*did) == Some(tenant),
            format!("{did} is mapped to {:?}", held.mappings.get(*did)),
        );
        must(held.owners.get(*did) == Some(tenant), format!("{did} is owned by {:?}", held.owners.get(*did)));
    }
    let hash = record.map(|record| record["hash"].as_str());
    for lie in lies(one, &mine, hash) {
        must(false, lie);
    }
    wrong
}

/// Returns the differences of a status when these DIDs are published.
fn lies(one: &Said, live: &[&String], hash: Option<&str>) -> Vec<String> {
    let status = &one.status;
    let conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|is| is["type"] == kind).cloned().unwrap_or_default();
    let (wanted, reason) =
        if live.len() == one.dids.len() { ("True", "Published") } else { ("False", "DidConflict") };
    let mut lies = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            lies.push(format!("it says {what}"));
        }
    };
    let ready = condition("Ready");
    must(
        ready["status"] == wanted && ready["reason"] == reason,
        format!("Ready is {ready}, and not {wanted}"),
    );
    must(
        status["observedGeneration"] == one.generation,
        format!("it observed {}", status["observedGeneration"]),
    );
    for of in &conditions {
        must(of["observedGeneration"] == one.generation, format!("{of}"));
    }
    let dids = &status["publishedDids"];
    let listed: Vec<&str> = dids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    must(listed == live.iter().map(|did| did.as_str()).collect::<Vec<_>>(), format!("{dids} are live"));
    must(
        status["publishedHash"].as_str() == hash,
        format!("what is live has the hash {}", status["publishedHash"]),
    );
    let passing = condition("Reconciling");
    must(wanted == "False" || passing.is_null(), format!("{passing}"));
    lies
}

/// Waits until there is no difference.
pub async fn wait_true(world: &World, redis: &Redis) {
    world
        .wait_within(TIMEOUT, "Redis equals the resources", || async {
            let wrong = differences(world, redis).await;
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
        })
        .await;
}
