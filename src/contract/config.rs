//! A tenant's config: a JSON document that the runtime accepts.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::json::{self, MAX_DEPTH, NotJson};
use super::rule::Check;
use super::schema::{SECRET, TENANT, WEBHOOK_SECRET, WEBHOOK_SECRET_REF};
use super::violation::{InvalidConfig, Violation};
use super::{Did, TenantId};

/// What `tenantcfg:<tenantId>` holds (contract v1): a JSON object in which every rule of the contract holds.
///
/// Order of members, numbers and members that the contract does not know are kept as they were given, at every level.
/// There is no way in but [`Self::parse`] and [`Self::from_document`], and no way to change one.
///
/// It may hold the webhook secret: `Debug` shows only whose config it is, and what leaves it says in its name or
/// its type whether the secret is in it.
#[derive(Clone, PartialEq)]
pub struct RuntimeTenantConfig {
    tenant_id: TenantId,
    dids: Vec<Did>,
    document: Map<String, Value>,
}

/// Why a text is no tenant's config.
#[derive(Debug, thiserror::Error)]
pub enum ParseConfigError {
    /// It can't be read at all.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// It is JSON in which the contract does not hold.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

impl RuntimeTenantConfig {
    /// Reads JSON text (UTF-8; `&[u8]` or `&str`) of any origin.
    ///
    /// Of two members with one name the last one counts, as in JavaScript. Faults are those of the runtime: all
    /// numbers are doubles there, so `10.0` is an integer; lengths are counted in UTF-16 units; `null` is not "absent".
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseConfigError> {
        if let Value::Object(document) = json::read(text.as_ref())? {
            return Ok(Self::from_document(document)?);
        }
        let violation = Violation { path: String::new(), rule: "must be an object".to_owned() };
        Err(InvalidConfig { violations: vec![violation], omitted: 0 }.into())
    }

    /// Checks a document that is already in memory, and says everything that is wrong with it at once.
    ///
    /// Numbers in `dids` are taken as they stand: one with white space in it is a violation.
    pub fn from_document(document: Map<String, Value>) -> Result<Self, InvalidConfig> {
        let mut check = Check::default();
        check.members(&document, TENANT);
        if !document.contains_key(WEBHOOK_SECRET_REF) && !document.contains_key(WEBHOOK_SECRET) {
            check.violation_at(WEBHOOK_SECRET_REF, format!("must be given, or {WEBHOOK_SECRET} must be"));
        }
        for (name, value) in &document {
            if json::is_deeper_than(MAX_DEPTH - 1, value) {
                check.violation_at(name, format!("must nest at most {} levels deep", MAX_DEPTH - 1));
            }
        }

        let tenant_id = document.get("tenantId").and_then(Value::as_str).map(TenantId::parse);
        let dids = document.get("dids").and_then(Value::as_array).into_iter().flatten();
        let dids =
            dids.filter_map(Value::as_str).filter_map(|number| Did::parse_exact(number).ok()).collect();
        let invalid = check.finish();
        match tenant_id {
            Some(Ok(tenant_id)) if invalid.violations.is_empty() => Ok(Self { tenant_id, dids, document }),
            _ => Err(invalid),
        }
    }

    /// The same config with this webhook secret, beside the reference to it. The error is the secret's alone.
    pub fn with_secret(&self, secret: &SecretString) -> Result<Self, InvalidConfig> {
        let Self { tenant_id, dids, document } = self.clone();
        let mut document = document;
        document.shift_remove(WEBHOOK_SECRET);
        let place = document.keys().position(|name| name == WEBHOOK_SECRET_REF);
        let place = place.map_or(document.len(), |place| place + 1);
        document.shift_insert(place, WEBHOOK_SECRET.to_owned(), secret.expose_secret().into());
        let mut check = Check::default();
        check.members(&document, SECRET);
        let invalid = check.finish();
        if invalid.violations.is_empty() { Ok(Self { tenant_id, dids, document }) } else { Err(invalid) }
    }

    /// Whose config it is.
    #[must_use]
    pub fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    /// The tenant's numbers, in the document's order: at least one. The contract lets a number stand twice.
    #[must_use]
    pub fn dids(&self) -> &[Did] {
        &self.dids
    }

    /// The document as it was given. **May hold the secret**, in the clear: for comparing and for writing to Redis,
    /// never for showing.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The document without `webhookSecret`: what may be shown.
    #[must_use]
    pub fn without_secret(&self) -> Map<String, Value> {
        let mut document = self.document.clone();
        // `remove` would move the last member into the gap.
        document.shift_remove(WEBHOOK_SECRET);
        document
    }

    /// The bytes to publish: compact JSON, members in the document's order. The same document always gives the same
    /// bytes, and [`Self::parse`] reads them as the same config.
    #[must_use]
    pub fn to_json(&self) -> SecretString {
        self.write(|_| true).into()
    }

    /// SHA-256, in lower-case hexadecimal, of what [`Self::to_json`] gives for the document without `webhookSecret`.
    ///
    /// `redis-cli --raw get tenantcfg:acme | jq -cj 'del(.webhookSecret)' | sha256sum` says the same (where every
    /// number is written as jq would).
    #[must_use]
    pub fn hash_without_secret(&self) -> String {
        format!("{:x}", Sha256::digest(self.write(|name| name != WEBHOOK_SECRET)))
    }

    fn write(&self, with: impl Fn(&str) -> bool) -> String {
        let mut json = Vec::with_capacity(2048);
        let members = self.document.iter().filter(|(name, _)| with(name));
        // A value is written to memory without fail, and JSON is text.
        let _ = serde_json::Serializer::new(&mut json).collect_map(members);
        String::from_utf8(json).unwrap_or_default()
    }
}

impl fmt::Debug for RuntimeTenantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of the rest nothing: an old config's `webhookSecretRef` may be the literal secret, too.
        f.debug_struct("RuntimeTenantConfig")
            .field("tenant_id", &self.tenant_id)
            .field("dids", &self.dids)
            .finish_non_exhaustive()
    }
}
