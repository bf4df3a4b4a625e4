//! The forms in which plans, answers and records cross to the scripts and back.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::{Applied, Conflict, Operation, Publication, Removal, StoreError, TakenOver};
use crate::contract::{Did, TenantId};
use crate::domain::{ClusterId, Epoch, Owner, OwnershipRecord, Uid};

#[derive(Serialize)]
struct WirePlan<'a> {
    writer: &'a str,
    cluster: &'a ClusterId,
    operations: Vec<WireOperation<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireOperation<'a> {
    Publish {
        tenant: &'a TenantId,
        owner: String,
        uid: &'a Uid,
        // A text, since Lua's numbers are floating point.
        generation: String,
        secret: &'a str,
        hash: &'a str,
        sha1: String,
        dids: &'a [Did],
        previously_listed: &'a [Did],
        // To the generation, a text too; empty: any.
        yielding_owners: BTreeMap<&'a Uid, String>,
        take_over: bool,
    },
    Remove {
        tenant: &'a TenantId,
        uid: &'a Uid,
        previously_listed: &'a [Did],
        retain: bool,
    },
}

/// The plan as `apply.lua` reads it.
pub(super) fn encode_plan<'a>(
    writer: &str,
    cluster: &ClusterId,
    operations: impl Iterator<Item = &'a Operation>,
) -> Result<String, StoreError> {
    let operations = operations.map(wire_operation).collect();
    serde_json::to_string(&WirePlan { writer, cluster, operations })
        .map_err(|error| StoreError::Unexpected(error.to_string()))
}

fn wire_operation(operation: &Operation) -> WireOperation<'_> {
    match operation {
        Operation::Publish(Publication {
            tenant,
            owner,
            generation,
            secret,
            hash,
            dids,
            previously_listed,
            yielding_owners,
            take_over,
            config,
            ..
        }) => WireOperation::Publish {
            tenant,
            owner: owner.to_string(),
            uid: &owner.uid,
            generation: generation.to_string(),
            secret,
            hash,
            sha1: sha1_hex(config.expose_secret().as_bytes()),
            dids,
            previously_listed,
            yielding_owners: yielding_owners
                .iter()
                .map(|(uid, generation)| (uid, generation.map(|it| it.to_string()).unwrap_or_default()))
                .collect(),
            take_over: *take_over,
        },
        Operation::Remove(Removal { tenant, uid, previously_listed, retain }) => {
            WireOperation::Remove { tenant, uid, previously_listed, retain: *retain }
        }
    }
}

/// SHA-1 in lower-case hexadecimal, as Redis' `sha1hex` writes it.
fn sha1_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha1::digest(bytes))
}

#[derive(Deserialize)]
struct WireAnswer {
    #[serde(default)]
    fenced: bool,
    current: Option<String>,
    #[serde(default)]
    operations: Vec<WireApplied>,
}

#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireApplied {
    Unchanged,
    Recorded,
    NotOwned,
    Aborted,
    Published {
        adopted: bool,
        #[serde(default)]
        taken_over: Vec<WireTaken>,
        #[serde(default)]
        removed: Vec<Did>,
    },
    Removed {
        keys: bool,
    },
    Rejected(WireConflict),
}

#[derive(Deserialize)]
struct WireTaken {
    did: Option<Did>,
    from: String,
}

#[derive(Deserialize)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireConflict {
    Stale {
        generation: String,
    },
    OwnedElsewhere {
        cluster: ClusterId,
        owner: String,
        #[serde(default)]
        dids: Vec<Did>,
    },
    HeldBy {
        uid: Uid,
        owner: String,
        #[serde(default)]
        dids: Vec<Did>,
    },
    DidsInUse {
        numbers: Vec<WireMapped>,
    },
    WouldUnmap {
        // From an older publisher's config, which may list what is no number.
        dids: Vec<String>,
    },
}

#[derive(Deserialize)]
struct WireMapped {
    did: Did,
    tenant: String,
}

/// What `apply.lua` answered, one for each of `expected` operations.
pub(super) fn decode_answer(answer: &[u8], expected: usize) -> Result<Vec<Applied>, StoreError> {
    // A foreign mapping or record may hold bytes that are not UTF-8.
    let answer: WireAnswer = serde_json::from_str(&String::from_utf8_lossy(answer))
        .map_err(|error| StoreError::Unexpected(format!("the script's answer does not parse: {error}")))?;
    if answer.fenced {
        let current = answer.current.and_then(|number| number.parse().ok()).map(Epoch);
        return Err(StoreError::Fenced { current });
    }
    if answer.operations.len() != expected {
        return Err(StoreError::Unexpected("the script answered another number of operations".to_owned()));
    }
    Ok(answer.operations.into_iter().map(Applied::from).collect())
}

impl From<WireApplied> for Applied {
    fn from(wire: WireApplied) -> Self {
        match wire {
            WireApplied::Unchanged => Self::Unchanged,
            WireApplied::Recorded => Self::Recorded,
            WireApplied::NotOwned => Self::NotOwned,
            WireApplied::Aborted => Self::Aborted,
            WireApplied::Published { adopted, taken_over, removed } => Self::Published {
                adopted,
                taken_over: taken_over
                    .into_iter()
                    .map(|WireTaken { did, from }| TakenOver { did, from })
                    .collect(),
                removed,
            },
            WireApplied::Removed { keys } => Self::Removed { keys },
            WireApplied::Rejected(refusal) => Self::Rejected(refusal.into()),
        }
    }
}

impl From<WireConflict> for Conflict {
    fn from(wire: WireConflict) -> Self {
        match wire {
            WireConflict::Stale { generation } => {
                Self::Stale { generation: generation.parse().unwrap_or(i64::MAX) }
            }
            WireConflict::OwnedElsewhere { cluster, owner, dids } => {
                Self::OwnedElsewhere { cluster, owner, dids }
            }
            WireConflict::HeldBy { uid, owner, dids } => Self::HeldBy { uid, owner, dids },
            WireConflict::DidsInUse { numbers } => {
                Self::DidsInUse(numbers.into_iter().map(|mapped| (mapped.did, mapped.tenant)).collect())
            }
            WireConflict::WouldUnmap { dids } => {
                Self::WouldUnmap(dids.iter().filter_map(|did| Did::parse(did).ok()).collect())
            }
        }
    }
}

/// A record from its fields, in the order in which the scripts have them; `None` where it is not one that they write.
pub(super) fn decode_record(tenant: &TenantId, fields: [String; 8]) -> Option<OwnershipRecord> {
    let [cluster, owner, uid, generation, secret, dids, hash, sha1] = fields;
    let (namespace, name) = owner.split_once('/')?;
    Some(OwnershipRecord {
        tenant: tenant.clone(),
        cluster: ClusterId::new(cluster),
        owner: Owner { namespace: namespace.to_owned(), name: name.to_owned(), uid: Uid::new(uid) },
        generation: generation.parse().ok()?,
        secret,
        dids: dids.split_whitespace().map(Did::parse_exact).collect::<Result<_, _>>().ok()?,
        hash,
        sha1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_name_the_keys_of_the_contract() {
        use crate::contract::{CONFIG_PREFIX, DID_PREFIX};
        for script in [include_str!("scripts/apply.lua"), include_str!("scripts/inspect.lua")] {
            assert!(
                script.contains(&format!("'{DID_PREFIX}'")) && script.contains(&format!("'{CONFIG_PREFIX}'"))
            );
            let fields = "'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1'";
            assert!(script.contains(&format!("FIELDS = {{ {fields} }}")));
        }
    }

    #[test]
    fn an_answer_that_is_not_utf8_is_still_read() {
        let mut answer =
            br#"{"operations":[{"is":"rejected","why":"didsInUse","numbers":[{"did":"+15551234567","tenant":""#
                .to_vec();
        answer.extend_from_slice(b"\xff\"}]}]}");
        let applied = decode_answer(&answer, 1).unwrap();
        let Applied::Rejected(Conflict::DidsInUse(numbers)) = &applied[0] else { panic!("{applied:?}") };
        assert_eq!(numbers[0].1, "\u{fffd}");
    }

    #[test]
    fn a_record_that_no_script_wrote_is_none() {
        let tenant = TenantId::parse("acme").unwrap();
        let fields = ["c", "ns/acme", "u", "1", "reference", "+1555 +1556", "h", "s"].map(str::to_owned);
        assert!(decode_record(&tenant, fields.clone()).is_some());
        for (i, wrong) in [(1, "acme"), (3, "one"), (5, "1555")] {
            let mut fields = fields.clone();
            fields[i] = wrong.to_owned();
            assert_eq!(decode_record(&tenant, fields), None);
        }
    }
}
