//! A status as it is kept: all that was read of it, in a third of the memory. Most resources say the same, so that the
//! texts of their conditions are held once for all.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::RuntimeTenantStatus;
use crate::contract::Did;

/// A status as it is kept.
#[derive(Debug, PartialEq)]
pub struct KeptStatus {
    observed_generation: Option<i64>,
    conditions: Box<[KeptCondition]>,
    published_dids: Numbers,
    published_did_count: Option<u32>,
    published_hash: Option<Box<str>>,
    last_published: Option<Timestamp>,
}

/// Numbers as they were written.
#[derive(Debug, PartialEq)]
enum Numbers {
    Dids(Box<[Did]>),
    /// Somebody else wrote them.
    Texts(Box<[String]>),
}

impl Numbers {
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
struct KeptCondition {
    says: Arc<Phrase>,
    since: Timestamp,
}

/// What a condition says, whosever it is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Phrase {
    /// What it is about.
    pub type_: Box<str>,
    /// Whether it holds.
    pub status: Box<str>,
    /// Why, in a word.
    pub reason: Box<str>,
    message: Box<str>,
    observed_generation: Option<i64>,
}

/// What many have, each held once for as long as somebody has it.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// With so many, it is looked which of them nobody has any more.
    most: usize,
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), most: 64 }
    }
}

impl<T: Eq + Hash + ?Sized> Pool<T> {
    /// The one of all that are equal to this.
    pub fn share(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.most {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.most = (2 * self.known.len()).max(64);
        }
        let value = value.into();
        self.known.insert(Arc::clone(&value));
        value
    }
}

/// Everything of resources and Secrets that many have.
#[derive(Debug, Default)]
pub struct Pools {
    /// What conditions say.
    pub phrases: Pool<Phrase>,
    /// Names of namespaces.
    pub namespaces: Pool<str>,
}

impl KeptStatus {
    /// Keeps this status.
    pub fn new(status: RuntimeTenantStatus, phrases: &mut Pool<Phrase>) -> Self {
        let keep = |condition: Condition| KeptCondition {
            says: phrases.share(Phrase {
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
            conditions: status.conditions.into_iter().map(keep).collect(),
            published_dids: Numbers::new(status.published_dids),
            published_did_count: status.published_did_count,
            published_hash: status.published_hash.map(String::into_boxed_str),
            last_published: status.last_published_time.map(|time| time.0),
        }
    }

    /// The status as it was.
    #[must_use]
    pub fn status(&self) -> RuntimeTenantStatus {
        let conditions = self.conditions.iter().map(|kept| Condition {
            last_transition_time: Time(kept.since),
            message: kept.says.message.to_string(),
            observed_generation: kept.says.observed_generation,
            reason: kept.says.reason.to_string(),
            status: kept.says.status.to_string(),
            type_: kept.says.type_.to_string(),
        });
        RuntimeTenantStatus {
            observed_generation: self.observed_generation,
            conditions: conditions.collect(),
            published_dids: self.published_dids.texts(),
            published_did_count: self.published_did_count,
            published_hash: self.published_hash.as_deref().map(str::to_owned),
            last_published_time: self.last_published.map(Time),
        }
    }

    /// The generation that it is about.
    #[must_use]
    pub fn observed_generation(&self) -> Option<i64> {
        self.observed_generation
    }

    /// What its conditions say.
    pub fn phrases(&self) -> impl Iterator<Item = &Phrase> + Clone {
        self.conditions.iter().map(|condition| &*condition.says)
    }

    /// The numbers that it says are live, normalised.
    #[must_use]
    pub fn published_dids(&self) -> Vec<Did> {
        match &self.published_dids {
            Numbers::Dids(dids) => dids.to_vec(),
            Numbers::Texts(texts) => texts.iter().filter_map(|text| Did::parse(text).ok()).collect(),
        }
    }

    /// How many numbers it says are live.
    #[must_use]
    pub fn published_did_count(&self) -> u32 {
        self.published_did_count.unwrap_or_default()
    }

    /// The hash of what it says is published.
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
        }))
        .unwrap()
    }

    #[test]
    fn a_status_is_kept_as_it_is() {
        let mut phrases = Pool::default();
        let good = Did::parse("+15551234567").unwrap();
        for dids in [&["+15551234567"][..], &["+1 555 123 4567", "not a number"]] {
            let status = status("2 numbers live", dids);
            let kept = KeptStatus::new(status.clone(), &mut phrases);
            assert_eq!(kept.status(), status);
            assert_eq!(kept.published_dids(), std::slice::from_ref(&good));
        }
        let nothing = RuntimeTenantStatus::default();
        assert_eq!(KeptStatus::new(nothing.clone(), &mut phrases).status(), nothing);
    }

    #[test]
    fn what_many_say_is_held_once_and_what_nobody_says_any_more_is_not() {
        let mut phrases = Pool::default();
        let kept: Vec<_> = (0..100).map(|_| KeptStatus::new(status("2 live", &[]), &mut phrases)).collect();
        assert_eq!(phrases.known.len(), 2);
        for other in 0..10_000 {
            KeptStatus::new(status(&format!("waits for {other}"), &[]), &mut phrases);
        }
        assert!(phrases.known.len() <= 64);
        assert_eq!(kept[0].phrases().count(), 2);
    }
}
