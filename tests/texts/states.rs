//! One example of each state that a status can describe.

use k8s_openapi::jiff::Timestamp;
use runtime_operator::contract::{Did, TenantId};
use runtime_operator::domain::ResourceName;
use runtime_operator::domain::assessment::{
    Assessment, Holder, NotPublished, PublishedConfig, SecretFault, SecretFaultKind, UnavailableDid,
};
use runtime_operator::domain::reason::Reason;
use runtime_operator::store::StoreError;

/// The time of all states.
pub fn time() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn did(last: u8) -> Did {
    Did::parse(&format!("+1555000000{last}")).unwrap()
}

/// A tenant with two numbers that are both live.
fn live() -> Assessment {
    let config = PublishedConfig { dids: vec![did(1), did(2)], hash: "h".to_owned() };
    Assessment::published(3, config)
}

/// The same tenant with something that prevents an edit from being published.
fn prevented(why: NotPublished) -> Assessment {
    Assessment { not_published: Some(why), current: false, wanted: 3, ..live() }
}

/// A tenant that was never published.
fn new(why: NotPublished) -> Assessment {
    Assessment { wanted: 2, ..Assessment::not_published(1, why) }
}

fn secret(what: SecretFaultKind) -> NotPublished {
    let secret = ResourceName::new("voice", "hook");
    NotPublished::Secret(SecretFault { secret, key: "webhookSecret".to_owned(), what })
}

fn holders() -> [(&'static str, Holder); 4] {
    [
        ("another resource, with many waiting", Holder::Unnamed),
        ("another resource", Holder::Resource(ResourceName::new("voice", "other"))),
        ("an older publisher", Holder::Unmanaged("legacy".to_owned())),
        ("another cluster", Holder::Elsewhere { cluster: "east".to_owned(), owner: "voice/acme".to_owned() }),
    ]
}

fn failed(reason: Reason, message: impl Into<String>) -> NotPublished {
    NotPublished::Failed { reason, message: message.into() }
}

/// Each way in which Redis fails.
fn store_errors() -> Vec<StoreError> {
    let text = str::to_owned;
    vec![
        StoreError::Unreachable {
            address: text("redis:6379"),
            cause: text("Connection refused (os error 111)"),
        },
        StoreError::TimedOut,
        StoreError::File { file: "/etc/redis/ca.crt".into(), cause: text("No such file or directory") },
        StoreError::WrongPassword,
        StoreError::NoPermission {
            detail: text("User operator has no permissions to run the 'evalsha' command"),
        },
        StoreError::ReadOnly,
        StoreError::OutOfMemory,
        StoreError::Misconfigured { detail: text("Redis is configured to save RDB snapshots, but can't") },
        StoreError::Loading,
        StoreError::ClusterMode,
        StoreError::NoPrimary { service: text("voice"), cause: text("sentinel:26379: timed out") },
        StoreError::Unexpected(text("ERR unknown command")),
    ]
}

/// Every state, with what is so.
pub fn all() -> Vec<(String, Assessment)> {
    let mut states = vec![
        ("published".to_owned(), live()),
        ("suspended, live".to_owned(), Assessment { not_published: Some(NotPublished::Suspended), ..live() }),
        ("suspended, edited".to_owned(), prevented(NotPublished::Suspended)),
        ("suspended, never published".to_owned(), new(NotPublished::Suspended)),
        (
            "not valid".to_owned(),
            new(NotPublished::Invalid(vec!["spec.dids must list at least one number".to_owned()])),
        ),
        (
            "edited, not valid".to_owned(),
            prevented(NotPublished::Invalid(vec!["spec.dids must list at least one number".to_owned()])),
        ),
        (
            "can't be decoded".to_owned(),
            new(NotPublished::Unreadable(
                "spec.dids[1] invalid type: integer `7`, expected a string".to_owned(),
            )),
        ),
        ("adoption would unmap".to_owned(), new(NotPublished::WouldUnmap(vec![did(7), did(8)]))),
        ("adoption would change the secret".to_owned(), new(NotPublished::WouldChangeSecret)),
        (
            "adoption of a large config".to_owned(),
            new(NotPublished::TooLarge(TenantId::parse("acme").unwrap())),
        ),
    ];
    for (who, holder) in holders() {
        let unavailable = vec![UnavailableDid { did: did(3), holder: holder.clone() }];
        let part = Assessment { unavailable: unavailable.clone(), wanted: 3, ..live() };
        states.push((format!("one number is held by {who}"), part));
        let none = Assessment { unavailable, wanted: 1, ..new(NotPublished::NoDids) };
        states.push((format!("all numbers are held by {who}"), none));
        states.push((format!("the tenant id is held by {who}"), new(NotPublished::Tenant(holder))));
    }
    for what in [
        SecretFaultKind::NotFound,
        SecretFaultKind::KeyNotFound,
        SecretFaultKind::Empty,
        SecretFaultKind::NotUtf8,
        SecretFaultKind::Unreadable("secrets \"hook\" is forbidden".to_owned()),
    ] {
        states.push((format!("the Secret is unusable, new ({what:?})"), new(secret(what.clone()))));
        states.push((format!("the Secret is unusable, live ({what:?})"), prevented(secret(what))));
    }
    for error in store_errors() {
        let why = failed(error.reason(), error.to_string());
        states.push((format!("edited while Redis fails ({})", error.reason()), prevented(why)));
    }
    let api = "voice/acme could not be read: the API server answered 500: etcdserver: request timed out";
    states.push(("while the API server fails".to_owned(), new(failed(Reason::ApiServerUnavailable, api))));
    let keeps = "ownership records kept changing during 5 attempts";
    states.push(("while records change".to_owned(), new(failed(Reason::OwnershipKeptChanging, keeps))));
    states
}
