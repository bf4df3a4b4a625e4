//! Compares Redis with what the statuses and the ownership records say.

use std::collections::BTreeMap;

use super::document::Drift;
use crate::cli::reach::Reach;
use crate::contract::{Did, TenantId, config_key, did_key};
use crate::domain::ResourceName;
use crate::domain::index::{CachedStatus, Index};
use crate::domain::reason::Reason;
use crate::domain::status::READY;
use crate::store::{ConfigFacts, Facts, FactsQuery, MAX_QUESTIONS, RecordFacts, TenantFacts};

/// A tenant whose resource says that it is published.
struct Published {
    resource: ResourceName,
    tenant: TenantId,
    dids: Vec<Did>,
}

/// Finds what Redis holds otherwise than the resources say. The error says why it was not read.
pub async fn find(reach: &mut Reach<'_>, index: &Index) -> Result<Vec<Drift>, String> {
    let published = published(index);
    let mut drift = Vec::new();
    let mut batch: Vec<&Published> = Vec::new();
    let mut size = 0;
    for (place, tenant) in published.iter().enumerate() {
        let next = 1 + tenant.dids.len();
        if size + next > MAX_QUESTIONS && !batch.is_empty() {
            compare(reach, &batch, &mut drift).await?;
            (batch, size) = (Vec::new(), 0);
        }
        batch.push(tenant);
        size += next;
        if place + 1 == published.len() {
            compare(reach, &batch, &mut drift).await?;
        }
    }
    drift.sort();
    Ok(drift)
}

/// The tenants that are published as their newest status says.
fn published(index: &Index) -> Vec<Published> {
    let objects = index.objects();
    let of = |object: &crate::domain::index::CachedTenant| {
        let status = object.status()?;
        let full = status.status();
        let ready = full.conditions.iter().find(|condition| condition.type_ == READY)?;
        // Of a resource whose last reconcile failed, it is not known what Redis should hold.
        if Reason::named(&ready.reason).is_none_or(Reason::is_failure) || object.is_deleting() {
            return None;
        }
        let dids = CachedStatus::published_dids(status);
        let tenant = index.claims().get(&object.uid())?.tenant.clone();
        (!dids.is_empty()).then(|| Published { resource: object.name(), tenant, dids })
    };
    objects.iter().filter_map(|object| of(object)).collect()
}

async fn compare(reach: &mut Reach<'_>, batch: &[&Published], drift: &mut Vec<Drift>) -> Result<(), String> {
    let dids: Vec<Did> = batch.iter().flat_map(|tenant| tenant.dids.iter().cloned()).collect();
    let tenants: Vec<TenantId> = batch.iter().map(|tenant| tenant.tenant.clone()).collect();
    let mut facts = Facts::default();
    // One tenant may have more numbers than one question takes.
    for (place, some) in dids.chunks(MAX_QUESTIONS - tenants.len().min(MAX_QUESTIONS - 1)).enumerate() {
        let tenants = if place == 0 { tenants.clone() } else { Vec::new() };
        let more = reach.ask(&FactsQuery { dids: some.to_vec(), tenants, ..FactsQuery::default() }).await?;
        facts.dids.extend(more.dids);
        facts.tenants.extend(more.tenants);
    }
    let mapped: BTreeMap<&str, Option<&str>> =
        facts.dids.iter().map(|did| (did.did.as_str(), did.tenant_id.as_deref())).collect();
    for Published { resource, tenant, dids } in batch {
        let mut add = |key: String, what: String| {
            drift.push(Drift { key, resource: Some(resource.to_string()), what });
        };
        for did in dids {
            match mapped.get(did.as_str()).copied().flatten() {
                Some(other) if other == tenant.as_str() => {}
                Some(other) => add(did_key(did), format!("mapped to {other}, and not to {tenant}")),
                None => add(did_key(did), "not mapped".to_owned()),
            }
        }
        if let Some(what) = facts.tenant(tenant.as_str()).and_then(of_tenant) {
            add(config_key(tenant), what.to_owned());
        }
    }
    Ok(())
}

/// The difference in a tenant's config or record.
fn of_tenant(tenant: &TenantFacts) -> Option<&'static str> {
    match (&tenant.config, &tenant.record) {
        (None, _) => Some("no config"),
        (Some(_), None) => Some("no ownership record"),
        (Some(config), Some(record)) if !is_recorded(config, record) => {
            Some("another config than the operator has published")
        }
        _ => None,
    }
}

fn is_recorded(config: &ConfigFacts, record: &RecordFacts) -> bool {
    config.sha1.as_ref() == Some(&record.sha1)
        || (config.sha1.is_some() && config.sha1 == record.stamped_sha1)
}
