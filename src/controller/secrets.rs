//! Webhook secrets: which version a Secret has is known from a watch of metadata; its value is read when a publish
//! needs it and lives no longer than that.

use std::collections::{BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use secrecy::SecretString;

use crate::domain::verdict::{SecretFault, SecretFaultKind};
use crate::domain::{ResourceName, Uid};

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
    versions: HashMap<ResourceName, Version>,
    users: HashMap<ResourceName, BTreeSet<Uid>>,
    uses: HashMap<Uid, ResourceName>,
}

impl SecretIndex {
    /// The Secret's version, if it exists.
    #[must_use]
    pub fn version(&self, secret: &ResourceName) -> Option<&Version> {
        self.versions.get(secret)
    }

    /// The version of the Secret that a resource refers to, if both exist.
    #[must_use]
    pub fn version_for(&self, uid: &Uid) -> Option<&Version> {
        self.versions.get(self.uses.get(uid)?)
    }

    /// A Secret was seen, changed or found gone. Says who refers to it, if anything is new.
    pub fn see(&mut self, secret: &ResourceName, version: Option<Version>) -> Vec<Uid> {
        if self.versions.get(secret) == version.as_ref() {
            return Vec::new();
        }
        match version {
            Some(version) => self.versions.insert(secret.clone(), version),
            None => self.versions.remove(secret),
        };
        self.users.get(secret).into_iter().flatten().cloned().collect()
    }

    /// A resource refers to this Secret from now on, or to none.
    pub fn refer(&mut self, uid: &Uid, secret: Option<ResourceName>) {
        if self.uses.get(uid) == secret.as_ref() {
            return;
        }
        if let Some(before) = self.uses.remove(uid)
            && let Some(users) = self.users.get_mut(&before)
        {
            users.remove(uid);
            if users.is_empty() {
                self.users.remove(&before);
            }
        }
        if let Some(secret) = secret {
            self.users.entry(secret.clone()).or_default().insert(uid.clone());
            self.uses.insert(uid.clone(), secret);
        }
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

/// Reads a webhook secret. The outer error may pass by itself (no answer, an overloaded API server); the inner one
/// is the Secret's own and is told in the status.
pub async fn read(client: &Client, wanted: &SecretKey) -> Result<Result<Resolved, SecretFault>, kube::Error> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &wanted.secret.namespace);
    Ok(match secrets.get_opt(&wanted.secret.name).await {
        Ok(Some(secret)) => extract(secret, wanted),
        Ok(None) => Err(fault(wanted, SecretFaultKind::NotFound)),
        // A status that refuses stays so until somebody changes a Role.
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
            Err(fault(wanted, SecretFaultKind::Unreadable(status.reason.clone())))
        }
        Err(error) => return Err(error),
    })
}

fn extract(secret: Secret, wanted: &SecretKey) -> Result<Resolved, SecretFault> {
    let version = version(secret.metadata.uid.as_deref(), secret.metadata.resource_version.as_deref());
    let bytes = secret
        .data
        .and_then(|mut data| data.remove(&wanted.key))
        .ok_or_else(|| fault(wanted, SecretFaultKind::KeyNotFound))?;
    let mut value = String::from_utf8(bytes.0).map_err(|_| fault(wanted, SecretFaultKind::NotUtf8))?;
    // `kubectl create secret --from-file` takes an editor's last newline along.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    if value.is_empty() {
        return Err(fault(wanted, SecretFaultKind::Empty));
    }
    Ok(Resolved { value: value.into(), version })
}

/// What is wrong with `wanted`.
#[must_use]
pub fn fault(wanted: &SecretKey, what: SecretFaultKind) -> SecretFault {
    SecretFault { secret: wanted.secret.clone(), key: wanted.key.clone(), what }
}

/// How a Secret's version is written.
#[must_use]
pub fn version(uid: Option<&str>, resource_version: Option<&str>) -> Version {
    format!("{}/{}", uid.unwrap_or_default(), resource_version.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;
    use secrecy::ExposeSecret;

    use super::*;

    fn resolve(value: &[u8]) -> Result<String, SecretFaultKind> {
        let wanted = SecretKey { secret: ResourceName::new("ns", "hook"), key: "webhookSecret".to_owned() };
        let data = [("webhookSecret".to_owned(), ByteString(value.to_vec()))].into();
        extract(Secret { data: Some(data), ..Secret::default() }, &wanted)
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
        assert_eq!(index.see(&secret, Some("a/1".to_owned())), [Uid::from("u")]);
        assert!(index.see(&secret, Some("a/1".to_owned())).is_empty());
        assert_eq!(index.see(&secret, None), [Uid::from("u")]);
        index.refer(&uid, None);
        assert!(index.see(&secret, Some("a/2".to_owned())).is_empty());
    }
}
