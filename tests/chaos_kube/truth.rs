//! Checks that Redis equals the resources, and that their statuses agree with Redis. It is written from the contract and the
//! design, without the operator's code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DynamicObject, ListParams};
use kube::{Resource, ResourceExt};
use redis::AsyncCommands;
use serde_json::{Value, json};
use test_support::World;

/// The timeout: some retries wait for 30 s.
const TIMEOUT: Duration = Duration::from_secs(120);

type Check = Result<(), String>;

/// Waits until everything agrees.
pub async fn wait(world: &World) {
    wait_within(world, TIMEOUT).await;
}

/// Waits until everything agrees, with another timeout.
pub async fn wait_within(world: &World, timeout: Duration) {
    let what = "Redis equals the resources, and the statuses agree";
    world.wait_within(timeout, what, || check(world)).await;
}

/// Returns the first difference, if any.
pub async fn check(world: &World) -> Check {
    let resources = world.tenants().list(&ListParams::default()).await.unwrap().items;
    let redis = Redis::read(world).await;
    for resource in &resources {
        one(world, resource, &redis).await.map_err(|why| format!("{}: {why}", resource.name_any()))?;
    }
    contested(&resources, &redis)?;
    nothing_else(&resources, &redis)
}

/// Waits until these resources agree; others may differ.
pub async fn wait_of(world: &World, names: &[&str]) {
    let check = || async {
        let redis = Redis::read(world).await;
        for name in names {
            let resource = world.get(name).await.ok_or_else(|| format!("{name} does not exist"))?;
            one(world, &resource, &redis).await.map_err(|why| format!("{name}: {why}"))?;
        }
        Ok(())
    };
    world.wait_within(TIMEOUT, &format!("Redis equals {names:?}, and their statuses agree"), check).await;
}

/// All keys in Redis, read at nearly one instant; if something changes meanwhile, the check is repeated.
struct Redis {
    mappings: BTreeMap<String, String>,
    configs: BTreeMap<String, Value>,
    records: BTreeMap<String, BTreeMap<String, String>>,
    members: BTreeSet<String>,
    owners: BTreeMap<String, String>,
}

impl Redis {
    async fn read(world: &World) -> Self {
        let mut connection = world.connection().await;
        let (mut mappings, mut configs, mut records) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for key in world.keys("*").await {
            if let Some(did) = key.strip_prefix("tenantmap:did:") {
                mappings.extend(world.key(&key).await.map(|tenant| (did.to_owned(), tenant)));
            } else if let Some(tenant) = key.strip_prefix("tenantcfg:") {
                configs.extend(world.config(tenant).await.map(|config| (tenant.to_owned(), config)));
            } else if let Some(tenant) = key.strip_prefix("runtime-operator:tenant:") {
                records.insert(tenant.to_owned(), connection.hgetall(&key).await.unwrap());
            }
        }
        let members = format!("runtime-operator:tenants:cluster-of-{}", world.namespace());
        Self {
            mappings,
            configs,
            records,
            members: connection.smembers(members).await.unwrap(),
            owners: connection.hgetall("runtime-operator:dids").await.unwrap(),
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, should: &T) -> Check {
    if is == should { Ok(()) } else { Err(format!("{what} is {is:?}, not {should:?}")) }
}

/// Checks one resource: its DIDs, its config, its record, its status.
async fn one(world: &World, resource: &DynamicObject, redis: &Redis) -> Check {
    let spec = &resource.data["spec"];
    let tenant = spec["tenantId"].as_str().unwrap();
    let claimed = strings(&spec["dids"]);
    let held: Vec<String> = claimed
        .iter()
        .filter(|did| redis.mappings.get(*did).is_some_and(|to| to == tenant))
        .cloned()
        .collect();
    status(resource, &claimed, &held)?;
    if held.is_empty() {
        return match redis.records.get(tenant) {
            Some(record) if record.get("uid") == resource.meta().uid.as_ref() => {
                Err("it holds no DID and has a record".into())
            }
            _ => Ok(()),
        };
    }
    let config = redis.configs.get(tenant).ok_or("its config is not there")?;
    equal("the config's numbers", &strings(&config["dids"]), &held)?;
    equal("the config's tenant", &config["tenantId"], &spec["tenantId"])?;
    for section in ["caps", "stt", "tts"] {
        for (name, value) in spec[section].as_object().unwrap() {
            equal(&format!("the config's {section}.{name}"), &config[section][name], value)?;
        }
    }
    let (secret, version) = secret(world, spec["webhookSecretRef"]["name"].as_str().unwrap()).await?;
    equal("the config's secret", &config["webhookSecret"], &json!(secret))?;

    let record = redis.records.get(tenant).ok_or("its record is not there")?;
    let name = format!("{}/{}", world.namespace(), resource.name_any());
    for (field, should) in [
        ("owner", name),
        ("uid", resource.uid().unwrap()),
        ("generation", resource.metadata.generation.unwrap().to_string()),
        ("secret", version),
        ("dids", held.join(" ")),
        ("hash", resource.data["status"]["publishedHash"].as_str().unwrap_or_default().into()),
    ] {
        equal(&format!("the record's {field}"), record.get(field).unwrap_or(&String::new()), &should)?;
    }
    Ok(())
}

fn status(resource: &DynamicObject, claimed: &[String], held: &[String]) -> Check {
    if resource.meta().deletion_timestamp.is_some() {
        return Err("it is being deleted".into());
    }
    let status = &resource.data["status"];
    equal("observedGeneration", &status["observedGeneration"], &json!(resource.metadata.generation))?;
    equal("publishedDids", &strings(&status["publishedDids"]), &held.to_vec())?;
    equal("publishedDidCount", &status["publishedDidCount"], &json!(held.len()))?;
    equal("its finalizers", &resource.finalizers().to_vec(), &vec!["runtime.veralux.io/redis-keys".into()])?;
    let conditions = status["conditions"].as_array().ok_or("it has no conditions")?;
    let is = |kind: &str| {
        let found = conditions.iter().find(|condition| condition["type"] == kind);
        found.map(|condition| condition["status"] == "True")
    };
    let whole = claimed == held;
    equal("Ready", &is("Ready"), &Some(whole))?;
    equal("Published", &is("Published"), &Some(!held.is_empty()))?;
    equal("DidsClaimed", &is("DidsClaimed"), &Some(whole))?;
    if whole && is("Reconciling").or(is("Stalled")).is_some() {
        return Err("Ready, and yet Reconciling or Stalled".into());
    }
    let old = |condition: &&Value| condition["observedGeneration"] != json!(resource.metadata.generation);
    match conditions.iter().find(old) {
        Some(condition) => Err(format!("a condition is of another generation: {condition}")),
        None => Ok(()),
    }
}

/// Returns the value of a Secret, and its version in the form of the records.
async fn secret(world: &World, name: &str) -> Result<(String, String), String> {
    let secrets: Api<Secret> = Api::namespaced(world.client(), world.namespace());
    let secret = secrets.get_opt(name).await.unwrap().ok_or("its Secret does not exist")?;
    let version = format!("{}/{}", secret.uid().unwrap(), secret.resource_version().unwrap());
    let value = secret.data.and_then(|mut data| data.remove("webhookSecret")).ok_or("no such key")?;
    Ok((String::from_utf8(value.0).unwrap(), version))
}

/// Checks that each claimed DID is mapped to one of its claimants.
fn contested(resources: &[DynamicObject], redis: &Redis) -> Check {
    for resource in resources {
        for did in strings(&resource.data["spec"]["dids"]) {
            let live = redis.mappings.get(&did);
            let holds = |other: &&DynamicObject| {
                let spec = &other.data["spec"];
                strings(&spec["dids"]).contains(&did) && spec["tenantId"].as_str() == live.map(String::as_str)
            };
            if !resources.iter().any(|other| holds(&other)) {
                return Err(format!("{did} is mapped to {live:?}, which does not claim it"));
            }
        }
    }
    Ok(())
}

/// Checks that there is nothing without a resource, and that the indexes agree with the records.
fn nothing_else(resources: &[DynamicObject], redis: &Redis) -> Check {
    let claimed: BTreeSet<String> =
        resources.iter().flat_map(|resource| strings(&resource.data["spec"]["dids"])).collect();
    if let Some((did, tenant)) = redis.mappings.iter().find(|(did, _)| !claimed.contains(*did)) {
        return Err(format!("{did} is mapped to {tenant}, and no tenant claims it"));
    }
    let live: BTreeSet<String> = redis.mappings.values().cloned().collect();
    equal("the tenants with a config", &redis.configs.keys().cloned().collect(), &live)?;
    equal("the tenants with a record", &redis.records.keys().cloned().collect(), &live)?;
    equal("the index of records", &redis.members, &live)?;
    equal("the index of owners", &redis.owners, &redis.mappings)
}
