//! The two keys that the runtime reads on every call. The contract fixes their prefixes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::e164::{Did, trim};

/// A tenant's id: the value of `tenantmap:did:<E164>` and the end of `tenantcfg:<tenantId>`.
///
/// At least one character. The contract leaves its form open; a resource's `spec.tenantId` is narrower.
/// Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Arc<str>);

/// The error of an empty tenant id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must not be empty")]
pub struct TenantIdError;

impl TenantId {
    /// Takes the text unchanged: the publisher normalises no tenant id.
    pub fn parse(text: &str) -> Result<Self, TenantIdError> {
        if text.is_empty() { Err(TenantIdError) } else { Ok(Self(text.into())) }
    }

    /// Trims first, as the admin routes do.
    pub fn parse_trimmed(text: &str) -> Result<Self, TenantIdError> {
        Self::parse(trim(text))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for TenantId {
    type Error = TenantIdError;

    fn try_from(text: String) -> Result<Self, TenantIdError> {
        Self::parse(&text)
    }
}

impl From<TenantId> for String {
    fn from(tenant: TenantId) -> Self {
        tenant.as_str().to_owned()
    }
}

/// The prefix of every phone number's key; the rest is the number.
pub const DID_PREFIX: &str = "tenantmap:did:";
/// The prefix of every config's key; the rest is the tenant id.
pub const CONFIG_PREFIX: &str = "tenantcfg:";

/// Returns the key that maps a phone number to its tenant id.
#[must_use]
pub fn did_key(did: &Did) -> String {
    format!("{DID_PREFIX}{did}")
}

/// Returns the key of a tenant's config.
#[must_use]
pub fn config_key(tenant: &TenantId) -> String {
    format!("{CONFIG_PREFIX}{tenant}")
}
