//! Reads a status as kubectl, kstatus and people do.

use kube::ResourceExt;
use kube::api::DynamicObject;
use runtime_operator::domain::reason::Reason;
use serde_json::Value;

/// The state that kstatus computes of a resource, as Flux, Argo CD and Helm do.
#[derive(Debug, PartialEq, Eq)]
pub enum Kstatus {
    InProgress,
    Failed,
    Current,
}

pub fn conditions(tenant: &DynamicObject) -> Vec<Value> {
    tenant.data["status"]["conditions"].as_array().cloned().unwrap_or_default()
}

pub fn condition(tenant: &DynamicObject, kind: &str) -> Value {
    conditions(tenant).into_iter().find(|condition| condition["type"] == kind).unwrap_or_default()
}

pub fn kstatus(tenant: &DynamicObject) -> Kstatus {
    let is = |kind| condition(tenant, kind)["status"] == "True";
    let behind = tenant.data["status"]["observedGeneration"].as_i64() < tenant.metadata.generation;
    match (behind || is("Reconciling"), is("Stalled")) {
        (true, _) => Kstatus::InProgress,
        (_, true) => Kstatus::Failed,
        _ => Kstatus::Current,
    }
}

/// Checks the invariants of every status.
pub fn assert_well_formed(tenant: &DynamicObject) {
    let name = tenant.name_any();
    let conditions = conditions(tenant);
    let kinds: Vec<_> = conditions.iter().map(|condition| condition["type"].as_str().unwrap()).collect();
    let always = ["Ready", "SecretResolved", "DidsClaimed", "Published"];
    assert_eq!(&kinds[..4], always, "{name}");
    let passing: Vec<_> = conditions[4..]
        .iter()
        .map(|c| (c["type"].as_str().unwrap(), c["status"].as_str().unwrap()))
        .collect();
    let has = |kind| passing.contains(&(kind, "True"));
    let progress = [has("Reconciling"), has("Stalled"), has("Suspended")];
    let (count, warns) = (progress.iter().filter(|has| **has).count(), usize::from(has("Warnings")));
    assert!(count < 2 && count + warns == passing.len(), "{name}: {passing:?}");
    if condition(tenant, "Ready")["status"] == "True" {
        assert!(!has("Reconciling") && !has("Stalled"), "{name}: {passing:?}");
    }
    for condition in &conditions {
        assert_eq!(
            condition["observedGeneration"].as_i64(),
            tenant.metadata.generation,
            "{name}: {condition}"
        );
        assert!(
            Reason::ALL.iter().any(|reason| condition["reason"] == reason.as_str()),
            "{name}: {condition}"
        );
        assert!(!condition["message"].as_str().unwrap().is_empty(), "{name}: {condition}");
        assert!(condition["lastTransitionTime"].as_str().unwrap().ends_with('Z'), "{name}: {condition}");
    }
    assert_eq!(tenant.data["status"]["observedGeneration"].as_i64(), tenant.metadata.generation, "{name}");
}
