//! The parts of a config that an export can't express, and its notes.

use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::{Did, DocumentPath, PathSegment};

/// A place of a config that no resource can hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// The place in the config; empty for the whole.
    pub path: String,
    /// The reason. It never quotes a value.
    pub reason: String,
}

impl Problem {
    /// A problem of the whole config.
    #[must_use]
    pub fn of_all(reason: impl Into<String>) -> Self {
        Self { path: String::new(), reason: reason.into() }
    }

    /// A problem at a place.
    #[must_use]
    pub fn at(path: impl IntoIterator<Item = PathSegment>, reason: impl Into<String>) -> Self {
        let path: DocumentPath = path.into_iter().collect();
        Self { path: path.to_string(), reason: reason.into() }
    }
}

/// Something about an exported tenant that a reader should know; a comment in its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The config lists the number, which is mapped to no tenant.
    ListedUnmapped(Did),
    /// The config lists the number, which is mapped to another tenant.
    ListedElsewhere(Did, String),
    /// The config lists the number twice.
    ListedTwice(Did),
    /// The number is mapped to the tenant, whose config does not list it.
    MappedUnlisted(Did),
    /// `webhookSecretRef` is the secret itself.
    LiteralSecret,
    /// `webhookSecretRef` names a variable of the runtime.
    EnvSecret(String),
    /// A member is null.
    Null(String),
}

impl Note {
    /// The kind, by which the summary counts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ListedUnmapped(_) => "listedUnmapped",
            Self::ListedElsewhere(..) => "listedElsewhere",
            Self::ListedTwice(_) => "listedTwice",
            Self::MappedUnlisted(_) => "mappedUnlisted",
            Self::LiteralSecret => "literalSecret",
            Self::EnvSecret(_) => "envSecret",
            Self::Null(_) => "null",
        }
    }

    /// True if something of the config is not in the resource, so that a person should check it.
    #[must_use]
    pub const fn leaves_out(&self) -> bool {
        matches!(self, Self::ListedUnmapped(_) | Self::ListedElsewhere(..))
    }

    /// The note in a sentence, for a comment: without characters that would end it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::ListedUnmapped(did) => {
                format!("{did} is listed in the config and mapped to no tenant: it is left out.")
            }
            Self::ListedElsewhere(did, tenant) => {
                format!("{did} is listed in the config and mapped to the tenant {tenant:?}: it is left out.")
            }
            Self::ListedTwice(did) => format!("{did} is listed twice in the config: it stands here once."),
            Self::MappedUnlisted(did) => {
                format!("{did} is mapped to the tenant and not listed in its config: it is added.")
            }
            Self::LiteralSecret => {
                "The webhook secret stood in webhookSecretRef itself: it is published as webhookSecret."
                    .to_owned()
            }
            Self::EnvSecret(name) => format!(
                "The config refers to the variable {name:?} of the runtime, which the operator can't compare: the annotation permits \
                 the value of the Secret. Remove it when the resource is Ready."
            ),
            Self::Null(path) => {
                format!("{path} is null in the config: a resource leaves it out, which means the same.")
            }
        }
    }
}
