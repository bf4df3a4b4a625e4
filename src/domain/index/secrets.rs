//! The versions of Secrets, and the tenants that refer to them.

use std::collections::{BTreeSet, HashMap};

use crate::domain::secret::SecretVersion;
use crate::domain::{ResourceName, Uid};

/// The versions of Secrets, and the tenants that refer to them.
#[derive(Clone, Debug, Default)]
pub struct SecretIndex {
    secrets: HashMap<ResourceName, SecretEntry>,
    references: HashMap<Uid, ResourceName>,
}

/// A Secret that exists, or that a tenant refers to.
#[derive(Clone, Debug, Default)]
struct SecretEntry {
    /// None: it does not exist.
    version: Option<SecretVersion>,
    /// The list in or after which it was seen last.
    list: u32,
    users: Users,
}

/// The tenants that refer to a Secret. Nearly always one.
#[derive(Clone, Debug, Default)]
enum Users {
    #[default]
    None,
    One(Uid),
    Many(BTreeSet<Uid>),
}

impl Users {
    fn add(&mut self, uid: Uid) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(uid),
            Self::One(other) => Self::Many(BTreeSet::from([other, uid])),
            Self::Many(mut all) => {
                all.insert(uid);
                Self::Many(all)
            }
        };
    }

    fn remove(&mut self, uid: &Uid) {
        match self {
            Self::One(one) if one == uid => *self = Self::None,
            Self::Many(all) => {
                all.remove(uid);
                if all.is_empty() {
                    *self = Self::None;
                }
            }
            Self::None | Self::One(_) => {}
        }
    }

    fn all(&self) -> Vec<Uid> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one.clone()],
            Self::Many(all) => all.iter().cloned().collect(),
        }
    }
}

impl SecretIndex {
    /// The Secret's version, if it exists.
    #[must_use]
    pub fn version(&self, secret: &ResourceName) -> Option<&SecretVersion> {
        self.secrets.get(secret)?.version.as_ref()
    }

    /// The version of the Secret that a tenant refers to, if both exist.
    #[must_use]
    pub fn version_for(&self, uid: &Uid) -> Option<&SecretVersion> {
        self.version(self.references.get(uid)?)
    }

    /// The Secret that a tenant refers to, even if it does not exist.
    #[must_use]
    pub fn secret_of(&self, uid: &Uid) -> Option<&ResourceName> {
        self.references.get(uid)
    }

    /// The number of Secrets in each namespace.
    #[must_use]
    pub fn count_by_namespace(&self) -> HashMap<&str, usize> {
        let mut counts = HashMap::new();
        for (secret, _) in self.secrets.iter().filter(|(_, known)| known.version.is_some()) {
            *counts.entry(&*secret.namespace).or_default() += 1;
        }
        counts
    }

    /// The Secrets that were last seen in another list than this one.
    #[must_use]
    pub fn not_in_list(&self, list: u32) -> Vec<ResourceName> {
        let unlisted = |known: &SecretEntry| known.version.is_some() && known.list != list;
        self.secrets.iter().filter(|(_, known)| unlisted(known)).map(|(secret, _)| secret.clone()).collect()
    }

    /// Records a Secret's version and list, or that it is gone. Returns the tenants that refer to it if that is news.
    pub fn apply(&mut self, secret: &ResourceName, seen: Option<(SecretVersion, u32)>) -> Vec<Uid> {
        let (version, list) = seen.unzip();
        let Some(known) = self.secrets.get_mut(secret) else {
            if version.is_some() {
                let known = SecretEntry { version, list: list.unwrap_or_default(), users: Users::None };
                self.secrets.insert(secret.clone(), known);
            }
            return Vec::new();
        };
        known.list = list.unwrap_or(known.list);
        if known.version == version {
            return Vec::new();
        }
        known.version = version;
        let users = known.users.all();
        self.remove_unused(secret);
        users
    }

    /// Sets the Secret that a tenant refers to; none: it refers to none any more.
    pub fn set_reference(&mut self, uid: &Uid, secret: Option<ResourceName>) {
        if self.references.get(uid) == secret.as_ref() {
            return;
        }
        if let Some(before) = self.references.remove(uid)
            && let Some(known) = self.secrets.get_mut(&before)
        {
            known.users.remove(uid);
            self.remove_unused(&before);
        }
        if let Some(secret) = secret {
            // The name is held once.
            let secret = self.secrets.get_key_value(&secret).map_or(secret, |(known, _)| known.clone());
            self.secrets.entry(secret.clone()).or_default().users.add(uid.clone());
            self.references.insert(uid.clone(), secret);
        }
    }

    fn remove_unused(&mut self, secret: &ResourceName) {
        let unused = |known: &SecretEntry| known.version.is_none() && matches!(known.users, Users::None);
        if self.secrets.get(secret).is_some_and(unused) {
            self.secrets.remove(secret);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> SecretVersion {
        let (uid, version) = text.split_once('/').unwrap();
        SecretVersion::new(Some(uid), Some(version))
    }

    #[test]
    fn only_a_new_secret_version_enqueues_its_users() {
        let mut index = SecretIndex::default();
        let (secret, uid) = (ResourceName::new("ns", "hook"), Uid::from("u"));
        index.set_reference(&uid, Some(secret.clone()));
        let seen = |text: &str, list| Some((version(text), list));
        assert_eq!(index.apply(&secret, seen("a/1", 1)), [Uid::from("u")]);
        assert!(index.apply(&secret, seen("a/1", 1)).is_empty());
        assert_eq!(index.apply(&secret, None), [Uid::from("u")]);
        index.set_reference(&uid, None);
        assert!(index.apply(&secret, seen("a/2", 1)).is_empty());
    }

    #[test]
    fn a_deleted_secret_without_users_is_forgotten() {
        let mut index = SecretIndex::default();
        let hook = ResourceName::new("ns", "hook");
        let users: Vec<Uid> = ["a", "b", "c"].into_iter().map(Uid::from).collect();
        for uid in &users {
            index.set_reference(uid, Some(hook.clone()));
        }
        assert_eq!(index.apply(&hook, Some((version("s/1"), 1))), users);
        for uid in &users {
            index.set_reference(uid, None);
        }
        assert_eq!(index.version(&hook), Some(&version("s/1")));
        assert!(index.apply(&hook, None).is_empty());
        assert!(index.secrets.is_empty() && index.references.is_empty());
    }

    #[test]
    fn a_secret_that_a_list_does_not_show_is_gone() {
        let mut index = SecretIndex::default();
        let [stays, goes, never] = ["stays", "goes", "never"].map(|name| ResourceName::new("ns", name));
        index.set_reference(&Uid::from("u"), Some(never));
        for secret in [&stays, &goes] {
            index.apply(secret, Some((version("s/1"), 1)));
        }
        index.apply(&stays, Some((version("s/1"), 2)));
        assert_eq!(index.not_in_list(2), [goes]);
    }
}
