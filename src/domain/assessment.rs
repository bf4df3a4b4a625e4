//! The assessment of a resource: what Redis holds for it, which DIDs it does not have, what prevents its publication.

use crate::api::HeldElsewhere;
use crate::contract::{Did, TenantId, config_key};

use super::claims::NOTIFIED;
use super::{ResourceName, reason::Reason};

/// The holders outside that a status names at most, and the characters of their names: the CRD allows no more.
const MAX_ELSEWHERE: usize = 100;
const MAX_NAME: usize = 1024;

/// The result of a reconcile of a resource that stays. Its status, and the events about it, follow from this alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// The generation that was reconciled.
    pub generation: i64,
    /// The reason for which the spec is not published; `None`: it is published.
    pub not_published: Option<NotPublished>,
    /// The config that Redis holds for the resource.
    pub published: Option<PublishedConfig>,
    /// True if Redis is known to hold what this generation asks for.
    pub current: bool,
    /// The DIDs of the spec that the resource does not have.
    pub unavailable: Vec<UnavailableDid>,
    /// The number of DIDs of the spec.
    pub wanted: usize,
    /// The number of DIDs of the spec that Redis maps to the resource.
    pub live: usize,
}

/// The config that Redis holds for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedConfig {
    /// The DIDs that are mapped to it, in the order of the spec.
    pub dids: Vec<Did>,
    /// The hash of its config without the secret.
    pub hash: String,
}

/// A DID that a resource claims and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnavailableDid {
    /// The DID.
    pub did: Did,
    /// Its holder.
    pub holder: Holder,
}

/// The other holder of a DID or of a tenant id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another resource of this cluster.
    Resource(ResourceName),
    /// Another resource of this cluster, for one before which many others wait.
    Unnamed,
    /// A resource of this cluster that another operator watches.
    OtherOperator(ResourceName),
    /// A tenant id that no resource owns: an older publisher mapped the DID to it.
    Unmanaged(String),
    /// A resource of another cluster.
    Elsewhere {
        /// The cluster's id.
        cluster: String,
        /// The resource there, `<namespace>/<name>`.
        owner: String,
    },
}

/// The reason for which a spec is not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPublished {
    /// `spec.suspend` is true.
    Suspended,
    /// The spec violates rules. Each text names the field and the rule.
    Invalid(Vec<String>),
    /// The spec can't be decoded. The text is the error.
    Unreadable(String),
    /// The tenant id has another holder.
    Tenant(Holder),
    /// Every DID has another holder.
    NoDids,
    /// The webhook secret can't be used.
    Secret(SecretFault),
    /// An older publisher's config lists DIDs that the spec does not: adopting it would unmap them.
    WouldUnmap(Vec<Did>),
    /// An older publisher's config has another webhook secret, or one that can't be compared.
    WouldChangeSecret,
    /// An older publisher's config, under this tenant id, is too large to be decoded.
    TooLarge(TenantId),
    /// A reconcile failed for a transient reason, before anything else was found out.
    Failed {
        /// The reason, one that is transient.
        reason: Reason,
        /// The error, for a person to read: never with a password.
        message: String,
    },
}

/// A webhook secret that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFault {
    /// The Secret, `<namespace>/<name>`.
    pub secret: ResourceName,
    /// The key in the Secret.
    pub key: String,
    /// The fault.
    pub what: SecretFaultKind,
}

/// The fault of a webhook secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFaultKind {
    /// The Secret does not exist.
    NotFound,
    /// The Secret does not have the key.
    KeyNotFound,
    /// The value is empty.
    Empty,
    /// The value is not UTF-8.
    NotUtf8,
    /// The API server did not return the Secret. The text is its error.
    Unreadable(String),
}

impl UnavailableDid {
    fn reason(&self) -> Reason {
        match self.holder {
            Holder::Resource(_) | Holder::Unnamed | Holder::OtherOperator(_) => Reason::DidConflict,
            Holder::Unmanaged(_) => Reason::NumberInUse,
            Holder::Elsewhere { .. } => Reason::OwnedElsewhere,
        }
    }
}

impl SecretFault {
    /// True if the watch of Secrets will report when the fault is corrected.
    #[must_use]
    pub fn clears_with_secret(&self) -> bool {
        !matches!(self.what, SecretFaultKind::Unreadable(_))
    }

    fn reason(&self) -> Reason {
        match self.what {
            SecretFaultKind::NotFound => Reason::SecretNotFound,
            SecretFaultKind::KeyNotFound => Reason::SecretKeyNotFound,
            SecretFaultKind::Empty => Reason::SecretEmpty,
            SecretFaultKind::NotUtf8 => Reason::SecretNotUtf8,
            SecretFaultKind::Unreadable(_) => Reason::SecretUnreadable,
        }
    }

    fn message(&self) -> String {
        let Self { secret, key, what } = self;
        match what {
            SecretFaultKind::NotFound => format!("Secret {secret} must exist"),
            SecretFaultKind::KeyNotFound => format!("Secret {secret} must have the key {key:?}"),
            SecretFaultKind::Empty => format!("Secret {secret}: the value of {key:?} must not be empty"),
            SecretFaultKind::NotUtf8 => format!("Secret {secret}: the value of {key:?} must be UTF-8"),
            SecretFaultKind::Unreadable(why) => format!("Secret {secret} could not be read: {why}"),
        }
    }
}

impl Assessment {
    /// The assessment of a resource that is published with all its DIDs.
    #[must_use]
    pub const fn published(generation: i64, config: PublishedConfig) -> Self {
        let dids = config.dids.len();
        Self {
            generation,
            not_published: None,
            published: Some(config),
            current: true,
            unavailable: Vec::new(),
            wanted: dids,
            live: dids,
        }
    }

    /// The assessment of a resource that is not published, and for which Redis holds nothing.
    #[must_use]
    pub const fn not_published(generation: i64, why: NotPublished) -> Self {
        Self {
            generation,
            not_published: Some(why),
            published: None,
            current: false,
            unavailable: Vec::new(),
            wanted: 0,
            live: 0,
        }
    }

    /// The reason of the condition `Ready`.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.not_published {
            Some(why) => why.reason(&self.unavailable),
            None => self.unavailable_reason().unwrap_or(Reason::Published),
        }
    }

    /// The reason for which a DID is unavailable, if one is.
    #[must_use]
    pub fn unavailable_reason(&self) -> Option<Reason> {
        self.unavailable.first().map(UnavailableDid::reason)
    }

    /// The message of the condition `Ready`. It begins with the cause and ends with what is live.
    #[must_use]
    pub fn message(&self) -> String {
        let published = self.published.as_ref().map_or(0, |published| published.dids.len());
        let unavailable = unavailable_message(&self.unavailable);
        match &self.not_published {
            None if self.unavailable.is_empty() => format!("{} live", plural_dids(published)),
            None => format!("{unavailable}; {} live", self.live_of_wanted()),
            Some(NotPublished::NoDids) => unavailable,
            // It may list the DID, and not have it.
            Some(why @ NotPublished::WouldUnmap(_)) if !self.unavailable.is_empty() => {
                format!("{}; {unavailable}", why.message())
            }
            Some(why @ (NotPublished::Suspended | NotPublished::Failed { .. })) => {
                format!("{}; {}", why.message(), stays_live(published))
            }
            Some(why) if published > 0 => format!("{}; {}", why.message(), stays_live(published)),
            Some(why) => why.message(),
        }
    }

    /// The live DIDs of the spec and all of them, in words.
    #[must_use]
    pub fn live_of_wanted(&self) -> String {
        format!("{} of {}", self.live, plural_dids(self.wanted))
    }

    /// True where Redis was asked for its holders, so that the assessment names those outside of this operator's resources.
    #[must_use]
    pub const fn names_holders(&self) -> bool {
        !matches!(
            self.not_published,
            Some(
                NotPublished::Suspended
                    | NotPublished::Invalid(_)
                    | NotPublished::Unreadable(_)
                    | NotPublished::Secret(_)
                    | NotPublished::Failed { .. }
            )
        )
    }

    /// True where something outside of this operator's resources keeps it from its tenant id; none where Redis was not asked.
    #[must_use]
    pub fn is_refused_outside(&self) -> Option<bool> {
        self.names_holders().then_some(match &self.not_published {
            Some(NotPublished::Tenant(holder)) => holder.is_outside(),
            Some(
                NotPublished::WouldUnmap(_) | NotPublished::WouldChangeSecret | NotPublished::TooLarge(_),
            ) => true,
            _ => false,
        })
    }

    /// Returns the holdings of holders outside of this operator's resources, for the status: each with its DIDs, or the tenant id.
    #[must_use]
    pub fn held_elsewhere(&self) -> Vec<HeldElsewhere> {
        let tenant = match &self.not_published {
            Some(NotPublished::Tenant(holder)) => holder.elsewhere(),
            _ => None,
        };
        let mut all: Vec<HeldElsewhere> = tenant.into_iter().collect();
        for UnavailableDid { did, holder } in &self.unavailable {
            let Some(held) = holder.elsewhere() else { continue };
            let same = |known: &&mut HeldElsewhere| {
                !known.dids.is_empty() && HeldElsewhere { dids: Vec::new(), ..(**known).clone() } == held
            };
            match all.iter_mut().find(same) {
                Some(known) => known.dids.push(did.to_string()),
                None => all.push(HeldElsewhere { dids: vec![did.to_string()], ..held }),
            }
        }
        all.truncate(MAX_ELSEWHERE);
        all
    }

    /// The reason for which a reconcile failed, if it did, so that nothing is known to be wrong with the resource.
    #[must_use]
    pub const fn failure_reason(&self) -> Option<Reason> {
        match &self.not_published {
            Some(NotPublished::Failed { reason, .. }) => Some(*reason),
            _ => None,
        }
    }

    /// The message of the condition `DidsClaimed`.
    #[must_use]
    pub fn claims_message(&self) -> String {
        match &self.not_published {
            Some(
                why @ (NotPublished::Tenant(_)
                | NotPublished::WouldUnmap(_)
                | NotPublished::WouldChangeSecret
                | NotPublished::TooLarge(_)),
            ) => why.message(),
            _ if self.unavailable.is_empty() => "all numbers of the spec are held".to_owned(),
            _ => unavailable_message(&self.unavailable),
        }
    }
}

impl NotPublished {
    /// The reason; `unavailable` says why no DID is left.
    fn reason(&self, unavailable: &[UnavailableDid]) -> Reason {
        match self {
            Self::Suspended => Reason::Suspended,
            Self::Invalid(_) => Reason::InvalidSpec,
            Self::Unreadable(_) => Reason::Unreadable,
            Self::Tenant(Holder::Elsewhere { .. }) => Reason::OwnedElsewhere,
            Self::Tenant(_) => Reason::TenantIdConflict,
            Self::NoDids => unavailable.first().map_or(Reason::DidConflict, UnavailableDid::reason),
            Self::Secret(fault) => fault.reason(),
            Self::WouldUnmap(_) => Reason::AdoptionWouldUnmap,
            Self::WouldChangeSecret => Reason::AdoptionWouldChangeSecret,
            Self::TooLarge(_) => Reason::AdoptionTooLarge,
            Self::Failed { reason, .. } => *reason,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Suspended => "suspended (spec.suspend)".to_owned(),
            Self::Invalid(violations) => join(violations, "; "),
            Self::Unreadable(why) => format!("the spec can't be decoded: {why}"),
            Self::Tenant(holder) => format!("the tenant id {}", holder.message()),
            Self::NoDids => "no number is available".to_owned(),
            Self::Secret(fault) => fault.message(),
            Self::WouldUnmap(dids) => format!(
                "an older publisher's config of this tenant lists numbers that the spec does not, and adopting it would \
                 unmap them: {}. List them in spec.dids, or set the annotation runtime.veralux.io/take-over: \"true\"",
                join(dids, ", ")
            ),
            Self::WouldChangeSecret => "adopting the older publisher's config of this tenant would replace its webhook secret by \
                 another, or by one that can't be compared (env:NAME). Put the old value into the Secret, or set the annotation \
                 runtime.veralux.io/take-over: \"true\""
                .to_owned(),
            Self::TooLarge(tenant) => format!(
                "an older publisher's config of more than 1 MiB can't be adopted. Remove the key {}, or store a smaller one",
                config_key(tenant)
            ),
            Self::Failed { message, .. } => message.clone(),
        }
    }
}

impl Holder {
    /// True for a holder that is none of this operator's resources.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        !matches!(self, Self::Resource(_) | Self::Unnamed)
    }

    /// The holder, as a status names one that is none of this operator's resources; none for one that is.
    fn elsewhere(&self) -> Option<HeldElsewhere> {
        let cut = |text: &str| Some(text.chars().take(MAX_NAME).collect());
        let held = HeldElsewhere::default();
        match self {
            Self::Resource(_) | Self::Unnamed => None,
            Self::OtherOperator(name) => Some(HeldElsewhere { owner: cut(&name.to_string()), ..held }),
            Self::Unmanaged(tenant) => Some(HeldElsewhere { tenant_id: cut(tenant), ..held }),
            Self::Elsewhere { cluster, owner } => {
                Some(HeldElsewhere { cluster: cut(cluster), owner: cut(owner), ..held })
            }
        }
    }

    /// Reads a holder from a status; none for one that the operator would not have written.
    #[must_use]
    pub fn from_status(held: &HeldElsewhere) -> Option<Self> {
        match (&held.cluster, &held.owner, &held.tenant_id) {
            (Some(cluster), Some(owner), None) => {
                Some(Self::Elsewhere { cluster: cluster.clone(), owner: owner.clone() })
            }
            (None, Some(owner), None) => {
                let (namespace, name) = owner.split_once('/')?;
                Some(Self::OtherOperator(ResourceName::new(namespace, name)))
            }
            (None, None, Some(tenant)) => Some(Self::Unmanaged(tenant.clone())),
            _ => None,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Resource(name) | Self::OtherOperator(name) => format!("is held by {name}"),
            Self::Unnamed => {
                format!("is held by another resource, and at least {} wait before this one", NOTIFIED - 1)
            }
            Self::Unmanaged(tenant) => format!(
                "is mapped to the tenant id {tenant:?}, which no resource owns (unmap it there, or set the annotation \
                 runtime.veralux.io/take-over: \"true\")"
            ),
            Self::Elsewhere { cluster, owner } => format!(
                "is owned by {owner} of the cluster {cluster} (delete it there, or set the annotation \
                 runtime.veralux.io/take-over: \"true\")"
            ),
        }
    }
}

fn unavailable_message(unavailable: &[UnavailableDid]) -> String {
    join(unavailable.iter().map(|UnavailableDid { did, holder }| format!("{did} {}", holder.message())), "; ")
}

/// Says how many DIDs stay live.
fn stays_live(count: usize) -> String {
    match count {
        0 => "nothing is live".to_owned(),
        1 => "1 number stays live".to_owned(),
        _ => format!("{count} numbers stay live"),
    }
}

/// A count of DIDs, in words.
#[must_use]
pub fn plural_dids(count: usize) -> String {
    if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") }
}

/// Joins as many items as a person reads, and says how many more there are.
fn join<T: ToString>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    const SHOWN: usize = 10;
    let mut items = items.into_iter();
    let text = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect::<Vec<_>>().join(separator);
    let rest = items.count();
    if rest == 0 { text } else { format!("{text} and {rest} more") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_names_holders_outside_and_they_are_read_from_it() {
        let did = |n: u32| Did::parse(&format!("+1555000{n:04}")).unwrap();
        let there = Holder::Elsewhere { cluster: "there".to_owned(), owner: "voice/acme".to_owned() };
        let other = Holder::OtherOperator(ResourceName::new("west", "acme"));
        let older = Holder::Unmanaged("legacy".to_owned());
        let inside = Holder::Resource(ResourceName::new("voice", "acme"));
        let holders = [&there, &other, &inside, &older, &there, &Holder::Unnamed];
        let unavailable =
            (0..).zip(holders).map(|(n, holder)| UnavailableDid { did: did(n), holder: holder.clone() });
        let unavailable: Vec<_> = unavailable.collect();
        let assessment =
            Assessment { unavailable, ..Assessment::not_published(1, NotPublished::Tenant(there.clone())) };
        let held = assessment.held_elsewhere();
        let read: Vec<_> =
            held.iter().map(|held| (Holder::from_status(held).unwrap(), held.dids.clone())).collect();
        let dids = |numbers: &[u32]| numbers.iter().map(|n| did(*n).to_string()).collect::<Vec<_>>();
        let expected =
            [(there.clone(), dids(&[])), (there, dids(&[0, 4])), (other, dids(&[1])), (older, dids(&[3]))];
        assert_eq!(read, expected);
        assert_eq!(Holder::from_status(&HeldElsewhere::default()), None);
    }
}
