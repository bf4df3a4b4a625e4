//! Counts resources and finds conflicts, by the statuses and the controller's claims.

use jiff::Timestamp;

use super::document::{NotReady, NumberConflict, TenantCounts};
use crate::api::RuntimeTenantStatus;
use crate::cli::common::Namespaces;
use crate::domain::index::{CachedStatus, CachedTenant, Index};
use crate::domain::reason::Reason;
use crate::domain::status::READY;

/// The word for a resource that has no status.
const NO_STATUS: &str = "NoStatus";

/// Counts the resources of some namespaces, and finds the one that is not Ready for the longest time.
#[must_use]
pub fn count(index: &Index, namespaces: &Namespaces) -> (TenantCounts, Option<NotReady>) {
    let (mut counts, mut oldest) = (TenantCounts::default(), None::<NotReady>);
    for object in index.objects() {
        if !namespaces.contains(&object.name().namespace) {
            continue;
        }
        counts.total += 1;
        let status = object.status().map(CachedStatus::status).unwrap_or_default();
        let (live, wanted) = numbers(index, &object, &status);
        counts.numbers_live += live;
        counts.numbers_wanted += wanted;
        let ready = status.conditions.into_iter().find(|condition| condition.type_ == READY);
        let behind = status.observed_generation.is_some_and(|observed| observed < object.generation());
        match &ready {
            Some(ready) if ready.status == "True" && ready.reason == Reason::Suspended.as_str() => {
                counts.suspended += 1;
                continue;
            }
            Some(ready) if ready.status == "True" && !behind => {
                counts.ready += 1;
                continue;
            }
            _ => {}
        }
        counts.not_ready += 1;
        let found = not_ready(&object, ready, behind);
        *counts.reasons.entry(found.reason.clone()).or_default() += 1;
        let is_older = |known: &NotReady| (found.since, &found.name) < (known.since, &known.name);
        if oldest.as_ref().is_none_or(is_older) {
            oldest = Some(found);
        }
    }
    (counts, oldest)
}

fn not_ready(
    object: &CachedTenant,
    ready: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>,
    behind: bool,
) -> NotReady {
    let name = object.name();
    let created = Timestamp::from_second(object.created()).unwrap_or_default();
    let (reason, message, since) = match ready {
        Some(ready) if behind => (
            "Behind".to_owned(),
            "its status is about an earlier generation".to_owned(),
            ready.last_transition_time.0,
        ),
        Some(ready) => (ready.reason, ready.message, ready.last_transition_time.0),
        None => (NO_STATUS.to_owned(), "no operator has set a status".to_owned(), created),
    };
    NotReady { namespace: name.namespace.to_string(), name: name.name.to_string(), reason, message, since }
}

/// The live numbers of a resource and all of its spec, as its status says; without one, as its claim says.
fn numbers(index: &Index, object: &CachedTenant, status: &RuntimeTenantStatus) -> (usize, usize) {
    let counted = status.dids.as_deref().and_then(|text| text.split_once('/'));
    let counted = counted.and_then(|(live, wanted)| Some((live.parse().ok()?, wanted.parse().ok()?)));
    counted.unwrap_or_else(|| {
        let claim = index.claims().get(&object.uid());
        (0, claim.map_or(0, |claim| claim.dids.len()))
    })
}

/// Finds the numbers for which resources of some namespaces wait, by the claims.
#[must_use]
pub fn conflicts(index: &Index, namespaces: &Namespaces) -> Vec<NumberConflict> {
    let mut found = Vec::new();
    for object in index.objects() {
        let uid = object.uid();
        let Some(holdings) = index.claims().holdings(&uid) else { continue };
        for (did, holder) in holdings.contested {
            let holder = holder.uid().and_then(|uid| index.object(uid)).map(|holder| holder.name());
            let waiting = object.name();
            let concerns = |namespace: &str| namespaces.contains(namespace);
            if !concerns(&waiting.namespace)
                && !holder.as_ref().is_some_and(|holder| concerns(&holder.namespace))
            {
                continue;
            }
            found.push(NumberConflict {
                number: did.to_string(),
                holder: holder.map(|holder| holder.to_string()),
                waiting: waiting.to_string(),
                since: since(&object),
            });
        }
    }
    found.sort_by(|one, other| {
        (&one.number, one.since, &one.waiting).cmp(&(&other.number, other.since, &other.waiting))
    });
    found
}

fn since(object: &CachedTenant) -> Timestamp {
    let status = object.status().map(CachedStatus::status).unwrap_or_default();
    let ready = status.conditions.into_iter().find(|condition| condition.type_ == READY);
    let created = || Timestamp::from_second(object.created()).unwrap_or_default();
    ready.map_or_else(created, |ready| ready.last_transition_time.0)
}
