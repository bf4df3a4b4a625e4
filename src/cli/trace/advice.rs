//! Advice: what a person can do about each reason.

use crate::api::TAKE_OVER;
use crate::cli::common::escaped;
use crate::contract::{TenantId, config_key};
use crate::domain::ResourceName;
use crate::domain::reason::Reason;
use crate::domain::secret::SecretKey;

/// The resource for which advice is given.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The resource.
    pub name: &'a ResourceName,
    /// Its tenant id.
    pub tenant: Option<&'a TenantId>,
    /// The Secret and the key to which it refers.
    pub secret: Option<&'a SecretKey>,
    /// The resource that holds what it waits for, if that is known.
    pub holder: Option<&'a ResourceName>,
}

/// Returns the advice for a resource with this reason; nothing where nothing must be done.
#[must_use]
pub fn advice(reason: Reason, subject: Subject<'_>) -> Vec<String> {
    let text = |text: &str| vec![text.to_owned()];
    let edit = format!("kubectl {} edit rtenant {}", namespace(subject.name), subject.name.name);
    match reason {
        Reason::Published | Reason::Resolved | Reason::Claimed => Vec::new(),
        Reason::Suspended => vec![format!(
            "to publish it again: kubectl {} patch rtenant {} --type merge -p '{{\"spec\":{{\"suspend\":false}}}}'",
            namespace(subject.name),
            subject.name.name
        )],
        Reason::SpecWarnings => {
            vec![format!("it prevents nothing; correct it, or leave it: {edit}")]
        }
        Reason::InvalidSpec => vec![
            format!("correct the field that the message names: {edit}"),
            "if the API server should have refused it, install the current CRD: runtime-operator crd | kubectl apply -f -"
                .to_owned(),
        ],
        Reason::Unreadable => vec![
            format!("correct the field that the message names, or delete the resource: {edit}"),
            "install the current CRD: runtime-operator crd | kubectl apply -f -".to_owned(),
        ],
        Reason::TenantIdConflict => vec![match subject.holder {
            Some(holder) => format!("delete one of the two, {holder} or {}; the other is published then", subject.name),
            None => format!("delete the resource that holds the tenant id, or this one, {}", subject.name),
        }],
        Reason::DidConflict => vec![match subject.holder {
            Some(holder) => format!(
                "remove the number from one of the two specs; the other gets it immediately: {edit}, or kubectl {} edit \
                 rtenant {}",
                namespace(holder),
                holder.name
            ),
            None => format!("remove the number from the spec of the resource that holds it, or from this one: {edit}"),
        }],
        Reason::NumberInUse => vec![
            "unmap the number where it is published (POST /api/admin/runtime/dids/unmap)".to_owned(),
            take_over(subject.name),
        ],
        Reason::OwnedElsewhere => {
            vec!["delete the resource in the other cluster that the message names".to_owned(), take_over(subject.name)]
        }
        Reason::AdoptionWouldUnmap => {
            vec![format!("list the numbers that the message names in spec.dids: {edit}"), take_over(subject.name)]
        }
        Reason::AdoptionWouldChangeSecret => {
            vec![set_secret(subject.secret, "put the old value into the Secret"), take_over(subject.name)]
        }
        Reason::AdoptionTooLarge => vec![match subject.tenant {
            Some(tenant) => format!("store a smaller config, or: redis-cli del '{}'", escaped(&config_key(tenant))),
            None => "store a smaller config, or remove the key that the message names".to_owned(),
        }],
        Reason::SecretNotFound => vec![match subject.secret {
            Some(SecretKey { secret, key }) => format!(
                "kubectl {} create secret generic {} --from-literal={}=…",
                namespace(secret),
                escaped(&secret.name),
                escaped(key)
            ),
            None => "create the Secret that the message names".to_owned(),
        }],
        Reason::SecretKeyNotFound => vec![
            set_secret(subject.secret, "add the key"),
            format!("or set another key in spec.webhookSecretRef.key: {edit}"),
        ],
        Reason::SecretEmpty => vec![set_secret(subject.secret, "set the value")],
        Reason::SecretNotUtf8 => vec![set_secret(subject.secret, "set a value in UTF-8")],
        Reason::SecretUnreadable => vec![format!(
            "let the operator's ServiceAccount get Secrets in the namespace {}, or repair the API server; the message says \
             which",
            subject.name.namespace
        )],
        Reason::ApiServerUnavailable => text("nothing, or repair the API server: the operator retries"),
        Reason::OwnershipKeptChanging => {
            text("nothing; if it stays, another operator has the same cluster id: give each its own --cluster-id")
        }
        other => vec![of_redis(other).to_owned()],
    }
}

/// The advice for a Redis that can't be used: the same for every resource.
#[must_use]
pub const fn of_redis(reason: Reason) -> &'static str {
    match reason {
        Reason::RedisUnreachable => {
            "check Redis' address, the network and TLS; runtime-operator check says more"
        }
        Reason::RedisTimedOut => {
            "check whether Redis is overloaded or frozen: redis-cli --latency, SLOWLOG GET"
        }
        Reason::RedisFileUnusable => "correct the credential or certificate file that the message names",
        Reason::RedisWrongPassword => "compare the credential files, or the URL, with Redis' ACL (ACL LIST)",
        Reason::RedisNoPermission => "allow the command or key that the message names (docs/security.md)",
        Reason::RedisReadOnly => "point --redis-url at the primary, or use Sentinel (--redis-sentinel)",
        Reason::RedisOutOfMemory => "raise Redis' maxmemory, or remove keys of others",
        Reason::RedisRefusesWrites => {
            "repair Redis' persistence or replication: INFO persistence, INFO replication"
        }
        Reason::RedisLoading => "wait: Redis is loading its data set from disk",
        Reason::RedisClusterMode => "use a Redis with cluster-enabled no",
        Reason::RedisNoPrimary => {
            "check --redis-sentinel, --redis-sentinel-service and the Sentinels that the message names"
        }
        Reason::RedisUnexpected => "read the operator's log",
        Reason::Fenced => "nothing: the leader acquires a new epoch",
        _ => "read the message",
    }
}

/// `-n <namespace>`.
fn namespace(name: &ResourceName) -> String {
    format!("-n {}", name.namespace)
}

fn take_over(name: &ResourceName) -> String {
    format!(
        "or take it over, which reroutes calls: kubectl {} annotate rtenant {} {TAKE_OVER}=true",
        namespace(name),
        name.name
    )
}

fn set_secret(key: Option<&SecretKey>, what: &str) -> String {
    match key {
        Some(SecretKey { secret, key }) => format!(
            "{what}: kubectl {} patch secret {} -p '{{\"stringData\":{{\"{}\":\"…\"}}}}'",
            namespace(secret),
            escaped(&secret.name),
            escaped(key)
        ),
        None => format!("{what} in the Secret that the message names"),
    }
}
