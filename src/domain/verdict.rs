//! What came of looking at a resource: what Redis holds for it, what it lacks, what stops it.

use crate::contract::Did;

use super::{ResourceName, reason::Reason};

/// What came of the last look at a resource. A status and its events are made of nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The generation that was looked at.
    pub generation: i64,
    /// What stops it from being published as the spec says; none: it is published.
    pub blocker: Option<Blocker>,
    /// What Redis holds for it.
    pub live: Option<Published>,
    /// Whether what is live is what this generation says, as far as it could be told.
    pub current: bool,
    /// The numbers of the spec that it does not have, and why.
    pub lacking: Vec<Lacking>,
}

/// What Redis holds for a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The numbers that are mapped to it, in the order of the spec.
    pub dids: Vec<Did>,
    /// The hash of its config without the secret.
    pub hash: String,
}

/// A number that a resource claims and does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The number.
    pub did: Did,
    /// Who has it.
    pub holder: Holder,
}

/// Who has a number, or a tenant id, instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Another resource of this cluster.
    Resource(ResourceName),
    /// A tenant id that no resource owns, with a mapping from an older publisher.
    Unmanaged(String),
    /// Another cluster, and what the resource is called there.
    Elsewhere {
        /// The cluster's id.
        cluster: String,
        /// `<namespace>/<name>` there.
        owner: String,
    },
}

/// What stops a resource from being published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// `spec.suspend`.
    Suspended,
    /// The spec breaks rules: where, and what must hold.
    Invalid(Vec<String>),
    /// The spec can't be read.
    Unreadable(String),
    /// The tenant id is another's.
    Tenant(Holder),
    /// Every number is another's.
    NoNumbers,
    /// The webhook secret can't be had.
    Secret(SecretFault),
    /// An older publisher's config lists numbers that the spec does not.
    WouldUnmap(Vec<Did>),
    /// Redis could not be asked or told: the reason in short, never an address or a password.
    Redis(String),
}

/// Why a webhook secret can't be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretFault {
    /// `<namespace>/<name>` of the Secret.
    pub secret: ResourceName,
    /// The key within it.
    pub key: String,
    /// What is wrong.
    pub what: SecretFaultKind,
}

/// What is wrong with a webhook secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretFaultKind {
    /// There is no such Secret.
    NotFound,
    /// It has no such key.
    KeyNotFound,
    /// Its value is empty.
    Empty,
    /// Its value is not UTF-8.
    NotUtf8,
    /// The API server would not give it.
    Unreadable(String),
}

impl Lacking {
    fn reason(&self) -> Reason {
        match self.holder {
            Holder::Resource(_) => Reason::DidConflict,
            Holder::Unmanaged(_) => Reason::NumberInUse,
            Holder::Elsewhere { .. } => Reason::OwnedElsewhere,
        }
    }
}

impl SecretFault {
    /// Whether the watch of Secrets will say when it passes.
    #[must_use]
    pub fn is_absence(&self) -> bool {
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

impl Verdict {
    /// The reason for the condition `Ready`.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match &self.blocker {
            Some(blocker) => blocker.reason(&self.lacking),
            None => self.lacking.first().map_or(Reason::Published, Lacking::reason),
        }
    }

    /// The reason for which a number is lacking, if one is.
    #[must_use]
    pub fn lacking_reason(&self) -> Option<Reason> {
        self.lacking.first().map(Lacking::reason)
    }

    /// What a person is told with it.
    #[must_use]
    pub fn message(&self) -> String {
        let live = self.live.as_ref().map_or(0, |live| live.dids.len());
        let lacking = lacking_message(&self.lacking);
        match &self.blocker {
            None if self.lacking.is_empty() => format!("{} live", numbers(live)),
            None => format!("{} live; {lacking}", numbers(live)),
            Some(Blocker::NoNumbers) => lacking,
            // It may well list the number, and not have it.
            Some(blocker @ Blocker::WouldUnmap(_)) if !self.lacking.is_empty() => {
                format!("{}; {lacking}", blocker.message())
            }
            Some(blocker) if live > 0 => {
                format!("{}; what was published stays live ({})", blocker.message(), numbers(live))
            }
            Some(blocker) => blocker.message(),
        }
    }

    /// What a person is told of the numbers alone.
    #[must_use]
    pub fn claims_message(&self) -> String {
        match &self.blocker {
            Some(blocker @ (Blocker::Tenant(_) | Blocker::WouldUnmap(_))) => blocker.message(),
            _ if self.lacking.is_empty() => "every number of the spec is held".to_owned(),
            _ => lacking_message(&self.lacking),
        }
    }
}

impl Blocker {
    /// Its reason; `lacking` tells why no number is left.
    fn reason(&self, lacking: &[Lacking]) -> Reason {
        match self {
            Self::Suspended => Reason::Suspended,
            Self::Invalid(_) => Reason::InvalidSpec,
            Self::Unreadable(_) => Reason::Unreadable,
            Self::Tenant(Holder::Elsewhere { .. }) => Reason::OwnedElsewhere,
            Self::Tenant(_) => Reason::TenantIdConflict,
            Self::NoNumbers => lacking.first().map_or(Reason::DidConflict, Lacking::reason),
            Self::Secret(fault) => fault.reason(),
            Self::WouldUnmap(_) => Reason::AdoptionWouldUnmap,
            Self::Redis(_) => Reason::RedisUnavailable,
        }
    }

    fn message(&self) -> String {
        match self {
            Self::Suspended => "spec.suspend is true: nothing is written to Redis".to_owned(),
            Self::Invalid(faults) => join(faults, "; "),
            Self::Unreadable(why) => format!("the spec can't be read: {why}"),
            Self::Tenant(holder) => format!("the tenant id {}", holder.message()),
            Self::NoNumbers => "no number is left".to_owned(),
            Self::Secret(fault) => fault.message(),
            Self::WouldUnmap(dids) => format!(
                "an older publisher's config of this tenant lists numbers that the spec does not, and adopting it would \
                 unmap them: {}. List them in spec.dids, or set the annotation runtime.veralux.io/take-over: \"true\"",
                join(dids, ", ")
            ),
            Self::Redis(why) => format!("Redis can't be written to: {why}"),
        }
    }
}

impl Holder {
    fn message(&self) -> String {
        match self {
            Self::Resource(name) => format!("is held by {name}"),
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

fn lacking_message(lacking: &[Lacking]) -> String {
    join(lacking.iter().map(|lacking| format!("{} {}", lacking.did, lacking.holder.message())), "; ")
}

/// So many numbers, in words.
#[must_use]
pub fn numbers(count: usize) -> String {
    if count == 1 { "1 number".to_owned() } else { format!("{count} numbers") }
}

/// As many items as a person reads, and how many more there are.
pub(super) fn join<T: ToString>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    const SHOWN: usize = 10;
    let mut items = items.into_iter();
    let text = items.by_ref().take(SHOWN).map(|item| item.to_string()).collect::<Vec<_>>().join(separator);
    let rest = items.count();
    if rest == 0 { text } else { format!("{text} and {rest} more") }
}
