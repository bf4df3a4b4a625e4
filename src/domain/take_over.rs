//! What the annotation `runtime.veralux.io/take-over` allows, and what it has done: it works once.

use super::assessment::{Assessment, Holder};
use super::{ClusterId, Uid};
use crate::api::{TakeOverStatus, TakenFrom};

/// The holders that a status names at most, and the lengths of its texts: the CRD allows no more.
const MAX_HOLDERS: usize = 10;
const MAX_TEXT: usize = 1024;
const MAX_UID: usize = 128;

/// The permission to take what another tenant or cluster holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TakeOver {
    /// Nothing may be taken.
    #[default]
    Nothing,
    /// Whatever another cluster or an older publisher holds: the value `true`.
    Anything,
    /// What one resource of another cluster holds: the value `<cluster>/<namespace>/<name>`.
    From(Box<OwnerElsewhere>),
}

/// A resource of another cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerElsewhere {
    /// The cluster.
    pub cluster: ClusterId,
    /// The resource, `<namespace>/<name>`.
    pub owner: String,
}

impl TakeOver {
    /// Reads the annotation's value; a value of neither form allows nothing.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        if value == "true" {
            return Self::Anything;
        }
        if value.len() > MAX_TEXT {
            return Self::Nothing;
        }
        // A cluster's id may contain slashes, names can't.
        let mut parts = value.rsplitn(3, '/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(name), Some(namespace), Some(cluster))
                if ![name, namespace, cluster].iter().any(|part| part.is_empty()) =>
            {
                let (cluster, owner) = (ClusterId::new(cluster), format!("{namespace}/{name}"));
                Self::From(Box::new(OwnerElsewhere { cluster, owner }))
            }
            _ => Self::Nothing,
        }
    }
}

/// What is known of one resource's annotation. It has done its work once the resource is published with it: what is taken
/// from the resource afterwards stays taken, until the annotation is removed and set again, or gets another value.
#[derive(Clone, Debug, Default)]
pub struct TakeOverUse {
    /// The value that has done its work.
    used: Option<Box<str>>,
    /// The annotation was removed, and the status does not say so yet.
    was_removed: bool,
    /// The holders from which something was taken, the latest first.
    from: Vec<TakenFrom>,
}

impl TakeOverUse {
    /// Records a resource as a watch shows it: its annotation, and what its status says.
    pub fn observe(&mut self, annotation: Option<&str>, status: Option<&TakeOverStatus>) {
        let Some(value) = annotation else {
            *self = Self { was_removed: true, ..Self::default() };
            return;
        };
        let said = status.filter(|status| *status.used == *value);
        if said.is_none() {
            self.was_removed = false;
        }
        if self.used.as_deref().is_some_and(|used| used != value) {
            *self = Self::default();
        }
        if let Some(said) = said.filter(|_| self.used.is_none() && !self.was_removed) {
            self.used = Some(value.into());
            self.from.clone_from(&said.from);
        }
    }

    /// Records that something was taken from these holders.
    pub fn took(&mut self, holders: impl IntoIterator<Item = (ClusterId, Uid)>) {
        let fits = |(cluster, uid): &(ClusterId, Uid)| {
            cluster.as_str().len() <= MAX_TEXT && uid.as_str().len() <= MAX_UID
        };
        for (cluster, uid) in holders.into_iter().filter(fits) {
            let holder = TakenFrom { cluster: cluster.as_str().to_owned(), uid: uid.as_str().to_owned() };
            self.from.retain(|other| *other != holder);
            self.from.insert(0, holder);
        }
        self.from.truncate(MAX_HOLDERS);
    }

    /// Records the assessment of a reconcile with this annotation.
    pub fn assessed(&mut self, annotation: Option<&str>, assessment: &Assessment) {
        let outside = |holder: &Holder| matches!(holder, Holder::Unmanaged(_) | Holder::Elsewhere { .. });
        let waits = assessment.unavailable.iter().any(|did| outside(&did.holder));
        let works = |value: &&str| TakeOver::parse(value) != TakeOver::Nothing;
        let done = assessment.not_published.is_none() && !waits;
        if let Some(value) = annotation.filter(works).filter(|_| done) {
            self.used = Some(value.into());
            self.was_removed = false;
        }
    }

    /// Returns the permission that the annotation gives now.
    #[must_use]
    pub fn allowed(&self, annotation: Option<&str>) -> TakeOver {
        annotation
            .filter(|value| self.used.as_deref() != Some(value))
            .map_or(TakeOver::Nothing, TakeOver::parse)
    }

    /// What the status must say.
    #[must_use]
    pub fn status(&self, annotation: Option<&str>) -> Option<TakeOverStatus> {
        let used = self.used.as_deref().filter(|used| annotation == Some(used))?;
        Some(TakeOverStatus { used: used.to_owned(), from: self.from.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::assessment::{NotPublished, PublishedConfig};

    fn published() -> Assessment {
        Assessment::published(1, PublishedConfig { dids: Vec::new(), hash: String::new() })
    }

    fn elsewhere() -> Holder {
        Holder::Elsewhere { cluster: "there".to_owned(), owner: "voice/acme".to_owned() }
    }

    #[test]
    fn an_annotation_works_until_the_resource_is_published_with_it() {
        let mut taking = TakeOverUse::default();
        taking.observe(Some("true"), None);
        assert_eq!(taking.allowed(Some("true")), TakeOver::Anything);
        taking.assessed(Some("true"), &Assessment::not_published(1, NotPublished::Tenant(elsewhere())));
        assert_eq!(taking.allowed(Some("true")), TakeOver::Anything, "it could not do its work yet");
        taking.took([(ClusterId::new("there"), Uid::from("u"))]);
        taking.assessed(Some("true"), &published());
        assert_eq!(taking.allowed(Some("true")), TakeOver::Nothing);
        let from = vec![TakenFrom { cluster: "there".to_owned(), uid: "u".to_owned() }];
        let status = taking.status(Some("true")).unwrap();
        assert_eq!(status, TakeOverStatus { used: "true".to_owned(), from });
        // What is taken away afterwards stays taken, after a restart too.
        taking.assessed(Some("true"), &Assessment::not_published(1, NotPublished::Tenant(elsewhere())));
        assert_eq!(taking.allowed(Some("true")), TakeOver::Nothing);
        let mut restarted = TakeOverUse::default();
        restarted.observe(Some("true"), Some(&status));
        assert_eq!(restarted.allowed(Some("true")), TakeOver::Nothing);
        assert_eq!(restarted.status(Some("true")), Some(status));
    }

    #[test]
    fn an_annotation_works_again_once_it_was_removed_or_has_another_value() {
        let used = || {
            let mut taking = TakeOverUse::default();
            taking.assessed(Some("true"), &published());
            taking
        };
        let status = used().status(Some("true")).unwrap();
        let mut taking = used();
        taking.observe(None, Some(&status));
        assert_eq!((taking.allowed(None), taking.status(None)), (TakeOver::Nothing, None));
        // The status still says what it said before the removal.
        taking.observe(Some("true"), Some(&status));
        assert_eq!(taking.allowed(Some("true")), TakeOver::Anything);
        assert_eq!(taking.status(Some("true")), None);
        let mut taking = used();
        taking.observe(Some("there/voice/acme"), Some(&status));
        assert!(matches!(taking.allowed(Some("there/voice/acme")), TakeOver::From(_)));
    }

    #[test]
    fn an_annotation_allows_anything_or_one_holder_or_nothing() {
        assert_eq!(TakeOver::parse("true"), TakeOver::Anything);
        let TakeOver::From(from) = TakeOver::parse("eu/west/voice/acme") else {
            panic!("it allows one holder")
        };
        assert_eq!((from.cluster.as_str(), &*from.owner), ("eu/west", "voice/acme"));
        for value in ["", "false", "True", "yes", "voice/acme", "/voice/acme", "eu//acme", "eu/voice/"] {
            assert_eq!(TakeOver::parse(value), TakeOver::Nothing, "{value}");
        }
    }
}
