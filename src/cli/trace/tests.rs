//! Each reason with the trace that follows from it, and the situations beside them.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::json;

use super::document::Trace;
use super::facts::{ClaimantFacts, ClusterFacts, Query, SecretFacts, TraceFacts};
use super::judge::judge;
use super::render::text;
use crate::api::RuntimeTenantStatus;
use crate::cli::common::{Outcome, Style, json_of};
use crate::contract::{Did, TenantId, did_key};
use crate::domain::assessment::{
    Assessment, Holder, NotPublished, PublishedConfig, SecretFault, SecretFaultKind, UnavailableDid,
};
use crate::domain::reason::Reason;
use crate::domain::secret::SecretKey;
use crate::domain::status::{self, StatusDetails};
use crate::domain::{ResourceName, Uid};
use crate::store::{ConfigFacts, DidFacts, Facts, Fault, RecordFacts, TenantFacts};

const NUMBER: &str = "+15551234567";
const OTHER: &str = "+15551234568";

fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("north-clinic").unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

fn published() -> Assessment {
    Assessment::published(2, PublishedConfig { dids: vec![did(NUMBER)], hash: "h".to_owned() })
}

fn new(why: NotPublished) -> Assessment {
    Assessment { wanted: 1, ..Assessment::not_published(2, why) }
}

fn secret_key() -> SecretKey {
    SecretKey {
        secret: ResourceName::new("default", "north-clinic-webhook"),
        key: "webhookSecret".to_owned(),
    }
}

fn secret(what: SecretFaultKind) -> NotPublished {
    let SecretKey { secret, key } = secret_key();
    NotPublished::Secret(SecretFault { secret, key, what })
}

fn held(holder: Holder) -> Assessment {
    let unavailable = vec![UnavailableDid { did: did(NUMBER), holder }];
    Assessment { unavailable, ..new(NotPublished::NoDids) }
}

/// A state with this reason.
fn assessment(reason: Reason) -> Assessment {
    let elsewhere = Holder::Elsewhere { cluster: "east".to_owned(), owner: "voice/acme".to_owned() };
    match reason {
        Reason::Published | Reason::Resolved | Reason::Claimed | Reason::SpecWarnings => published(),
        Reason::Suspended => Assessment { not_published: Some(NotPublished::Suspended), ..published() },
        Reason::InvalidSpec => new(NotPublished::Invalid(vec![
            "spec.caps.maxCallsPerMinuteTenant must be greater than 0".to_owned(),
        ])),
        Reason::Unreadable => {
            new(NotPublished::Unreadable("spec.dids[1] invalid type: integer `7`".to_owned()))
        }
        Reason::TenantIdConflict => {
            new(NotPublished::Tenant(Holder::Resource(ResourceName::new("team-a", "north"))))
        }
        Reason::DidConflict => held(Holder::Resource(ResourceName::new("team-a", "north"))),
        Reason::NumberInUse => held(Holder::Unmanaged("legacy".to_owned())),
        Reason::OwnedElsewhere => held(elsewhere),
        Reason::AdoptionWouldUnmap => new(NotPublished::WouldUnmap(vec![did(OTHER)])),
        Reason::AdoptionWouldChangeSecret => new(NotPublished::WouldChangeSecret),
        Reason::AdoptionTooLarge => new(NotPublished::TooLarge(tenant())),
        Reason::SecretNotFound => new(secret(SecretFaultKind::NotFound)),
        Reason::SecretKeyNotFound => new(secret(SecretFaultKind::KeyNotFound)),
        Reason::SecretEmpty => new(secret(SecretFaultKind::Empty)),
        Reason::SecretNotUtf8 => new(secret(SecretFaultKind::NotUtf8)),
        Reason::SecretUnreadable => {
            new(secret(SecretFaultKind::Unreadable("secrets is forbidden".to_owned())))
        }
        reason => {
            let message = format!("the words of {reason}");
            Assessment {
                not_published: Some(NotPublished::Failed { reason, message }),
                current: false,
                ..published()
            }
        }
    }
}

fn claimant(assessment: &Assessment, warnings: &[&str]) -> ClaimantFacts {
    let warnings = warnings.iter().map(|line| (*line).to_owned()).collect();
    let details = StatusDetails { warnings, ..StatusDetails::read(assessment.published.is_some()) };
    ClaimantFacts {
        name: ResourceName::new("default", "north-clinic"),
        uid: Uid::from("u1"),
        generation: 2,
        created: at(0),
        deleting: false,
        tenant: Some(tenant()),
        dids: vec![did(NUMBER)],
        secret: Some(secret_key()),
        status: status::next(None, assessment, &details, at(60)),
        waits_for: None,
        holds: true,
    }
}

fn other_claimant() -> ClaimantFacts {
    let waiting = held(Holder::Resource(ResourceName::new("default", "north-clinic")));
    ClaimantFacts {
        name: ResourceName::new("team-a", "north"),
        uid: Uid::from("u2"),
        status: status::next(None, &waiting, &StatusDetails::read(false), at(720)),
        tenant: TenantId::parse("north").ok(),
        holds: false,
        ..claimant(&published(), &[])
    }
}

fn config() -> ConfigFacts {
    ConfigFacts {
        key: "tenantcfg:north-clinic".to_owned(),
        bytes: 812,
        sha1: Some("0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33".to_owned()),
        valid: Some(true),
        faults: Vec::new(),
        dids: vec![NUMBER.to_owned()],
        tenant_id: Some("north-clinic".to_owned()),
        document: None,
    }
}

fn redis(mapped: Option<&str>, config: Option<ConfigFacts>) -> Facts {
    let record = RecordFacts {
        cluster: "west".to_owned(),
        owner: "default/north-clinic".to_owned(),
        uid: "u1".to_owned(),
        generation: 2,
        secret_version: "s/7".to_owned(),
        dids: vec![NUMBER.to_owned()],
        hash: "h".to_owned(),
        sha1: "0beec7b5ea3f0fdbc95d0dd47f3c5bc275da8a33".to_owned(),
        stamped_sha1: None,
    };
    let dids = vec![DidFacts {
        did: NUMBER.to_owned(),
        key: did_key(&did(NUMBER)),
        tenant_id: mapped.map(str::to_owned),
    }];
    let tenant = mapped.map(|tenant| TenantFacts {
        tenant_id: tenant.to_owned(),
        record: config.is_some().then_some(record),
        config,
    });
    Facts { dids, tenants: tenant.into_iter().collect(), ..Facts::default() }
}

fn facts(redis: Result<Facts, String>, cluster: Result<ClusterFacts, String>) -> TraceFacts {
    let tenant = redis.as_ref().ok().and_then(|facts| facts.tenants.first());
    let tenant = tenant.and_then(|tenant| TenantId::parse(&tenant.tenant_id).ok());
    TraceFacts { query: Query::Number(did(NUMBER)), tenant, redis, cluster, now: at(900) }
}

fn cluster(claimants: Vec<ClaimantFacts>) -> ClusterFacts {
    let secret = Some(Ok(SecretFacts { version: Some("s/7".to_owned()), fault: None }));
    ClusterFacts { claimants, missing: Vec::new(), secret }
}

/// The facts in which a resource has this reason.
fn with_reason(reason: Reason) -> TraceFacts {
    let assessment = assessment(reason);
    let warnings: &[&str] =
        if reason == Reason::SpecWarnings { &["stt.model: no known runtime reads it"] } else { &[] };
    let mut first = claimant(&assessment, warnings);
    let live = assessment.published.is_some();
    let mapped = match reason {
        Reason::NumberInUse => Some("legacy"),
        Reason::DidConflict => Some("north"),
        _ if live => Some("north-clinic"),
        _ => None,
    };
    let mut claimants = Vec::new();
    if matches!(reason, Reason::DidConflict | Reason::TenantIdConflict) {
        first.holds = false;
        first.waits_for = Some(ResourceName::new("team-a", "north"));
        let ready = published();
        let status = status::next(None, &ready, &StatusDetails::read(true), at(60));
        claimants.push(ClaimantFacts { holds: true, status, ..other_claimant() });
    }
    // The trace is about the resource that waits, as a person asks who sees its condition.
    claimants.insert(0, first);
    let mut cluster = cluster(claimants);
    cluster.secret = match &assessment.not_published {
        Some(NotPublished::Secret(fault)) => Some(match &fault.what {
            SecretFaultKind::NotFound => Ok(SecretFacts { version: None, fault: None }),
            SecretFaultKind::Unreadable(why) => Err(why.clone()),
            what => Ok(SecretFacts { version: Some("s/7".to_owned()), fault: Some(what.clone()) }),
        }),
        _ => cluster.secret,
    };
    let config = mapped.map(|tenant| ConfigFacts {
        key: format!("tenantcfg:{tenant}"),
        tenant_id: Some(tenant.to_owned()),
        ..config()
    });
    facts(Ok(redis(mapped, config)), Ok(cluster))
}

fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

fn written(trace: &Trace) -> String {
    format!("{}exit {}\n", text(trace, Style::plain()), trace.outcome().code())
}

#[test]
fn every_reason_has_its_trace_and_its_advice() {
    let (mut texts, mut documents) = (String::new(), String::new());
    for reason in Reason::ALL {
        let trace = judge(&with_reason(reason));
        writeln!(texts, "{reason}\n{}", written(&trace)).unwrap();
        writeln!(documents, "{reason}\n{}", json_of(&trace).unwrap()).unwrap();
        let fine = [Reason::Published, Reason::Resolved, Reason::Claimed];
        let own = trace.advice.iter().filter(|advice| !advice.contains(" answered by ")).count();
        assert_eq!(own == 0, fine.contains(&reason), "{reason}: {:?}", trace.advice);
    }
    snapshot("reasons", &texts);
    snapshot("reasons_json", &documents);
}

#[test]
fn every_situation_has_its_trace() {
    let ready = || claimant(&published(), &[]);
    let mapped = || Ok(redis(Some("north-clinic"), Some(config())));
    let fault =
        Fault { code: "too_small".to_owned(), path: "caps".to_owned(), message: "must be given".to_owned() };
    let refused = ConfigFacts { valid: Some(false), faults: vec![fault], dids: Vec::new(), ..config() };
    let unlisted = ConfigFacts { dids: vec![OTHER.to_owned()], ..config() };
    let none = || Err::<Facts, String>("the admin routes are disabled; pods/exec: forbidden".to_owned());
    let partly = ClusterFacts {
        missing: vec!["RuntimeTenants of all namespaces: forbidden".to_owned()],
        ..cluster(vec![ready()])
    };
    let old_secret = ClusterFacts {
        secret: Some(Ok(SecretFacts { version: Some("s/8".to_owned()), fault: None })),
        ..cluster(vec![ready()])
    };
    let hostile = "\u{1b}[2J\u{202e}evil\nok";
    let cases: Vec<(&str, TraceFacts)> = vec![
        ("another waits", facts(mapped(), Ok(cluster(vec![ready(), other_claimant()])))),
        ("no config", facts(Ok(redis(Some("north-clinic"), None)), Ok(cluster(vec![ready()])))),
        (
            "a config that is refused",
            facts(Ok(redis(Some("north-clinic"), Some(refused))), Ok(cluster(vec![ready()]))),
        ),
        (
            "a config without the number",
            facts(Ok(redis(Some("north-clinic"), Some(unlisted))), Ok(cluster(vec![ready()]))),
        ),
        ("drift: not mapped", facts(Ok(redis(None, None)), Ok(cluster(vec![ready()])))),
        (
            "drift: mapped elsewhere",
            facts(Ok(redis(Some("legacy"), Some(config()))), Ok(cluster(vec![ready()]))),
        ),
        ("no resource claims it", facts(mapped(), Ok(cluster(Vec::new())))),
        ("it is unknown", facts(Ok(redis(None, None)), Ok(cluster(Vec::new())))),
        ("a rotated secret", facts(mapped(), Ok(old_secret))),
        (
            "no status yet",
            facts(
                mapped(),
                Ok(cluster(vec![ClaimantFacts { status: RuntimeTenantStatus::default(), ..ready() }])),
            ),
        ),
        ("behind", facts(mapped(), Ok(cluster(vec![ClaimantFacts { generation: 3, ..ready() }])))),
        ("being deleted", facts(mapped(), Ok(cluster(vec![ClaimantFacts { deleting: true, ..ready() }])))),
        ("without Redis", facts(none(), Ok(cluster(vec![ready()])))),
        ("without the cluster", facts(mapped(), Err("no cluster: the kubeconfig is missing".to_owned()))),
        ("with few rights", facts(mapped(), Ok(partly))),
        ("a hostile tenant id", facts(Ok(redis(Some(hostile), None)), Ok(cluster(Vec::new())))),
        (
            "a resource",
            TraceFacts {
                query: Query::Resource(ResourceName::new("default", "north-clinic")),
                ..facts(mapped(), Ok(cluster(vec![ready()])))
            },
        ),
        (
            "a tenant",
            TraceFacts { query: Query::Tenant(tenant()), ..facts(mapped(), Ok(cluster(vec![ready()]))) },
        ),
    ];
    let mut texts = String::new();
    for (name, facts) in &cases {
        writeln!(texts, "{name}\n{}", written(&judge(facts))).unwrap();
    }
    assert!(!texts.contains(['\u{1b}', '\u{202e}']), "{texts}");
    snapshot("situations", &texts);
}

#[test]
fn what_was_not_read_leaves_the_answer_open() {
    let ready = || cluster(vec![claimant(&published(), &[])]);
    let mapped = || Ok(redis(Some("north-clinic"), Some(config())));
    let missing = ClusterFacts { missing: vec!["all namespaces".to_owned()], ..ready() };
    assert_eq!(judge(&facts(mapped(), Ok(ready()))).outcome(), Outcome::Clean);
    assert_eq!(judge(&facts(mapped(), Ok(missing))).outcome(), Outcome::Unknown);
    assert_eq!(judge(&facts(mapped(), Err("no".to_owned()))).outcome(), Outcome::Unknown);
    assert_eq!(judge(&facts(Err("no".to_owned()), Ok(ready()))).outcome(), Outcome::Unknown);
    assert_eq!(judge(&facts(Ok(redis(None, None)), Ok(ready()))).outcome(), Outcome::Found);
}

#[test]
fn a_document_is_printed_with_its_secrets_hidden() {
    let shown = ConfigFacts {
        document: Some(json!({ "tenantId": "a\u{202e}b", "webhookSecret": "***" })),
        ..config()
    };
    let facts = facts(Ok(redis(Some("north-clinic"), Some(shown))), Ok(cluster(Vec::new())));
    let text = text(&judge(&facts), Style::plain());
    assert!(text.contains("\"webhookSecret\": \"***\"") && text.contains("a\\u{202e}b"), "{text}");
}
