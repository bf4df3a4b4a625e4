//! Events that Kubernetes shows for a resource: a closed set of reasons, and drafts that the controller writes later.

use std::fmt;

use super::reason::Reason;

/// The reason of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// The config and its DIDs were published.
    Published,
    /// A new version of the webhook secret was published.
    SecretRotated,
    /// An older publisher's keys of the same tenant id were adopted.
    Adopted,
    /// Something was taken over from another tenant id or cluster.
    TakenOver,
    /// Keys that another client had changed were restored.
    Repaired,
    /// Another client keeps changing keys.
    KeysContested,
    /// DIDs that another tenant released were claimed.
    Promoted,
    /// Publishing was resumed after a suspension.
    Resumed,
    /// The keys were removed.
    Unpublished,
    /// The keys were kept although the resource goes.
    Retained,
    /// A change could not be published yet.
    PublishDelayed,
    /// The keys of a deleted resource could not be removed yet.
    DeletionDelayed,
    /// The finalizer was removed without removing the keys.
    ForceDeleted,
    /// The orphan sweep removed nothing, since there were too many orphans.
    OrphanSweepRefused,
    /// Another install writes for the same namespaces.
    SecondInstall,
    /// The condition `Ready` has this reason now.
    Condition(Reason),
}

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// Nothing must be done.
    Normal,
    /// A person should act.
    Warning,
}

/// An event to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// The reason, from which the type follows.
    pub reason: EventReason,
    /// The message that a person reads.
    pub message: String,
}

impl EventReason {
    /// Every reason that is not also a condition's; those are in [`Reason::ALL`].
    pub const ALL: [Self; 15] = [
        Self::Published,
        Self::SecretRotated,
        Self::Adopted,
        Self::TakenOver,
        Self::Repaired,
        Self::KeysContested,
        Self::Promoted,
        Self::Resumed,
        Self::Unpublished,
        Self::Retained,
        Self::PublishDelayed,
        Self::DeletionDelayed,
        Self::ForceDeleted,
        Self::OrphanSweepRefused,
        Self::SecondInstall,
    ];

    /// The reason in `CamelCase`, as the event carries it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Published => "Published",
            Self::SecretRotated => "SecretRotated",
            Self::Adopted => "Adopted",
            Self::TakenOver => "TakenOver",
            Self::Repaired => "Repaired",
            Self::KeysContested => "KeysContested",
            Self::Promoted => "Promoted",
            Self::Resumed => "Resumed",
            Self::Unpublished => "Unpublished",
            Self::Retained => "Retained",
            Self::PublishDelayed => "PublishDelayed",
            Self::DeletionDelayed => "DeletionDelayed",
            Self::ForceDeleted => "ForceDeleted",
            Self::OrphanSweepRefused => "OrphanSweepRefused",
            Self::SecondInstall => "SecondInstall",
            Self::Condition(reason) => reason.as_str(),
        }
    }

    /// The type of an event with this reason.
    #[must_use]
    pub const fn event_type(self) -> EventType {
        match self {
            Self::Published
            | Self::SecretRotated
            | Self::Adopted
            | Self::TakenOver
            | Self::Repaired
            | Self::Promoted
            | Self::Resumed
            | Self::Unpublished
            | Self::Retained
            | Self::Condition(Reason::Published | Reason::Resolved | Reason::Claimed | Reason::Suspended) => {
                EventType::Normal
            }
            Self::KeysContested
            | Self::PublishDelayed
            | Self::DeletionDelayed
            | Self::ForceDeleted
            | Self::OrphanSweepRefused
            | Self::SecondInstall
            | Self::Condition(_) => EventType::Warning,
        }
    }

    /// The meaning of the reason, in the words of the reference.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Published => {
                "the config and the mappings of its numbers were written; the message says how many numbers are \
                 published, and which were unmapped"
            }
            Self::SecretRotated => "a new version of the webhook secret was published",
            Self::Adopted => {
                "the keys that an older publisher wrote for this tenant id were adopted; the message names the members of the \
                 config that changed"
            }
            Self::TakenOver => {
                "numbers or the tenant id were taken from another tenant id or cluster, as the annotation allows"
            }
            Self::Repaired => "keys that another client had changed or removed were restored",
            Self::KeysContested => {
                "another client keeps changing the keys; repairs are limited to a bounded rate until it stops"
            }
            Self::Promoted => "the resource got numbers, or the tenant id, that another resource released",
            Self::Resumed => "`spec.suspend` is false again, and publishing was resumed",
            Self::Unpublished => "the resource's keys were removed from Redis",
            Self::Retained => "the resource goes and its keys stay in Redis, as `spec.deletionPolicy` says",
            Self::PublishDelayed => {
                "a change could not be published yet; the operator retries until it succeeds"
            }
            Self::DeletionDelayed => {
                "the keys of a deleted resource could not be removed yet; the operator retries until it succeeds"
            }
            Self::ForceDeleted => {
                "the finalizer was removed and the keys stayed in Redis, where the orphan sweep removes them"
            }
            Self::OrphanSweepRefused => {
                "on the operator's Lease: the sweep removed nothing, since more than ten and more \
                 than a fifth of the ownership records have no resource"
            }
            Self::SecondInstall => {
                "on the operator's Lease: another install writes for the same namespaces of this cluster, or takes the \
                 epochs of this one; let only one operator watch a namespace"
            }
            Self::Condition(_) => "the condition `Ready` has this reason now",
        }
    }
}

impl fmt::Display for EventReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EventType {
    /// The type in the form of the Event API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EventDraft {
    /// Drafts an event.
    #[must_use]
    pub fn new(reason: EventReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn event_reasons_are_distinct_camel_case_words() {
        let names = EventReason::ALL.map(EventReason::as_str);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for name in names {
            assert!(name.starts_with(|first: char| first.is_ascii_uppercase()), "{name}");
            assert!(name.chars().all(|letter| letter.is_ascii_alphabetic()), "{name}");
        }
    }

    #[test]
    fn an_event_about_a_condition_has_the_reason_of_the_condition() {
        for reason in Reason::ALL {
            assert_eq!(EventReason::Condition(reason).as_str(), reason.as_str());
        }
        assert_eq!(EventReason::Condition(Reason::Suspended).event_type(), EventType::Normal);
        assert_eq!(EventReason::Condition(Reason::SecretNotFound).event_type(), EventType::Warning);
    }

    #[test]
    fn each_meaning_is_one_sentence_without_a_full_stop() {
        for reason in EventReason::ALL {
            let meaning = reason.meaning();
            assert!(!meaning.contains(['|', '\n']) && !meaning.ends_with('.'), "{reason}: {meaning}");
            assert!(!meaning.contains("  "), "{reason}: {meaning}");
        }
    }
}
