//! The webhook secret of a tenant: its name, its version, and the rules for its value.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;

use super::ResourceName;
use super::assessment::{SecretFault, SecretFaultKind};
use crate::api::RuntimeTenantSpec;
use crate::contract::trim;

/// The Secret and the key in it to which a resource refers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretKey {
    /// The Secret, in the namespace of the resource.
    pub secret: ResourceName,
    /// The key.
    pub key: String,
}

impl SecretKey {
    /// The key to which the spec of this resource refers.
    #[must_use]
    pub fn of(resource: &ResourceName, spec: &RuntimeTenantSpec) -> Self {
        let reference = &spec.webhook_secret_ref;
        let secret =
            ResourceName { namespace: resource.namespace.clone(), name: reference.name.as_str().into() };
        Self { secret, key: reference.key.clone() }
    }

    /// Says that this key has a fault.
    #[must_use]
    pub fn fault(&self, what: SecretFaultKind) -> SecretFault {
        SecretFault { secret: self.secret.clone(), key: self.key.clone(), what }
    }
}

/// A version of a Secret, `<uid>/<resourceVersion>`. Another version means another value, or might. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretVersion(Arc<str>);

impl SecretVersion {
    /// Makes a version of the Secret's metadata. What is missing, as no API server leaves it, counts as empty.
    #[must_use]
    pub fn new(uid: Option<&str>, resource_version: Option<&str>) -> Self {
        let text = [uid.unwrap_or_default(), "/", resource_version.unwrap_or_default()].concat();
        Self(text.into())
    }

    /// The version's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The version as an ownership record states it, which depends on whether the value is published or only a reference
    /// to the Secret.
    #[must_use]
    pub fn recorded(&self, value_is_published: bool) -> String {
        if value_is_published { self.to_string() } else { format!("reference:{self}") }
    }

    /// The Secret's resourceVersion; `None` if it is empty.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        let (_, resource_version) = self.0.rsplit_once('/')?;
        Some(resource_version).filter(|text| !text.is_empty())
    }
}

impl fmt::Display for SecretVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Takes the webhook secret from the bytes under a Secret's key, which are `None` if the Secret does not have the key.
///
/// One newline at the end does not belong to the value: `kubectl create secret --from-file` keeps the one that editors
/// append. A value of white space alone counts as empty, as it does for the runtime.
pub fn extract(bytes: Option<&[u8]>) -> Result<SecretString, SecretFaultKind> {
    let bytes = bytes.ok_or(SecretFaultKind::KeyNotFound)?;
    let text = std::str::from_utf8(bytes).map_err(|_| SecretFaultKind::NotUtf8)?;
    let value = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if trim(value).is_empty() { Err(SecretFaultKind::Empty) } else { Ok(value.into()) }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn value(bytes: &[u8]) -> Result<String, SecretFaultKind> {
        extract(Some(bytes)).map(|value| value.expose_secret().to_owned())
    }

    #[test]
    fn one_newline_at_the_end_is_dropped() {
        assert_eq!(value(b"whsec\n").unwrap(), "whsec");
        assert_eq!(value(b"whsec\r\n").unwrap(), "whsec");
        assert_eq!(value(b"whsec\n\n").unwrap(), "whsec\n");
        assert_eq!(value(b" whsec \r").unwrap(), " whsec \r");
    }

    #[test]
    fn each_unusable_value_has_its_own_fault() {
        assert_eq!(extract(None).err(), Some(SecretFaultKind::KeyNotFound));
        assert_eq!(value(b""), Err(SecretFaultKind::Empty));
        for blank in ["\n", " ", "\r", "\n\n", "\t \r\n", "\u{feff}", "\u{a0}\u{3000}\n"] {
            assert_eq!(value(blank.as_bytes()), Err(SecretFaultKind::Empty), "{blank:?}");
        }
        assert_eq!(value(&[0xff, 0xfe]), Err(SecretFaultKind::NotUtf8));
    }

    #[test]
    fn a_version_differs_with_the_uid_and_the_resource_version() {
        let version = SecretVersion::new(Some("a"), Some("7"));
        assert_eq!(version.as_str(), "a/7");
        assert_eq!(version.recorded(true), "a/7");
        assert_eq!(version.recorded(false), "reference:a/7");
        assert_eq!(version.resource_version(), Some("7"));
        assert_ne!(version, SecretVersion::new(Some("a"), Some("8")));
        assert_ne!(version, SecretVersion::new(Some("b"), Some("7")));
        assert_eq!(SecretVersion::new(None, None).resource_version(), None);
    }
}
