//! What the annotation `runtime.veralux.io/take-over` allows.

use super::ClusterId;

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
    /// Reads the annotation's value; any other value allows nothing.
    #[must_use]
    pub fn parse(value: &str) -> Self {
        if value == "true" {
            return Self::Anything;
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

#[cfg(test)]
mod tests {
    use super::*;

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
