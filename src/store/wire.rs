//! The forms in which plans, answers and records cross to the scripts and back.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::{
    Applied, ClusterId, Epoch, Owner, Publication, Record, Refusal, Removal, Step, StoreError, TakenOver,
};
use crate::contract::{Did, TenantId};
use crate::domain::Uid;

#[derive(Serialize)]
struct WirePlan<'a> {
    writer: &'a str,
    cluster: &'a ClusterId,
    steps: Vec<WireStep<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "op", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireStep<'a> {
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
        known: &'a [Did],
        // To the generation, a text too; empty: any.
        predecessors: BTreeMap<&'a Uid, String>,
        take_over: bool,
    },
    Remove {
        tenant: &'a TenantId,
        uid: &'a Uid,
        known: &'a [Did],
        retain: bool,
    },
}

/// The plan as `apply.lua` reads it.
pub(super) fn encode_plan<'a>(
    writer: &str,
    cluster: &ClusterId,
    steps: impl Iterator<Item = &'a Step>,
) -> Result<String, StoreError> {
    let steps = steps.map(wire_step).collect();
    serde_json::to_string(&WirePlan { writer, cluster, steps })
        .map_err(|error| StoreError::Unexpected(error.to_string()))
}

fn wire_step(step: &Step) -> WireStep<'_> {
    match step {
        Step::Publish(Publication {
            tenant,
            owner,
            generation,
            secret,
            hash,
            dids,
            known,
            predecessors,
            take_over,
            config,
            ..
        }) => WireStep::Publish {
            tenant,
            owner: owner.to_string(),
            uid: &owner.uid,
            generation: generation.to_string(),
            secret,
            hash,
            sha1: sha1_hex(config.expose_secret().as_bytes()),
            dids,
            known,
            predecessors: predecessors
                .iter()
                .map(|(uid, generation)| (uid, generation.map(|it| it.to_string()).unwrap_or_default()))
                .collect(),
            take_over: *take_over,
        },
        Step::Remove(Removal { tenant, uid, known, retain }) => {
            WireStep::Remove { tenant, uid, known, retain: *retain }
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
    steps: Vec<WireApplied>,
}

#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireApplied {
    Unchanged,
    Recorded,
    NotOwned,
    Withheld,
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
    Refused(WireRefusal),
}

#[derive(Deserialize)]
struct WireTaken {
    did: Option<Did>,
    from: String,
}

#[derive(Deserialize)]
#[serde(tag = "why", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireRefusal {
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
    NumbersInUse {
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

/// What `apply.lua` answered, one for each of `expected` steps.
pub(super) fn decode_answer(answer: &[u8], expected: usize) -> Result<Vec<Applied>, StoreError> {
    // A foreign mapping or record may hold bytes that are not UTF-8.
    let answer: WireAnswer = serde_json::from_str(&String::from_utf8_lossy(answer))
        .map_err(|error| StoreError::Unexpected(format!("the script's answer does not parse: {error}")))?;
    if answer.fenced {
        let current = answer.current.and_then(|number| number.parse().ok()).map(Epoch);
        return Err(StoreError::Fenced { current });
    }
    if answer.steps.len() != expected {
        return Err(StoreError::Unexpected("the script answered another number of steps".to_owned()));
    }
    Ok(answer.steps.into_iter().map(Applied::from).collect())
}

impl From<WireApplied> for Applied {
    fn from(wire: WireApplied) -> Self {
        match wire {
            WireApplied::Unchanged => Self::Unchanged,
            WireApplied::Recorded => Self::Recorded,
            WireApplied::NotOwned => Self::NotOwned,
            WireApplied::Withheld => Self::Withheld,
            WireApplied::Published { adopted, taken_over, removed } => Self::Published {
                adopted,
                taken_over: taken_over
                    .into_iter()
                    .map(|WireTaken { did, from }| TakenOver { did, from })
                    .collect(),
                removed,
            },
            WireApplied::Removed { keys } => Self::Removed { keys },
            WireApplied::Refused(refusal) => Self::Refused(refusal.into()),
        }
    }
}

impl From<WireRefusal> for Refusal {
    fn from(wire: WireRefusal) -> Self {
        match wire {
            WireRefusal::Stale { generation } => {
                Self::Stale { generation: generation.parse().unwrap_or(i64::MAX) }
            }
            WireRefusal::OwnedElsewhere { cluster, owner, dids } => {
                Self::OwnedElsewhere { cluster, owner, dids }
            }
            WireRefusal::HeldBy { uid, owner, dids } => Self::HeldBy { uid, owner, dids },
            WireRefusal::NumbersInUse { numbers } => {
                Self::NumbersInUse(numbers.into_iter().map(|mapped| (mapped.did, mapped.tenant)).collect())
            }
            WireRefusal::WouldUnmap { dids } => {
                Self::WouldUnmap(dids.iter().filter_map(|did| Did::parse(did).ok()).collect())
            }
        }
    }
}

/// A record from its fields, in the order in which the scripts have them; `None` where it is not one that they write.
pub(super) fn decode_record(tenant: &TenantId, fields: [String; 8]) -> Option<Record> {
    let [cluster, owner, uid, generation, secret, dids, hash, sha1] = fields;
    let (namespace, name) = owner.split_once('/')?;
    Some(Record {
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
            br#"{"steps":[{"is":"refused","why":"numbersInUse","numbers":[{"did":"+15551234567","tenant":""#
                .to_vec();
        answer.extend_from_slice(b"\xff\"}]}]}");
        let applied = decode_answer(&answer, 1).unwrap();
        let Applied::Refused(Refusal::NumbersInUse(numbers)) = &applied[0] else { panic!("{applied:?}") };
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
