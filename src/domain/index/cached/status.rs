//! A status in a compact, lossless form that takes a third of the memory. The texts of conditions are interned, since most
//! resources share them.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::intern::Interner;
use crate::api::{HeldElsewhere, RuntimeTenantStatus, TakeOverStatus};
use crate::contract::Did;

/// A cached status.
#[derive(Debug, PartialEq)]
pub struct CachedStatus {
    observed_generation: Option<i64>,
    conditions: Box<[CachedCondition]>,
    published_dids: CachedDids,
    published_did_count: Option<u32>,
    published_hash: Option<Box<str>>,
    last_published: Option<Timestamp>,
    /// The two numbers of `status.dids`; none where it is another text.
    dids: Option<(u16, u16)>,
    take_over: Option<Box<TakeOverStatus>>,
    held_elsewhere: Box<[HeldElsewhere]>,
}

/// DIDs as the status lists them.
#[derive(Debug, PartialEq)]
enum CachedDids {
    Dids(Box<[Did]>),
    /// Texts that the operator would not have written.
    Texts(Box<[String]>),
}

impl CachedDids {
    fn new(texts: Vec<String>) -> Self {
        let dids: Result<_, _> = texts.iter().map(|text| Did::parse_exact(text)).collect();
        dids.map_or_else(|_| Self::Texts(texts.into()), Self::Dids)
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Dids(dids) => dids.iter().map(ToString::to_string).collect(),
            Self::Texts(texts) => texts.to_vec(),
        }
    }
}

#[derive(Debug, PartialEq)]
struct CachedCondition {
    text: Arc<ConditionText>,
    since: Timestamp,
}

/// A condition without its transition time.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ConditionText {
    /// The condition's type.
    pub type_: Box<str>,
    /// `True`, `False` or `Unknown`.
    pub status: Box<str>,
    /// The reason, in `CamelCase`.
    pub reason: Box<str>,
    message: Box<str>,
    observed_generation: Option<i64>,
}

impl CachedStatus {
    /// Compacts a status.
    pub fn new(status: RuntimeTenantStatus, texts: &mut Interner<ConditionText>) -> Self {
        let compact = |condition: Condition| CachedCondition {
            text: texts.intern(ConditionText {
                type_: condition.type_.into(),
                status: condition.status.into(),
                reason: condition.reason.into(),
                message: condition.message.into(),
                observed_generation: condition.observed_generation,
            }),
            since: condition.last_transition_time.0,
        };
        Self {
            observed_generation: status.observed_generation,
            conditions: status.conditions.into_iter().map(compact).collect(),
            published_dids: CachedDids::new(status.published_dids),
            published_did_count: status.published_did_count,
            published_hash: status.published_hash.map(String::into_boxed_str),
            last_published: status.last_published_time.map(|time| time.0),
            dids: status.dids.and_then(|text| {
                let (live, wanted) = text.split_once('/')?;
                Some((live.parse().ok()?, wanted.parse().ok()?))
            }),
            take_over: status.take_over.map(Box::new),
            held_elsewhere: status.held_elsewhere.into(),
        }
    }

    /// The status in full.
    #[must_use]
    pub fn status(&self) -> RuntimeTenantStatus {
        let conditions = self.conditions.iter().map(|cached| Condition {
            last_transition_time: Time(cached.since),
            message: cached.text.message.to_string(),
            observed_generation: cached.text.observed_generation,
            reason: cached.text.reason.to_string(),
            status: cached.text.status.to_string(),
            type_: cached.text.type_.to_string(),
        });
        RuntimeTenantStatus {
            observed_generation: self.observed_generation,
            conditions: conditions.collect(),
            published_dids: self.published_dids.texts(),
            published_did_count: self.published_did_count,
            published_hash: self.published_hash.as_deref().map(str::to_owned),
            last_published_time: self.last_published.map(Time),
            dids: self.dids.map(|(live, wanted)| format!("{live}/{wanted}")),
            take_over: self.take_over.as_deref().cloned(),
            held_elsewhere: self.held_elsewhere.to_vec(),
        }
    }

    /// `status.observedGeneration`.
    #[must_use]
    pub fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    /// The conditions' texts.
    pub fn conditions(&self) -> impl Iterator<Item = &ConditionText> + Clone {
        self.conditions.iter().map(|condition| &*condition.text)
    }

    /// `status.publishedDids`, normalised.
    #[must_use]
    pub fn published_dids(&self) -> Vec<Did> {
        match &self.published_dids {
            CachedDids::Dids(dids) => dids.to_vec(),
            CachedDids::Texts(texts) => texts.iter().filter_map(|text| Did::parse(text).ok()).collect(),
        }
    }

    /// True if `status.publishedDids` lists something.
    #[must_use]
    pub fn lists_published_dids(&self) -> bool {
        match &self.published_dids {
            CachedDids::Dids(dids) => !dids.is_empty(),
            CachedDids::Texts(texts) => !texts.is_empty(),
        }
    }

    /// `status.takeOver`.
    #[must_use]
    pub fn take_over(&self) -> Option<&TakeOverStatus> {
        self.take_over.as_deref()
    }

    /// `status.heldElsewhere`.
    #[must_use]
    pub fn held_elsewhere(&self) -> &[HeldElsewhere] {
        &self.held_elsewhere
    }

    /// `status.publishedDidCount`.
    #[must_use]
    pub fn published_did_count(&self) -> u32 {
        self.published_did_count.unwrap_or_default()
    }

    /// `status.publishedHash`.
    #[must_use]
    pub fn published_hash(&self) -> Option<&str> {
        self.published_hash.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(message: &str, dids: &[&str]) -> RuntimeTenantStatus {
        let condition = |type_: &str| {
            json!({
                "type": type_,
                "status": "True",
                "reason": "Published",
                "message": message,
                "lastTransitionTime": "2026-01-01T00:00:00Z",
                "observedGeneration": 7,
            })
        };
        serde_json::from_value(json!({
            "observedGeneration": 8,
            "conditions": [condition("Ready"), condition("Published")],
            "publishedDids": dids,
            "publishedDidCount": 2,
            "publishedHash": "abc",
            "lastPublishedTime": "2026-01-02T00:00:00Z",
            "dids": "1/2",
            "takeOver": { "used": "true", "from": [{ "cluster": "there", "uid": "u" }] },
            "heldElsewhere": [{ "cluster": "there", "owner": "voice/acme", "dids": ["+15551234567"] }],
        }))
        .unwrap()
    }

    #[test]
    fn a_cached_status_is_lossless() {
        let mut texts = Interner::default();
        let did = Did::parse("+15551234567").unwrap();
        for dids in [&["+15551234567"][..], &["+1 555 123 4567", "not a DID"]] {
            let status = status("2 numbers live", dids);
            let cached = CachedStatus::new(status.clone(), &mut texts);
            assert_eq!(cached.status(), status);
            assert_eq!(cached.published_dids(), std::slice::from_ref(&did));
        }
        let empty = RuntimeTenantStatus::default();
        assert_eq!(CachedStatus::new(empty.clone(), &mut texts).status(), empty);
    }

    #[test]
    fn equal_values_are_interned_and_unused_ones_dropped() {
        let mut texts = Interner::default();
        let cached: Vec<_> = (0..100).map(|_| CachedStatus::new(status("2 live", &[]), &mut texts)).collect();
        assert_eq!(texts.len(), 2);
        for other in 0..10_000 {
            CachedStatus::new(status(&format!("{other} live"), &[]), &mut texts);
        }
        assert!(texts.len() <= 64);
        assert_eq!(cached[0].conditions().count(), 2);
    }
}
