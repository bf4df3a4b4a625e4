//! The tenants that contend for one tenant id or one DID, and their order of precedence.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use crate::domain::Uid;

/// A contender's place in the order of precedence: first its entitlement, then its age, then its uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority {
    /// The ground of the claim, which counts before age.
    pub entitlement: Entitlement,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created: i64,
    /// The contender.
    pub uid: Uid,
}

/// The ground on which a tenant claims a thing, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entitlement {
    /// Its ownership record says that the thing is published for it.
    PublishedByRecord,
    /// Its status says that the thing is published for it, and it has no ownership record.
    PublishedByStatus,
    /// The thing is not published for it.
    Waiting,
}

/// The contenders of every key (a tenant id or a DID) that a tenant claims.
#[derive(Clone, Debug)]
pub struct ContendersByKey<K>(HashMap<K, Contenders>);

/// The contenders of one key, the first one holds it. Never none; nearly always one, which needs no allocation.
#[derive(Clone, Debug)]
enum Contenders {
    One(Priority),
    Many(Vec<Priority>),
}

impl<K> Default for ContendersByKey<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> ContendersByKey<K> {
    /// All contenders of `key`, the holder first.
    pub fn of(&self, key: &K) -> &[Priority] {
        self.0.get(key).map_or(&[], Contenders::as_slice)
    }

    /// The contender that holds `key`.
    pub fn holder(&self, key: &K) -> Option<&Uid> {
        self.of(key).first().map(|first| &first.uid)
    }

    /// Adds a contender of `key`.
    pub fn add(&mut self, key: K, contender: Priority) {
        match self.0.entry(key) {
            Entry::Occupied(contenders) => contenders.into_mut().add(contender),
            Entry::Vacant(free) => drop(free.insert(Contenders::One(contender))),
        }
    }

    /// Removes `uid` from the contenders of `key`, if it is one of them.
    pub fn remove(&mut self, key: &K, uid: &Uid) {
        if self.0.get_mut(key).is_some_and(|contenders| contenders.remove(uid) == Rest::None) {
            self.0.remove(key);
        }
    }
}

/// The contenders of one key that a removal leaves.
#[derive(PartialEq, Eq)]
enum Rest {
    Some,
    None,
}

impl Contenders {
    fn as_slice(&self) -> &[Priority] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(all) => all,
        }
    }

    fn add(&mut self, contender: Priority) {
        if let Self::One(one) = self {
            *self = Self::Many(vec![one.clone()]);
        }
        if let Self::Many(all) = self {
            all.insert(all.partition_point(|other| *other < contender), contender);
        }
    }

    fn remove(&mut self, uid: &Uid) -> Rest {
        match self {
            Self::One(one) if one.uid == *uid => return Rest::None,
            Self::One(_) => {}
            Self::Many(all) => {
                all.retain(|contender| contender.uid != *uid);
                if let [one] = &all[..] {
                    *self = Self::One(one.clone());
                }
            }
        }
        Rest::Some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(entitlement: Entitlement, created: i64, uid: &str) -> Priority {
        Priority { entitlement, created, uid: Uid::from(uid) }
    }

    fn order(contenders: &ContendersByKey<&str>) -> Vec<String> {
        contenders.of(&"key").iter().map(|contender| contender.uid.to_string()).collect()
    }

    #[test]
    fn contenders_are_ordered_by_entitlement_age_and_uid() {
        let mut contenders = ContendersByKey::default();
        contenders.add("key", contender(Entitlement::Waiting, 2, "waiting-young"));
        contenders.add("key", contender(Entitlement::Waiting, 1, "waiting-old-b"));
        contenders.add("key", contender(Entitlement::PublishedByStatus, 9, "by-status"));
        contenders.add("key", contender(Entitlement::Waiting, 1, "waiting-old-a"));
        contenders.add("key", contender(Entitlement::PublishedByRecord, 10, "by-record"));
        let expected = ["by-record", "by-status", "waiting-old-a", "waiting-old-b", "waiting-young"];
        assert_eq!(order(&contenders), expected);
        assert_eq!(contenders.holder(&"key"), Some(&Uid::from("by-record")));
    }

    #[test]
    fn a_key_without_contenders_takes_no_memory() {
        let mut contenders = ContendersByKey::default();
        contenders.add("key", contender(Entitlement::Waiting, 1, "a"));
        contenders.add("key", contender(Entitlement::Waiting, 2, "b"));
        contenders.remove(&"key", &Uid::from("other"));
        contenders.remove(&"key", &Uid::from("a"));
        assert_eq!(order(&contenders), ["b"]);
        contenders.remove(&"key", &Uid::from("b"));
        assert!(contenders.0.is_empty());
        assert_eq!(contenders.holder(&"key"), None);
    }
}
