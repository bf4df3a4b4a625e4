//! The identities of a Kubernetes object: [`Uid`] and [`ResourceName`].

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The uid of a resource: unlike a name, the API server never uses it again. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Uid(Arc<str>);

impl Uid {
    /// Wraps a uid's text.
    #[must_use]
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The uid's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Uid {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.as_str().to_owned()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The namespace and the name of a resource, `<namespace>/<name>`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name in the namespace.
    pub name: Arc<str>,
}

impl ResourceName {
    /// Makes the name `<namespace>/<name>`.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
