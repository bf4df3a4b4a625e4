//! The parts that are counted, each done for [`EVENTS`] tenants spread over all.

use std::hint::black_box;

use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;

use crate::api::RuntimeTenantStatus;
use crate::contract::{Did, RuntimeTenantConfig, TenantId};
use crate::domain::assessment::{Assessment, PublishedConfig};
use crate::domain::claims::{Claim, Claims, Eligibility, Published};
use crate::domain::plan::{Plan, PlanInput, Rejections, Snapshot};
use crate::domain::status::{self, StatusDetails};
use crate::domain::{ResourceName, Uid, compile};

/// The number of tenants for which each part is done: enough to even out the seeds of hash maps.
const EVENTS: usize = 100;

/// Does a part once for each event. Its input is made beforehand and is not counted.
type Work<'a> = Box<dyn FnMut() + 'a>;

type Prepare = fn(&mut Site) -> Work<'_>;

/// The name of each part, and the function that prepares it.
pub const PARTS: [(&str, Prepare); 10] = [
    ("claims: ten changed specs, and their records", change),
    ("claims: publish order and snapshot", snapshot),
    ("claims: a number that all tenants claim changes its holder", contest),
    ("compile: the claim of a spec", claimed),
    ("compile: the plan of a reconcile", plan),
    ("JSON: a config with its secret, written", write),
    ("JSON: a config, read", read),
    ("E.164: ten DIDs with white space", parse_did),
    ("status: of a published tenant", next_status),
    ("claims: the removal of a resource and its record", remove),
];

/// Tenants of 2 kB with two DIDs each, all published.
pub struct Site {
    tenants: usize,
    claims: Claims,
}

fn uid(tenant: usize) -> Uid {
    Uid::new(format!("7c1f3a52-9d04-4a7e-8b1c-{tenant:012}"))
}

fn did(nth: usize) -> Did {
    Did::parse(&format!("+1555{nth:08}")).expect("it is one")
}

fn id(tenant: usize) -> TenantId {
    TenantId::parse(&format!("tenant-{tenant:05}")).expect("it is one")
}

fn claim(tenant: usize, dids: Vec<Did>) -> Claim {
    Claim {
        uid: uid(tenant),
        name: ResourceName::new("default", &format!("tenant-{tenant:05}")),
        created: 1_700_000_000,
        tenant: id(tenant),
        dids,
        eligibility: Eligibility::Active,
        status_dids: Vec::new(),
        refused_outside: false,
    }
}

fn published(tenant: usize, dids: Vec<Did>) -> Published {
    Published { tenant: id(tenant), dids }
}

fn dids(tenant: usize) -> Vec<Did> {
    vec![did(2 * tenant), did(2 * tenant + 1)]
}

/// A spec as the API server sends it.
fn spec(tenant: usize) -> String {
    let dids = dids(tenant);
    json!({
        "tenantId": id(tenant).as_str(),
        "dids": [dids[0].as_str(), dids[1].as_str()],
        "webhookSecretRef": { "name": "hook", "key": "webhookSecret" },
        "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
        "stt": { "mode": "whisper_http", "whisperUrl": "http://whisper:9000/transcribe", "chunkMs": 100 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "http://kokoro:8880/tts", "voice": "default" },
        "transferProfiles": [{
            "id": "sales", "name": "Sales", "responsibilities": ["orders", "prices"], "destination": "+15559990000",
        }],
        "quickReplies": [{ "match": ["opening hours"], "reply": "We are open on weekdays from nine to five." }],
        "assistantContext": { "about": "We open on weekdays.\n".repeat(60) },
        "deletionPolicy": "Delete",
        "suspend": false,
    })
    .to_string()
}

fn config(tenant: usize) -> RuntimeTenantConfig {
    let spec = compile::read(&spec(tenant)).expect("it can be read");
    compile::compile(&spec, &dids(tenant)).expect("it is valid")
}

impl Site {
    pub fn of(tenants: usize) -> Self {
        let mut claims = Claims::default();
        for tenant in 0..tenants {
            claims.upsert(claim(tenant, dids(tenant)));
            claims.set_published(&uid(tenant), Some(published(tenant, dids(tenant))));
        }
        Self { tenants, claims }
    }

    /// The tenants of the events.
    fn events(&self) -> impl Iterator<Item = usize> + use<> {
        let (tenants, step) = (self.tenants, (self.tenants / EVENTS).max(1));
        (0..EVENTS).map(move |event| event * step % tenants)
    }
}

/// Ten changes for each event, so that one more growth of a hash map makes no difference.
fn change(site: &mut Site) -> Work<'_> {
    let of = |tenant: usize, which: usize| {
        let mut dids = dids(tenant);
        dids[1] = did(50_000_000 + 10 * tenant + which);
        (claim(tenant, dids.clone()), published(tenant, dids))
    };
    let mut changes: Vec<_> =
        site.events().flat_map(|tenant| (0..10).map(move |which| of(tenant, which))).collect();
    Box::new(move || {
        for (claim, published) in changes.drain(..) {
            let uid = claim.uid.clone();
            black_box(site.claims.upsert(claim));
            black_box(site.claims.set_published(&uid, Some(published)));
        }
    })
}

/// The oldest of all tenants, which claim one number, claims it, or does not, in alternation.
fn contest(site: &mut Site) -> Work<'_> {
    let number = did(99_999_999);
    let of = |tenant: usize, dids| Claim {
        created: 1_700_000_000 + i64::try_from(tenant).expect("it is small"),
        ..claim(tenant, dids)
    };
    let mut claims = Claims::default();
    for tenant in 0..site.tenants {
        claims.upsert(of(tenant, vec![number.clone()]));
    }
    let mut changes: Vec<_> =
        (0..EVENTS).map(|event| of(0, if event % 2 == 0 { dids(0) } else { vec![number.clone()] })).collect();
    Box::new(move || {
        for claim in changes.drain(..) {
            black_box(claims.upsert(claim));
        }
    })
}

/// The last part, since the removed tenants don't come back.
fn remove(site: &mut Site) -> Work<'_> {
    let removed: Vec<_> = site.events().map(uid).collect();
    Box::new(move || {
        for uid in &removed {
            black_box(site.claims.remove(uid));
            black_box(site.claims.set_published(uid, None));
        }
    })
}

fn snapshot(site: &mut Site) -> Work<'_> {
    let uids: Vec<_> = site.events().map(uid).collect();
    Box::new(move || {
        for uid in &uids {
            black_box(site.claims.publish_order(uid));
            black_box(Snapshot::of(&site.claims, uid, |_| None));
        }
    })
}

fn claimed(site: &mut Site) -> Work<'_> {
    let specs: Vec<_> = site.events().map(spec).collect();
    Box::new(move || {
        for spec in &specs {
            black_box(compile::claimed(spec));
        }
    })
}

fn plan(site: &mut Site) -> Work<'_> {
    let of = |tenant| (spec(tenant), Snapshot::of(&site.claims, &uid(tenant), |_| None));
    let inputs: Vec<_> = site.events().map(of).collect();
    let rejections = Rejections::default();
    Box::new(move || {
        for (spec, snapshot) in &inputs {
            let plan = PlanInput { spec, generation: 1, snapshot, rejections: &rejections }.plan();
            assert!(matches!(plan, Plan::Publish(_)), "it must be published");
            black_box(plan);
        }
    })
}

fn write(site: &mut Site) -> Work<'_> {
    let configs: Vec<_> = site.events().map(config).collect();
    let secret = SecretString::from("whsec_0123456789abcdef");
    Box::new(move || {
        for config in &configs {
            black_box(config.with_secret(&secret).expect("it is a secret").to_json());
        }
    })
}

fn read(site: &mut Site) -> Work<'_> {
    let texts: Vec<_> = site
        .events()
        .map(|tenant| serde_json::Value::from(config(tenant).document().clone()).to_string())
        .collect();
    Box::new(move || {
        for text in &texts {
            black_box(RuntimeTenantConfig::parse(text).expect("it is a config"));
        }
    })
}

/// Ten DIDs for each event: a single one takes too little to even out differences of the allocator.
fn parse_did(site: &mut Site) -> Work<'_> {
    let of = |tenant| (0..10).map(move |digit| format!(" +1 555\u{a0}{tenant:07}{digit} "));
    let texts: Vec<_> = site.events().flat_map(of).collect();
    Box::new(move || {
        for text in &texts {
            black_box(Did::parse(text).expect("it is a DID"));
        }
    })
}

fn next_status(site: &mut Site) -> Work<'_> {
    let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).expect("it is a time");
    let assessment = |tenant, generation| {
        let config = PublishedConfig { dids: dids(tenant), hash: "0".repeat(64) };
        Assessment::published(generation, config)
    };
    let of = |tenant| {
        (status::next(None, &assessment(tenant, 1), &StatusDetails::read(true), at(0)), assessment(tenant, 2))
    };
    let statuses: Vec<(RuntimeTenantStatus, Assessment)> = site.events().map(of).collect();
    Box::new(move || {
        for (before, assessment) in &statuses {
            black_box(status::next(Some(before), assessment, &StatusDetails::read(true), at(60)));
        }
    })
}
