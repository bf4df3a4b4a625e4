//! Webhook secrets: which version a Secret has is known from a watch of metadata; its value is read when a publish
//! needs it and lives no longer than that.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::GetParams;
use kube::{Api, Client, Resource};
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use crate::domain::assessment::{SecretFault, SecretFaultKind};
use crate::domain::{ResourceName, Uid};

/// How long the API server may take to answer from its own memory; it waits for 3 s until it has come so far.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);

/// Which Secret, and which key of it, a resource refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The Secret, in the resource's own namespace.
    pub secret: ResourceName,
    /// The key.
    pub key: String,
}

/// A Secret's uid and resourceVersion, as `<uid>/<resourceVersion>`: another one means another value, or might.
pub type Version = String;

/// Which Secrets there are, in which version, and who refers to them.
#[derive(Debug, Default)]
pub struct SecretIndex {
    secrets: HashMap<ResourceName, SecretEntry>,
    uses: HashMap<Uid, ResourceName>,
}

/// What is known of a Secret that exists, or that somebody refers to.
#[derive(Debug, Default)]
struct SecretEntry {
    /// None: it does not exist.
    version: Option<Version>,
    /// The round of lists in or after which it was seen last.
    round: u32,
    users: Users,
}

/// Those who refer to a Secret. Nearly always one.
#[derive(Debug, Default)]
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
    pub fn version(&self, secret: &ResourceName) -> Option<&Version> {
        self.secrets.get(secret)?.version.as_ref()
    }

    /// The version of the Secret that a resource refers to, if both exist.
    #[must_use]
    pub fn version_for(&self, uid: &Uid) -> Option<&Version> {
        self.version(self.uses.get(uid)?)
    }

    /// The Secret that a resource refers to, whether it exists or not.
    #[must_use]
    pub fn used_by(&self, uid: &Uid) -> Option<&ResourceName> {
        self.uses.get(uid)
    }

    /// How many Secrets there are in each namespace.
    #[must_use]
    pub fn count_by_namespace(&self) -> HashMap<&str, usize> {
        let mut counts = HashMap::new();
        for (secret, _) in self.secrets.iter().filter(|(_, known)| known.version.is_some()) {
            *counts.entry(&*secret.namespace).or_default() += 1;
        }
        counts
    }

    /// The Secrets that were last seen before the list of this round.
    #[must_use]
    pub fn not_seen_in(&self, round: u32) -> Vec<ResourceName> {
        let before = |known: &SecretEntry| known.version.is_some() && known.round != round;
        self.secrets.iter().filter(|(_, known)| before(known)).map(|(secret, _)| secret.clone()).collect()
    }

    /// A Secret was seen, with its version and the round of lists, or found gone. Says who refers to it, if anything is
    /// new.
    pub fn see(&mut self, secret: &ResourceName, seen: Option<(Version, u32)>) -> Vec<Uid> {
        let (version, round) = seen.unzip();
        let Some(known) = self.secrets.get_mut(secret) else {
            if version.is_some() {
                let known = SecretEntry { version, round: round.unwrap_or_default(), users: Users::None };
                self.secrets.insert(secret.clone(), known);
            }
            return Vec::new();
        };
        known.round = round.unwrap_or(known.round);
        if known.version == version {
            return Vec::new();
        }
        known.version = version;
        let users = known.users.all();
        self.drop_unknown(secret);
        users
    }

    /// A resource refers to this Secret from now on, or to none.
    pub fn refer(&mut self, uid: &Uid, secret: Option<ResourceName>) {
        if self.uses.get(uid) == secret.as_ref() {
            return;
        }
        if let Some(before) = self.uses.remove(uid)
            && let Some(known) = self.secrets.get_mut(&before)
        {
            known.users.remove(uid);
            self.drop_unknown(&before);
        }
        if let Some(secret) = secret {
            // Its name is held once.
            let secret = self.secrets.get_key_value(&secret).map_or(secret, |(known, _)| known.clone());
            self.secrets.entry(secret.clone()).or_default().users.add(uid.clone());
            self.uses.insert(uid.clone(), secret);
        }
    }

    fn drop_unknown(&mut self, secret: &ResourceName) {
        let unknown = |known: &SecretEntry| known.version.is_none() && matches!(known.users, Users::None);
        if self.secrets.get(secret).is_some_and(unknown) {
            self.secrets.remove(secret);
        }
    }
}

/// A Secret with its values, as it was read. Never printed.
#[derive(Deserialize)]
pub struct SecretValue {
    metadata: SecretMetadata,
    data: Option<BTreeMap<String, ByteString>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretMetadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl SecretValue {
    /// Its name; empty only for one that no API server sent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// Whether it is this version of a Secret of this name.
    #[must_use]
    pub fn is(&self, name: &str, version: &Version) -> bool {
        self.name() == name && self.version() == *version
    }

    fn version(&self) -> Version {
        version(self.metadata.uid.as_deref(), self.metadata.resource_version.as_deref())
    }

    /// The value that is wanted, or what is wrong with it.
    pub fn resolve(&self, wanted: &SecretKey) -> Result<Resolved, SecretFault> {
        extract(self.data.as_ref().and_then(|data| data.get(&wanted.key)), self.version(), wanted)
    }
}

impl From<Secret> for SecretValue {
    fn from(secret: Secret) -> Self {
        let meta = secret.metadata;
        let metadata = SecretMetadata {
            name: meta.name,
            namespace: meta.namespace,
            uid: meta.uid,
            resource_version: meta.resource_version,
        };
        Self { metadata, data: secret.data }
    }
}

/// A webhook secret that was read.
#[derive(Debug)]
pub struct Resolved {
    /// The value.
    pub value: SecretString,
    /// The version in which it was read.
    pub version: Version,
}

/// Reads a webhook secret, of which the watch has shown this version. The outer error may pass by itself (no answer, an
/// overloaded API server); the inner one is the Secret's own and is told in the status.
pub async fn read(
    client: &Client,
    wanted: &SecretKey,
    shown: &Version,
) -> Result<Result<Resolved, SecretFault>, kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &wanted.secret.namespace);
    let name = &wanted.secret.name;
    // The API server's own memory holds what the watch has shown; of what is newer the watch is about to tell. One that
    // has not come so far may be another one, or stand on a store that was restored from before.
    let shown = timeout(SHOWN_WITHIN, secrets.get_with(name, &not_older_than(shown))).await.ok();
    let read = match shown.filter(|read| !is_behind(read)) {
        Some(read) => read,
        None => secrets.get(name).await,
    };
    Ok(match read {
        Ok(secret) => SecretValue::from(secret).resolve(wanted),
        Err(kube::Error::Api(status)) if status.code == 404 => Err(fault(wanted, SecretFaultKind::NotFound)),
        // A status that refuses stays so until somebody changes a Role.
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            Err(fault(wanted, SecretFaultKind::Unreadable(status.reason.clone())))
        }
        Err(error) => return Err(error),
    })
}

/// Whether the API server has not come so far as it was asked to be.
fn is_behind(read: &kube::Result<Secret>) -> bool {
    matches!(read, Err(kube::Error::Api(status)) if matches!(status.code, 400 | 410 | 504))
}

/// What the watch has shown, or later.
fn not_older_than(shown: &Version) -> GetParams {
    shown.rsplit_once('/').map_or_else(GetParams::default, |(_, version)| GetParams::at(version))
}

fn extract(
    bytes: Option<&ByteString>,
    version: Version,
    wanted: &SecretKey,
) -> Result<Resolved, SecretFault> {
    let bytes = bytes.ok_or_else(|| fault(wanted, SecretFaultKind::KeyNotFound))?;
    let value = std::str::from_utf8(&bytes.0).map_err(|_| fault(wanted, SecretFaultKind::NotUtf8))?;
    // `kubectl create secret --from-file` takes an editor's last newline along.
    let value = value.strip_suffix('\n').map_or(value, |value| value.strip_suffix('\r').unwrap_or(value));
    if value.is_empty() {
        return Err(fault(wanted, SecretFaultKind::Empty));
    }
    Ok(Resolved { value: value.into(), version })
}

/// What a watch says of a Secret: which one it is, and in which version. Asked for without its values.
#[derive(Clone, Debug, Deserialize)]
pub struct SecretMeta {
    #[serde(deserialize_with = "name_and_version")]
    metadata: ObjectMeta,
}

/// All the rest of the metadata, `managedFields` above all, is not decoded.
fn name_and_version<'de, D: Deserializer<'de>>(json: D) -> Result<ObjectMeta, D::Error> {
    let SecretMetadata { name, namespace, uid, resource_version } = SecretMetadata::deserialize(json)?;
    Ok(ObjectMeta { name, namespace, uid, resource_version, ..ObjectMeta::default() })
}

impl Resource for SecretMeta {
    type DynamicType = ();
    type Scope = <Secret as Resource>::Scope;

    fn metadata_api() -> bool {
        true
    }

    fn kind((): &()) -> Cow<'_, str> {
        Secret::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        Secret::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        Secret::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        Secret::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// What is wrong with `wanted`.
#[must_use]
pub fn fault(wanted: &SecretKey, what: SecretFaultKind) -> SecretFault {
    SecretFault { secret: wanted.secret.clone(), key: wanted.key.clone(), what }
}

/// How a Secret's version is written.
#[must_use]
pub fn version(uid: Option<&str>, resource_version: Option<&str>) -> Version {
    [uid.unwrap_or_default(), "/", resource_version.unwrap_or_default()].concat()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn resolve(value: &[u8]) -> Result<String, SecretFaultKind> {
        let wanted = SecretKey { secret: ResourceName::new("ns", "hook"), key: "webhookSecret".to_owned() };
        extract(Some(&ByteString(value.to_vec())), Version::new(), &wanted)
            .map(|resolved| resolved.value.expose_secret().to_owned())
            .map_err(|fault| fault.what)
    }

    #[test]
    fn one_newline_at_the_end_is_dropped() {
        assert_eq!(resolve(b"whsec\n").unwrap(), "whsec");
        assert_eq!(resolve(b"whsec\r\n").unwrap(), "whsec");
        assert_eq!(resolve(b"whsec\n\n").unwrap(), "whsec\n");
        assert_eq!(resolve(b" whsec \r").unwrap(), " whsec \r");
    }

    #[test]
    fn what_is_no_secret_is_told_apart() {
        assert_eq!(resolve(b""), Err(SecretFaultKind::Empty));
        assert_eq!(resolve(b"\n"), Err(SecretFaultKind::Empty));
        assert_eq!(resolve(&[0xff, 0xfe]), Err(SecretFaultKind::NotUtf8));
    }

    #[test]
    fn only_a_new_version_concerns_those_who_refer_to_it() {
        let mut index = SecretIndex::default();
        let (secret, uid) = (ResourceName::new("ns", "hook"), Uid::from("u"));
        index.refer(&uid, Some(secret.clone()));
        let version = |version: &str, round| Some((version.to_owned(), round));
        assert_eq!(index.see(&secret, version("a/1", 1)), [Uid::from("u")]);
        assert!(index.see(&secret, version("a/1", 1)).is_empty());
        assert_eq!(index.see(&secret, None), [Uid::from("u")]);
        index.refer(&uid, None);
        assert!(index.see(&secret, version("a/2", 1)).is_empty());
    }

    #[test]
    fn nothing_is_kept_of_a_secret_that_is_gone_and_that_nobody_refers_to() {
        let mut index = SecretIndex::default();
        let hook = ResourceName::new("ns", "hook");
        let users: Vec<Uid> = ["a", "b", "c"].into_iter().map(Uid::from).collect();
        for uid in &users {
            index.refer(uid, Some(hook.clone()));
        }
        assert_eq!(index.see(&hook, Some(("s/1".to_owned(), 1))), users);
        for uid in &users {
            index.refer(uid, None);
        }
        assert_eq!(index.version(&hook).map(String::as_str), Some("s/1"));
        assert!(index.see(&hook, None).is_empty());
        assert!(index.secrets.is_empty() && index.uses.is_empty());
    }

    #[test]
    fn a_list_that_does_not_show_a_secret_finds_it_gone() {
        let mut index = SecretIndex::default();
        let [stays, goes, never] = ["stays", "goes", "never"].map(|name| ResourceName::new("ns", name));
        index.refer(&Uid::from("u"), Some(never));
        for secret in [&stays, &goes] {
            index.see(secret, Some(("s/1".to_owned(), 1)));
        }
        index.see(&stays, Some(("s/1".to_owned(), 2)));
        assert_eq!(index.not_seen_in(2), [goes]);
    }
}
