//! The JSON forms in which operations go to `apply.lua` and results come back.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::applied::{Adoption, Applied, Conflict, TakenOver};
use super::operation::{Operation, Publication, Removal};
use crate::contract::{Did, DocumentPath, PathSegment, TenantId};
use crate::domain::{ClusterId, Epoch, TakeOver, Uid};
use crate::store::connection::StoreError;

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
        // A string, since Lua's numbers are floating point.
        generation: String,
        secret: &'a str,
        hash: &'a str,
        sha1: String,
        dids: &'a [Did],
        previously_listed: &'a [Did],
        // The generation is a string too; the empty string means any.
        yielding_owners: BTreeMap<&'a Uid, String>,
        after_loss: bool,
        annotated: bool,
        take_over: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        take_over_from: Option<WireHolder<'a>>,
    },
    Remove {
        tenant: &'a TenantId,
        uid: &'a Uid,
        previously_listed: &'a [Did],
        retain: bool,
    },
}

#[derive(Serialize)]
struct WireHolder<'a> {
    cluster: &'a ClusterId,
    owner: &'a str,
}

/// Encodes the plan for `apply.lua`.
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
            after_loss,
            annotated,
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
            after_loss: *after_loss,
            annotated: *annotated,
            take_over: *take_over == TakeOver::Anything,
            take_over_from: match take_over {
                TakeOver::From(from) => Some(WireHolder { cluster: &from.cluster, owner: &from.owner }),
                TakeOver::Nothing | TakeOver::Anything => None,
            },
        },
        Operation::Remove(Removal { tenant, uid, previously_listed, retain }) => {
            WireOperation::Remove { tenant, uid, previously_listed, retain: *retain }
        }
    }
}

/// Returns the SHA-1 in lower-case hexadecimal, the form of Redis' `sha1hex`.
fn sha1_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha1::digest(bytes))
}

#[derive(Deserialize)]
struct WireReply {
    #[serde(default)]
    fenced: bool,
    current: Option<String>,
    #[serde(default)]
    results: Vec<WireApplied>,
    #[serde(default)]
    denied: String,
    #[serde(default)]
    replaced: Vec<String>,
}

/// A reply of `apply.lua`.
pub(super) struct Reply {
    /// The result of each operation.
    pub applied: Vec<Applied>,
    /// The optional commands that were denied, separated by spaces.
    pub denied: String,
    /// Own keys that held another type.
    pub replaced: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum WireApplied {
    Unchanged,
    Recorded,
    NotOwned,
    Aborted,
    Published {
        adopted: Option<WireAdoption>,
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
    cluster: Option<ClusterId>,
    uid: Option<Uid>,
}

#[derive(Deserialize)]
struct WireAdoption {
    #[serde(default)]
    changed: Vec<Vec<WireStep>>,
    total: usize,
    #[serde(default)]
    whole: bool,
}

/// A step to a place in a document.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireStep {
    Item(usize),
    Member(String),
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
        mapped: Vec<WireMapped>,
    },
    WouldUnmap {
        // From an older publisher's config, which may list invalid DIDs.
        dids: Vec<String>,
    },
    WouldChangeSecret {},
    TooLarge {},
}

#[derive(Deserialize)]
struct WireMapped {
    did: Did,
    tenant: String,
}

/// Decodes the reply of `apply.lua`: one result for each of `expected` operations.
pub(super) fn decode_reply(reply: &[u8], expected: usize) -> Result<Reply, StoreError> {
    // An external mapping or record may hold bytes that are not UTF-8.
    let reply: WireReply = serde_json::from_str(&String::from_utf8_lossy(reply))
        .map_err(|error| StoreError::Unexpected(format!("a script's reply can't be parsed: {error}")))?;
    if reply.fenced {
        let current = reply.current.and_then(|epoch| epoch.parse().ok()).map(Epoch);
        return Err(StoreError::Fenced { current });
    }
    if reply.results.len() != expected {
        let (got, expected) = (reply.results.len(), expected);
        return Err(StoreError::Unexpected(format!("{got} results for {expected} operations")));
    }
    let applied = reply.results.into_iter().map(Applied::from).collect();
    Ok(Reply { applied, denied: reply.denied, replaced: reply.replaced })
}

impl From<WireApplied> for Applied {
    fn from(wire: WireApplied) -> Self {
        match wire {
            WireApplied::Unchanged => Self::Unchanged,
            WireApplied::Recorded => Self::Recorded,
            WireApplied::NotOwned => Self::NotOwned,
            WireApplied::Aborted => Self::Aborted,
            WireApplied::Published { adopted, taken_over, removed } => Self::Published {
                adopted: adopted.map(Adoption::from),
                taken_over: taken_over
                    .into_iter()
                    .map(|WireTaken { did, from, cluster, uid }| TakenOver {
                        did,
                        from,
                        holder: cluster.zip(uid),
                    })
                    .collect(),
                removed,
            },
            WireApplied::Removed { keys } => Self::Removed { keys },
            WireApplied::Rejected(conflict) => Self::Rejected(conflict.into()),
        }
    }
}

impl From<WireAdoption> for Adoption {
    fn from(WireAdoption { changed, total, whole }: WireAdoption) -> Self {
        let segment = |step| match step {
            WireStep::Item(index) => PathSegment::Item(index),
            WireStep::Member(name) => PathSegment::Member(name),
        };
        let place =
            |steps: Vec<WireStep>| steps.into_iter().map(segment).collect::<DocumentPath>().to_string();
        let mut changed: Vec<String> = changed.into_iter().map(place).collect();
        changed.sort();
        Self { changed, total, whole }
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
            WireConflict::DidsInUse { mapped } => {
                Self::DidsInUse(mapped.into_iter().map(|it| (it.did, it.tenant)).collect())
            }
            WireConflict::WouldUnmap { dids } => {
                Self::WouldUnmap(dids.iter().filter_map(|did| Did::parse(did).ok()).collect())
            }
            WireConflict::WouldChangeSecret {} => Self::WouldChangeSecret,
            WireConflict::TooLarge {} => Self::TooLarge,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_use_the_key_names_and_record_fields_of_the_contract() {
        use crate::contract::{CONFIG_PREFIX, DID_PREFIX};
        let script = include_str!("../scripts/common.lua");
        assert!(
            script.contains(&format!("'{DID_PREFIX}'")) && script.contains(&format!("'{CONFIG_PREFIX}'"))
        );
        let fields =
            "'cluster', 'owner', 'uid', 'generation', 'secret', 'dids', 'hash', 'sha1', 'stamped', 'taken'";
        assert!(script.contains(&format!("FIELDS = {{ {fields} }}")));
    }

    #[test]
    fn a_reply_that_is_not_utf8_is_decoded() {
        let mut reply =
            br#"{"results":[{"is":"rejected","why":"didsInUse","mapped":[{"did":"+15551234567","tenant":""#
                .to_vec();
        reply.extend_from_slice(b"\xff\"}]}]}");
        let applied = decode_reply(&reply, 1).unwrap().applied;
        let Applied::Rejected(Conflict::DidsInUse(mapped)) = &applied[0] else { panic!("{applied:?}") };
        assert_eq!(mapped[0].1, "\u{fffd}");
    }
}
