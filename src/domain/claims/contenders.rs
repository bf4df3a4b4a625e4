//! The tenants that contend for one tenant id or one DID, and their order of precedence.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound;

use crate::domain::Uid;

/// The contenders of one thing that are notified of its holder, which is one of them. A thousand may contend for one number, and
/// one edit of its holder must not rewrite a thousand statuses: the status of the others says that another resource holds it.
pub const NOTIFIED: usize = 64;

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
    /// The thing is not published for it, nor can it be now: something outside of this operator's resources keeps it from its
    /// tenant id.
    RefusedOutside,
}

impl Entitlement {
    const ALL: [Self; 4] =
        [Self::PublishedByRecord, Self::PublishedByStatus, Self::Waiting, Self::RefusedOutside];
}

/// The contenders of every key (a tenant id or a DID) that a tenant claims.
#[derive(Clone, Debug)]
pub struct ContendersByKey<K>(HashMap<K, Contenders>);

/// The contenders of one key. Never none; nearly always one, which needs no allocation.
#[derive(Clone, Debug)]
enum Contenders {
    One(Priority),
    Many(Box<Crowd>),
}

/// The contenders of one key, the first one holds it. One more or one less costs the logarithm of their number.
#[derive(Clone, Debug, Default)]
struct Crowd {
    all: BTreeSet<Priority>,
    /// The last of the first [`NOTIFIED`]; none while there are no more than these.
    last_notified: Option<Priority>,
}

/// The state of one key before a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Former {
    /// The contender that held it.
    pub holder: Option<Uid>,
    /// The last contender that was notified, if not all were.
    last_notified: Option<Priority>,
}

impl<K> Default for ContendersByKey<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> ContendersByKey<K> {
    /// All contenders of `key`, the holder first.
    pub fn of(&self, key: &K) -> impl Iterator<Item = &Uid> {
        let contenders = self.0.get(key);
        contenders.into_iter().flat_map(Contenders::iter).map(|contender| &contender.uid)
    }

    /// The contender that holds `key`.
    pub fn holder(&self, key: &K) -> Option<&Uid> {
        Some(&self.0.get(key)?.first()?.uid)
    }

    /// The contender that holds `key`, with its place.
    pub fn first(&self, key: &K) -> Option<&Priority> {
        self.0.get(key)?.first()
    }

    /// True if this tenant contends for `key`; and true if it is notified of its holder.
    pub fn contends(&self, key: &K, created: i64, uid: &Uid) -> (bool, bool) {
        match self.0.get(key) {
            None => (false, false),
            Some(Contenders::One(one)) => (one.uid == *uid, true),
            Some(Contenders::Many(crowd)) => match crowd.find(created, uid) {
                None => (false, false),
                Some(priority) => (true, crowd.last_notified.as_ref().is_none_or(|last| priority <= *last)),
            },
        }
    }

    /// The present state of `key`, with which [`Self::notified`] compares a later one.
    pub fn state(&self, key: &K) -> Former {
        let last_notified = match self.0.get(key) {
            Some(Contenders::Many(crowd)) => crowd.last_notified.clone(),
            _ => None,
        };
        Former { holder: self.holder(key).cloned(), last_notified }
    }

    /// The contenders whose status says something else since the state was `former`: where the holder is another one, all
    /// that are notified; else those that are notified since then, or no longer are.
    pub fn notified(&self, key: &K, former: &Former) -> Vec<Uid> {
        let now = self.state(key);
        if now == *former {
            return Vec::new();
        }
        let mut notified: Vec<Uid> = former.holder.iter().cloned().collect();
        if now.holder != former.holder {
            notified.extend(self.of(key).take(NOTIFIED).cloned());
        }
        let ends = former.last_notified.iter().chain(&now.last_notified);
        if let (Some(Contenders::Many(crowd)), Some(low), Some(high)) =
            (self.0.get(key), ends.clone().min(), ends.max())
        {
            // A change moves a tenant, and at most two that win or lose its tenant id.
            notified
                .extend(crowd.all.range(low..=high).take(NOTIFIED).map(|contender| contender.uid.clone()));
        }
        notified
    }

    /// Adds a contender of `key`.
    pub fn add(&mut self, key: K, contender: Priority) {
        match self.0.entry(key) {
            Entry::Occupied(contenders) => contenders.into_mut().add(contender),
            Entry::Vacant(free) => drop(free.insert(Contenders::One(contender))),
        }
    }

    /// Removes a tenant that was created at this time from the contenders of `key`, if it is one of them.
    pub fn remove(&mut self, key: &K, created: i64, uid: &Uid) {
        if self.0.get_mut(key).is_some_and(|contenders| contenders.remove(created, uid) == Rest::None) {
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
    fn first(&self) -> Option<&Priority> {
        match self {
            Self::One(one) => Some(one),
            Self::Many(crowd) => crowd.all.first(),
        }
    }

    fn iter(&self) -> Box<dyn Iterator<Item = &Priority> + '_> {
        match self {
            Self::One(one) => Box::new(std::iter::once(one)),
            Self::Many(crowd) => Box::new(crowd.all.iter()),
        }
    }

    fn add(&mut self, contender: Priority) {
        if let Self::One(one) = self {
            let mut crowd = Box::new(Crowd::default());
            crowd.add(one.clone());
            *self = Self::Many(crowd);
        }
        if let Self::Many(crowd) = self {
            crowd.add(contender);
        }
    }

    fn remove(&mut self, created: i64, uid: &Uid) -> Rest {
        match self {
            Self::One(one) if one.uid == *uid => return Rest::None,
            Self::One(_) => {}
            Self::Many(crowd) => {
                crowd.remove(created, uid);
                if crowd.all.len() == 1
                    && let Some(one) = crowd.all.pop_first()
                {
                    *self = Self::One(one);
                }
            }
        }
        Rest::Some
    }
}

impl Crowd {
    /// A tenant's place. It contends with one entitlement at a time.
    fn find(&self, created: i64, uid: &Uid) -> Option<Priority> {
        let of = |entitlement| Priority { entitlement, created, uid: uid.clone() };
        Entitlement::ALL.map(of).into_iter().find(|priority| self.all.contains(priority))
    }

    fn add(&mut self, contender: Priority) {
        let precedes = self.last_notified.as_ref().is_some_and(|last| contender < *last);
        let is_new = self.all.insert(contender);
        match &self.last_notified {
            None if self.all.len() > NOTIFIED => {
                self.last_notified = self.all.iter().nth(NOTIFIED - 1).cloned();
            }
            Some(last) if is_new && precedes => {
                self.last_notified = self.all.range(..last).next_back().cloned();
            }
            _ => {}
        }
    }

    fn remove(&mut self, created: i64, uid: &Uid) {
        let Some(contender) = self.find(created, uid) else { return };
        self.all.remove(&contender);
        if self.all.len() <= NOTIFIED {
            self.last_notified = None;
        } else if let Some(last) = self.last_notified.as_ref().filter(|last| contender <= **last) {
            let after = self.all.range((Bound::Excluded(last), Bound::Unbounded)).next();
            self.last_notified = after.cloned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(entitlement: Entitlement, created: i64, uid: &str) -> Priority {
        Priority { entitlement, created, uid: Uid::from(uid) }
    }

    fn order(contenders: &ContendersByKey<&str>) -> Vec<String> {
        contenders.of(&"key").map(ToString::to_string).collect()
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
        contenders.remove(&"key", 1, &Uid::from("other"));
        contenders.remove(&"key", 1, &Uid::from("a"));
        assert_eq!(order(&contenders), ["b"]);
        contenders.remove(&"key", 2, &Uid::from("b"));
        assert!(contenders.0.is_empty());
        assert_eq!(contenders.holder(&"key"), None);
    }

    /// A thousand contenders of one key, in their order.
    fn crowd() -> ContendersByKey<&'static str> {
        let mut contenders = ContendersByKey::default();
        for created in 0..1000 {
            contenders.add("key", contender(Entitlement::Waiting, created, &format!("u{created:04}")));
        }
        contenders
    }

    fn notified(contenders: &ContendersByKey<&str>) -> Vec<i64> {
        let is_notified = |created: &i64| {
            contenders.contends(&"key", *created, &Uid::from(format!("u{created:04}"))) == (true, true)
        };
        (0..1000).filter(is_notified).collect()
    }

    #[test]
    fn only_the_first_of_a_thousand_are_notified_of_a_new_holder() {
        let mut contenders = crowd();
        assert_eq!(notified(&contenders), (0..64).collect::<Vec<_>>());
        let before = contenders.state(&"key");
        contenders.remove(&"key", 0, &Uid::from("u0000"));
        let affected: std::collections::BTreeSet<_> =
            contenders.notified(&"key", &before).into_iter().collect();
        assert_eq!(notified(&contenders), (1..=64).collect::<Vec<_>>());
        let expected = (0..=64).map(|created| Uid::from(format!("u{created:04}"))).collect();
        assert_eq!(affected, expected, "the former holder, the new one, and those that wait next");
    }

    #[test]
    fn a_change_among_those_that_wait_notifies_the_next_in_order() {
        let mut contenders = crowd();
        let before = contenders.state(&"key");
        contenders.remove(&"key", 500, &Uid::from("u0500"));
        assert!(contenders.notified(&"key", &before).is_empty());
        contenders.remove(&"key", 7, &Uid::from("u0007"));
        assert!(contenders.notified(&"key", &before).contains(&Uid::from("u0064")));
        let before = contenders.state(&"key");
        contenders.add("key", contender(Entitlement::Waiting, 7, "u0007"));
        assert!(
            contenders.notified(&"key", &before).contains(&Uid::from("u0064")),
            "it is notified no longer"
        );
        assert_eq!(notified(&contenders), (0..64).collect::<Vec<_>>());
        for created in (0..1000).rev() {
            contenders.remove(&"key", created, &Uid::from(format!("u{created:04}")));
        }
        assert!(contenders.0.is_empty());
    }
}
