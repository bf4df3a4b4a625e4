//! A tenant's config: a JSON document that the runtime accepts.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::additions::{Addition, Additions};
use super::e164::Did;
use super::json::{self, MAX_DEPTH, NotJson};
use super::keys::TenantId;
use super::schema::Check;
use super::schema::{CONFIG, SECRET, WEBHOOK_SECRET, WEBHOOK_SECRET_REF, config_member};
use super::violation::{DocumentPath, InvalidConfig, Violation, ViolationCode};

/// The member of a config with the quick replies.
pub const QUICK_REPLIES: &str = "quickReplies";

/// The value of `tenantcfg:<tenantId>` (contract v1): a JSON object that keeps every rule of the contract.
///
/// The order of members, numbers and members that the contract does not know are kept as they were given, at every level.
/// Only [`Self::parse`] and [`Self::from_document`] make one, and nothing changes one.
///
/// It may hold the webhook secret: `Debug` shows only the tenant and its phone numbers, and every method that gives the
/// secret away says so in its name or its type.
#[derive(Clone, PartialEq)]
pub struct RuntimeTenantConfig {
    tenant_id: TenantId,
    dids: Vec<Did>,
    document: Map<String, Value>,
    additions: Additions,
}

/// The longest JSON of a member that the contract knows and that stands among the extensions: a time of 64 characters, which is
/// what the API server accepts, and its quotes.
const LONGEST_KNOWN: usize = 66;

/// The reason for which a text is no tenant's config.
#[derive(Debug, thiserror::Error)]
pub enum ParseConfigError {
    /// The text can't be read.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// The text is JSON that breaks the contract.
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

impl RuntimeTenantConfig {
    /// Reads JSON text (UTF-8; `&[u8]` or `&str`) of any origin.
    ///
    /// Of two members with one name the last one counts, as in JavaScript. The rules are the runtime's: all
    /// numbers are doubles there, so `10.0` is an integer; lengths are counted in UTF-16 units; `null` is not "absent".
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseConfigError> {
        if let Value::Object(document) = json::read(text.as_ref())? {
            return Ok(Self::from_document(document)?);
        }
        let violation = Violation {
            code: ViolationCode::InvalidType,
            path: DocumentPath::default(),
            rule: "must be an object".to_owned(),
        };
        Err(InvalidConfig { violations: vec![violation], omitted: 0 }.into())
    }

    /// Checks a document that is already in memory. The error lists all violations together.
    ///
    /// Phone numbers in `dids` are not normalised: white space in one is a violation.
    pub fn from_document(document: Map<String, Value>) -> Result<Self, InvalidConfig> {
        Self::with_additions(document, &[])
    }

    /// Checks a document like [`Self::from_document`], and adds members to it and to objects inside it, each with its value's
    /// JSON, which is kept byte for byte. The objects are there and have none of these names. Those of the document itself
    /// that the contract knows are short, and are checked too.
    pub fn with_additions(
        document: Map<String, Value>,
        members: &[Addition<'_>],
    ) -> Result<Self, InvalidConfig> {
        let short = |value: &RawValue| {
            let value = Some(value.get()).filter(|value| value.len() <= LONGEST_KNOWN);
            value.and_then(|value| json::read(value.as_bytes()).ok()).unwrap_or_default()
        };
        let known: Map<String, Value> = members
            .iter()
            .filter(|member| member.path.is_empty() && config_member(&member.name).is_some())
            .map(|member| (member.name.clone(), short(member.value)))
            .collect();
        let mut check = Check::default();
        check.members(&known, CONFIG.iter().filter(|member| known.contains_key(member.name)));
        let mut additions = Additions::default();
        for member in members {
            let levels = MAX_DEPTH - 1 - member.path.len();
            if json::is_text_deeper_than(levels, member.value.get()) {
                let path = member.path.iter().copied().chain([member.name.as_str()]);
                check.violation_in(path, format!("must nest at most {levels} levels deep"));
            }
            additions.add(member);
        }
        check.members(&document, CONFIG);
        let is_empty = |name| document.get(name).and_then(Value::as_str).is_none_or(str::is_empty);
        if check.all_types_hold() && is_empty(WEBHOOK_SECRET_REF) && is_empty(WEBHOOK_SECRET) {
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
            Some(Ok(tenant_id)) if invalid.violations.is_empty() => {
                Ok(Self { tenant_id, dids, document, additions })
            }
            _ => Err(invalid),
        }
    }

    /// Returns the same config with this webhook secret, beside the reference to it. Only the secret can be an error.
    pub fn with_secret(&self, secret: &SecretString) -> Result<Self, InvalidConfig> {
        let Self { tenant_id, dids, mut document, additions } = self.clone();
        document.shift_remove(WEBHOOK_SECRET);
        let place = document.keys().position(|name| name == WEBHOOK_SECRET_REF);
        let place = place.map_or(document.len(), |place| place + 1);
        document.shift_insert(place, WEBHOOK_SECRET.to_owned(), secret.expose_secret().into());
        let mut check = Check::default();
        check.members(&document, SECRET);
        let invalid = check.finish();
        if invalid.violations.is_empty() {
            Ok(Self { tenant_id, dids, document, additions })
        } else {
            Err(invalid)
        }
    }

    /// The tenant's id.
    #[must_use]
    pub fn tenant_id(&self) -> &TenantId {
        &self.tenant_id
    }

    /// The tenant's phone numbers, in the document's order: at least one. The contract lets a number stand twice.
    #[must_use]
    pub fn dids(&self) -> &[Did] {
        &self.dids
    }

    /// The document as it was given, without the members of [`Self::with_additions`]. **May hold the secret**, in clear text:
    /// for comparing and for writing to Redis, never for showing.
    #[must_use]
    pub fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Returns the document without `webhookSecret`, which may be shown; without a `webhookSecretRef` too that is no
    /// reference: the runtime takes it for the secret itself.
    #[must_use]
    pub fn without_secret(&self) -> Map<String, Value> {
        let mut document = self.document.clone();
        // `remove` would move the last member into the gap.
        document.shift_remove(WEBHOOK_SECRET);
        let is_reference = |text: &str| text.starts_with("env:") || text.starts_with("secret://");
        if document.get(WEBHOOK_SECRET_REF).is_some_and(|value| !value.as_str().is_some_and(is_reference)) {
            document.shift_remove(WEBHOOK_SECRET_REF);
        }
        document
    }

    /// Returns the bytes to publish: compact JSON, members in the document's order. The same document always gives the
    /// same bytes, and [`Self::parse`] reads them as the same config.
    #[must_use]
    pub fn to_json(&self) -> SecretString {
        self.write(|_| true).into()
    }

    /// Returns the SHA-256, in lower-case hexadecimal, of what [`Self::to_json`] gives for the document without
    /// `webhookSecret`.
    ///
    /// `redis-cli --raw get tenantcfg:acme | jq -cj 'del(.webhookSecret)' | sha256sum` prints the same (where every
    /// number is written as jq would write it).
    #[must_use]
    pub fn hash_without_secret(&self) -> String {
        format!("{:x}", Sha256::digest(self.write(|name| name != WEBHOOK_SECRET)))
    }

    fn write(&self, with: impl Fn(&str) -> bool) -> String {
        let mut json = Vec::with_capacity(2048 + self.additions.len());
        self.additions.write(self.document.iter().filter(|(name, _)| with(name)), &mut json);
        // JSON is text.
        String::from_utf8(json).unwrap_or_default()
    }
}

/// Checks quick replies by themselves, as a member of a config. The error lists all violations together.
pub fn check_quick_replies(quick_replies: &Value) -> Result<(), InvalidConfig> {
    let member = Map::from_iter([(QUICK_REPLIES.to_owned(), quick_replies.clone())]);
    let mut check = Check::default();
    check.members(&member, CONFIG.iter().filter(|member| member.name == QUICK_REPLIES));
    let invalid = check.finish();
    if invalid.violations.is_empty() { Ok(()) } else { Err(invalid) }
}

impl fmt::Debug for RuntimeTenantConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing of the other members: an old config's `webhookSecretRef` may be the literal secret, too.
        f.debug_struct("RuntimeTenantConfig")
            .field("tenant_id", &self.tenant_id)
            .field("dids", &self.dids)
            .finish_non_exhaustive()
    }
}
