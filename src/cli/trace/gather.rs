//! Reads the facts of a trace: from the cluster, and from Redis.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::facts::{ClaimantFacts, ClusterFacts, Query, SecretFacts, TraceFacts};
use crate::cli::common::{Access, ClusterSnapshot, RedisArgs, Secrets, Snapshots, explained};
use crate::cli::failure::Failure;
use crate::cli::reach::{Operator, Reach};
use crate::contract::{Did, TenantId};
use crate::domain::claims::{HeldBy, Holdings, Published};
use crate::domain::compile;
use crate::domain::index::{CachedStatus, CachedTenant, Index, MAX_HELD_SPECS, Recorded};
use crate::domain::plan::PublishedVersion;
use crate::domain::secret::{SecretKey, SecretVersion, extract};
use crate::domain::{ResourceName, Uid};
use crate::store::{Facts, FactsQuery, MAX_QUESTIONS, RecordFacts};

/// Reads the facts. Only what a person must decide is an error; what can't be read is said.
pub async fn gather(
    query: &Query,
    access: &Result<Access, String>,
    redis: &RedisArgs,
    documents: bool,
) -> Result<TraceFacts, Failure> {
    let timeout = access.as_ref().map_or(std::time::Duration::from_secs(10), |access| access.args.timeout);
    let operator = match access {
        Ok(access) => Operator::choose(access).await?,
        Err(why) => Err(why.clone()),
    };
    let watched = operator.as_ref().ok().and_then(Operator::known_lease);
    let watched = watched.map(Snapshots::watched_by).unwrap_or_default();
    let snapshot = load(access, watched).await;
    let index = snapshot.as_ref().ok().map(|snapshot| &snapshot.index);
    let (numbers, tenant) = subjects(query, index);

    let operator = operator.as_ref().map_err(Clone::clone);
    let mut reach = Reach::new(redis, access.as_ref().ok(), operator, timeout)?;
    let redis = ask(&mut reach, &numbers, tenant.as_ref(), documents).await;
    let tenant = tenant.or_else(|| mapped_tenant(redis.as_ref().ok()?));
    let cluster = match snapshot {
        Ok(snapshot) => {
            Ok(cluster_facts(query, access, snapshot, tenant.as_ref(), redis.as_ref().ok()).await)
        }
        Err(why) => Err(why),
    };
    Ok(TraceFacts { query: query.clone(), tenant, redis, cluster, now: Timestamp::now() })
}

async fn load(access: &Result<Access, String>, watched: Vec<String>) -> Result<ClusterSnapshot, String> {
    let access = access.as_ref().map_err(Clone::clone)?;
    let snapshots = Snapshots {
        client: access.client.clone(),
        watched,
        fallback: access.namespace().to_owned(),
        secrets: Secrets::Unread,
        held_spec_bytes: MAX_HELD_SPECS,
    };
    snapshots.load().await.map_err(|error| explained(&error))
}

/// The numbers and the tenant of which Redis must be asked.
fn subjects(query: &Query, index: Option<&Index>) -> (Vec<Did>, Option<TenantId>) {
    let of_object = |object: &CachedTenant| {
        let claimed = compile::claimed(object.spec());
        let claim = index.and_then(|index| index.claims().get(&object.uid()));
        let dids = claim.map_or(claimed.dids, |claim| claim.dids.clone());
        (dids, claimed.tenant.or_else(|| claim.map(|claim| claim.tenant.clone())))
    };
    match query {
        Query::Number(did) => (vec![did.clone()], None),
        Query::Resource(name) => index
            .and_then(|index| index.object_named(name))
            .map(|object| of_object(&object))
            .unwrap_or_default(),
        Query::Tenant(tenant) => {
            let holder = index.and_then(|index| index.object(index.claims().tenant_holder(tenant)?));
            let dids = holder.map(|holder| of_object(&holder).0).unwrap_or_default();
            (dids, Some(tenant.clone()))
        }
    }
}

/// Asks Redis, in as many questions as it takes.
async fn ask(
    reach: &mut Reach<'_>,
    numbers: &[Did],
    tenant: Option<&TenantId>,
    documents: bool,
) -> Result<Facts, String> {
    let tenants: Vec<TenantId> = tenant.into_iter().cloned().collect();
    // A document is asked for by itself: it may be large.
    let alone = documents && tenants.len() + numbers.len() > 1;
    let first = FactsQuery {
        dids: if alone { Vec::new() } else { numbers.iter().take(MAX_QUESTIONS - 1).cloned().collect() },
        tenants,
        documents,
        ..FactsQuery::default()
    };
    let rest = &numbers[first.dids.len()..];
    let mut facts = reach.ask(&first).await?;
    for some in rest.chunks(MAX_QUESTIONS) {
        let more = reach.ask(&FactsQuery { dids: some.to_vec(), ..FactsQuery::default() }).await?;
        facts.dids.extend(more.dids);
    }
    Ok(facts)
}

fn mapped_tenant(facts: &Facts) -> Option<TenantId> {
    TenantId::parse(facts.dids.first()?.tenant_id.as_deref()?).ok()
}

async fn cluster_facts(
    query: &Query,
    access: &Result<Access, String>,
    snapshot: ClusterSnapshot,
    tenant: Option<&TenantId>,
    redis: Option<&Facts>,
) -> ClusterFacts {
    let ClusterSnapshot { mut index, missing, .. } = snapshot;
    // The controller's claims give what is published the first place, by the records.
    let records = redis.iter().flat_map(|facts| &facts.tenants);
    let records = records.filter_map(|tenant| recorded(&tenant.tenant_id, tenant.record.as_ref()?));
    let known =
        records.filter(|(uid, _)| index.object(uid).is_some()).map(|(uid, recorded)| (uid, recorded, true));
    let known: Vec<_> = known.collect();
    let _ = index.resync(known);

    let mut claimants = claimants(query, &index, tenant);
    claimants.sort_by_key(|claimant| (!claimant.holds, claimant.created, claimant.uid.clone()));
    let secret = match claimants.first().and_then(|first| first.secret.as_ref()) {
        Some(key) => Some(read_secret(access, key).await),
        None => None,
    };
    ClusterFacts { claimants, missing, secret }
}

fn recorded(tenant: &str, record: &RecordFacts) -> Option<(Uid, Recorded)> {
    let dids = record.dids.iter().map(|did| Did::parse(did)).collect::<Result<_, _>>().ok()?;
    let published = Published { tenant: TenantId::parse(tenant).ok()?, dids };
    let version = PublishedVersion {
        generation: record.generation,
        secret: record.secret_version.clone(),
        hash: record.hash.clone(),
    };
    Some((Uid::from(record.uid.as_str()), Recorded { published, version }))
}

/// The resources that claim the number or the tenant id. Of a number that none claims: the one that holds the tenant id to
/// which it is mapped.
fn claimants(query: &Query, index: &Index, tenant: Option<&TenantId>) -> Vec<ClaimantFacts> {
    let claims = index.claims();
    let claims_tenant = |object: &CachedTenant, tenant: &TenantId| {
        claims.get(&object.uid()).is_some_and(|claim| claim.tenant == *tenant)
    };
    let all = index.objects();
    let some = |matches: &dyn Fn(&CachedTenant) -> bool, holder: Option<&Uid>| -> Vec<ClaimantFacts> {
        let found = all.iter().filter(|object| matches(object));
        found.map(|object| claimant(object, index, holder == Some(&object.uid()))).collect()
    };
    match query {
        Query::Number(did) => {
            let lists = |object: &CachedTenant| {
                claims.get(&object.uid()).is_some_and(|claim| claim.dids.contains(did))
                    || claims.holder(did) == Some(&object.uid())
            };
            let listing = some(&lists, claims.holder(did));
            match tenant {
                Some(tenant) if listing.is_empty() => some(&|object| claims_tenant(object, tenant), None),
                _ => listing,
            }
        }
        Query::Tenant(tenant) => some(&|object| claims_tenant(object, tenant), claims.tenant_holder(tenant)),
        Query::Resource(name) => {
            let Some(object) = index.object_named(name) else { return Vec::new() };
            let holder = tenant.and_then(|tenant| claims.tenant_holder(tenant));
            let mut found = vec![claimant(&object, index, holder == Some(&object.uid()))];
            if let Some(tenant) = tenant {
                let others =
                    |other: &CachedTenant| claims_tenant(other, tenant) && other.uid() != object.uid();
                found.extend(some(&others, holder));
            }
            found
        }
    }
}

fn claimant(object: &CachedTenant, index: &Index, holds: bool) -> ClaimantFacts {
    let uid = object.uid();
    let claim = index.claims().get(&uid);
    let claimed = compile::claimed(object.spec());
    ClaimantFacts {
        name: object.name(),
        generation: object.generation(),
        created: Timestamp::from_second(object.created()).unwrap_or_default(),
        deleting: object.is_deleting(),
        tenant: claim.map(|claim| claim.tenant.clone()).or(claimed.tenant),
        dids: claim.map_or(claimed.dids, |claim| claim.dids.clone()),
        secret: index.secret_key(&uid),
        status: object.status().map(CachedStatus::status).unwrap_or_default(),
        waits_for: index.claims().holdings(&uid).and_then(|holdings| holder(index, &holdings)),
        holds,
        uid,
    }
}

/// The resource that holds the tenant id of another, or the first number for which that one waits.
fn holder(index: &Index, holdings: &Holdings) -> Option<ResourceName> {
    let contested = holdings.contested.iter().map(|(_, holder)| holder);
    let holder = holdings.tenant_held_by.iter().chain(contested).find_map(HeldBy::uid)?;
    index.object(holder).map(|holder| holder.name())
}

/// Reads a Secret, and says whether its value can be used; the value itself goes no further.
async fn read_secret(access: &Result<Access, String>, key: &SecretKey) -> Result<SecretFacts, String> {
    let access = access.as_ref().map_err(Clone::clone)?;
    let ResourceName { namespace, name } = &key.secret;
    let secrets: Api<Secret> = Api::namespaced(access.client.clone(), namespace);
    let Some(secret) = secrets.get_opt(name).await.map_err(|error| explained(&error))? else {
        return Ok(SecretFacts { version: None, fault: None });
    };
    let value = secret.data.as_ref().and_then(|data| data.get(&key.key));
    let fault = extract(value.map(|value| value.0.as_slice())).err();
    let version = SecretVersion::new(secret.uid().as_deref(), secret.resource_version().as_deref());
    Ok(SecretFacts { version: Some(version.to_string()), fault })
}
