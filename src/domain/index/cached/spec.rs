//! The spec of a cached resource: its JSON where it is small, else what is needed to know it again when it is read.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::json;
use serde_json::value::RawValue;

use crate::contract::TenantId;

/// The maximum length, in bytes, of a spec that is kept in memory. A longer one is fetched for each reconcile; nearly every
/// real one is shorter.
pub const MAX_HELD_SPEC: usize = 32 << 10;

/// A spec.
#[derive(Clone, Debug)]
pub enum CachedSpec {
    /// There is none.
    Missing,
    /// Its JSON, undecoded.
    Held(Box<RawValue>),
    /// Not in memory; fetched for each reconcile.
    Unheld {
        /// The length of its JSON.
        bytes: usize,
        /// A hash of its JSON.
        hash: u64,
        /// JSON with its tenant id alone.
        stub: Box<str>,
    },
}

impl From<Option<Box<RawValue>>> for CachedSpec {
    fn from(spec: Option<Box<RawValue>>) -> Self {
        spec.map_or(Self::Missing, Self::Held)
    }
}

impl CachedSpec {
    /// The JSON that is held; of a spec that is not, its tenant id alone; `null` where there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Missing => "null",
            Self::Held(json) => json.get(),
            Self::Unheld { stub, .. } => stub,
        }
    }

    /// The length of its JSON, held or not.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Missing => 0,
            Self::Held(json) => json.get().len(),
            Self::Unheld { bytes, .. } => *bytes,
        }
    }

    /// True for a spec that must be read.
    #[must_use]
    pub fn is_unheld(&self) -> bool {
        matches!(self, Self::Unheld { .. })
    }

    /// The length of the JSON that is held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        if self.is_unheld() { 0 } else { self.bytes() }
    }

    /// True when both are the same JSON, as far as what is held of them says.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Unheld { .. }, _) | (_, Self::Unheld { .. }) => self.identity() == other.identity(),
            _ => self.text() == other.text(),
        }
    }

    /// Drops the JSON. `tenant` is the tenant id in it, if it is one.
    pub fn release(&mut self, tenant: Option<&TenantId>) {
        if let Self::Held(_) = self {
            let (bytes, hash) = self.identity();
            let stub = tenant.map_or_else(|| json!({}), |tenant| json!({ "tenantId": tenant.as_str() }));
            *self = Self::Unheld { bytes, hash, stub: stub.to_string().into() };
        }
    }

    fn identity(&self) -> (usize, u64) {
        let hash = if let Self::Unheld { hash, .. } = self {
            *hash
        } else {
            let mut hasher = DefaultHasher::new();
            self.text().hash(&mut hasher);
            hasher.finish()
        };
        (self.bytes(), hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_released_spec_is_known_again() {
        let spec = |text: &str| CachedSpec::from(Some(RawValue::from_string(text.to_owned()).unwrap()));
        let (json, other) = (r#"{"tenantId":"acme","dids":[]}"#, r#"{"tenantId":"acme","dids":[ ]}"#);
        let mut released = spec(json);
        released.release(TenantId::parse("acme").ok().as_ref());
        assert!(
            released.is_same(&spec(json)) && spec(json).is_same(&released) && released.is_same(&released)
        );
        assert!(!released.is_same(&spec(other)) && !released.is_same(&CachedSpec::Missing));
        assert_eq!(released.text(), r#"{"tenantId":"acme"}"#);
        assert_eq!((released.bytes(), released.held_bytes()), (json.len(), 0));
        assert!(spec(json).held_bytes() > 0 && CachedSpec::Missing.held_bytes() == 0);
    }
}
