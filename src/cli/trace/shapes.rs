//! Facts in the shapes of the JSON, and in words.

use super::document::{Claimant, Mapping, Owner, Record, TraceCondition};
use super::facts::ClaimantFacts;
use crate::cli::common::escaped;
use crate::domain::assessment::SecretFaultKind;
use crate::store::{ConfigFacts, DidFacts, RecordFacts};

pub(super) fn mapping(number: &DidFacts) -> Mapping {
    Mapping { number: number.did.clone(), key: number.key.clone(), tenant_id: number.tenant_id.clone() }
}

pub(super) fn record(record: &RecordFacts) -> Record {
    Record {
        cluster: record.cluster.clone(),
        owner: record.owner.clone(),
        uid: record.uid.clone(),
        generation: record.generation,
        dids: record.dids.clone(),
        sha1: record.sha1.clone(),
    }
}

pub(super) fn owner(claimant: &ClaimantFacts) -> Owner {
    let conditions = claimant.status.conditions.iter().map(|condition| TraceCondition {
        r#type: condition.type_.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: condition.last_transition_time.0,
    });
    Owner {
        namespace: claimant.name.namespace.to_string(),
        name: claimant.name.name.to_string(),
        uid: claimant.uid.to_string(),
        generation: claimant.generation,
        observed_generation: claimant.status.observed_generation,
        conditions: conditions.collect(),
    }
}

pub(super) fn claimant(claimant: &ClaimantFacts) -> Claimant {
    Claimant {
        namespace: claimant.name.namespace.to_string(),
        name: claimant.name.name.to_string(),
        since: claimant.since(),
        holds: claimant.holds,
    }
}

pub(super) fn first_fault(config: &ConfigFacts) -> String {
    let Some(fault) = config.faults.first() else { return "no reason is known".to_owned() };
    let place = if fault.path.is_empty() { "the document" } else { &fault.path };
    let more = match config.faults.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    format!("{} {}{more}", escaped(place), escaped(&fault.message))
}

pub(super) fn fault_text(fault: &SecretFaultKind) -> String {
    match fault {
        SecretFaultKind::NotFound => "the Secret does not exist".to_owned(),
        SecretFaultKind::KeyNotFound => "missing".to_owned(),
        SecretFaultKind::Empty => "empty".to_owned(),
        SecretFaultKind::NotUtf8 => "not UTF-8".to_owned(),
        SecretFaultKind::Unreadable(why) => escaped(why).into_owned(),
    }
}

/// True if a record's version is this one, whether the value was published or a reference to it.
pub(super) fn is_version(recorded: &str, version: &str) -> bool {
    recorded.strip_prefix("reference:").unwrap_or(recorded) == version
}
