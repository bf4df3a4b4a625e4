//! Measures the limits of the API server and Redis: the same work as plainly as possible, without an operator.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, channel::mpsc};
use http_body_util::BodyExt;
use hyper::Request;
use kube::api::{ApiResource, DeleteParams, GetParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::client::Body;
use serde_json::json;
use tokio::task::JoinSet;

use crate::figure::{Figure, Spread};
use crate::load::{self, Tenant};
use crate::report::{Report, Row};
use crate::site::{NAMESPACE, Site};

/// The number of statuses that the operator writes concurrently.
const STATUS_WRITES: usize = 16;
/// The number of Secrets that it would read concurrently, one by one.
const SECRET_READS: usize = 64;
/// Enough requests to measure a rate.
const ENOUGH: usize = 2000;
const SAMPLES: usize = 200;
const SERIES: &str = "raw";

/// The measured limits.
#[derive(Default)]
pub struct Limits {
    /// Creates of all resources.
    pub creates: Option<Duration>,
    /// The same with a watch that sees each, and a read of its Secret.
    pub creates_and_reads: Option<Duration>,
    /// Creates of all resources, and a status for each.
    pub creates_and_statuses: Option<Duration>,
    /// Pipelined writes of three keys for each tenant.
    pub pipelined: Option<Duration>,
    pub single: Option<Single>,
}

/// Medians of single requests.
#[derive(Clone, Copy)]
pub struct Single {
    /// From the acknowledged write until a bare watch receives it.
    pub seen: Duration,
    /// A Secret read from the API server's memory.
    pub secret: Duration,
    /// Three keys written to Redis in one round trip.
    pub written: Duration,
}

impl Single {
    /// Returns the time of the steps between an edit, or a rotation, and its being readable.
    pub fn edit(&self) -> Duration {
        self.seen + self.secret + self.written
    }

    pub fn deletion(&self) -> Duration {
        self.seen + self.written
    }

    /// Returns the time of a repair: the notification, then reads of Redis and of the Secret at the same time, then the write.
    pub fn repair(&self) -> Duration {
        self.written + self.secret + self.written
    }
}

impl Limits {
    /// Creates all resources, gives some of them a status, lists them, and deletes them again. Their Secrets exist.
    pub async fn bulk(&mut self, site: &Site, tenants: usize, report: &mut Report) {
        let all = || (0..tenants).map(|number| Tenant::numbered(SERIES, number));
        let some = tenants.min(ENOUGH);
        // An API server that has just started, with almost empty caches, is faster than it will be.
        let warm = (0..some).map(|number| Tenant::numbered("warm", number));
        load::all(warm, load::CONCURRENCY, |tenant| async move {
            load::create_tenant(site, &tenant).await;
            load::delete(site, &tenant).await;
        })
        .await;
        let creates =
            load::all(
                all(),
                load::CONCURRENCY,
                |tenant| async move { load::create_tenant(site, &tenant).await },
            )
            .await;
        report.row(Row::new("creates, 32 concurrently", Figure::Rate(tenants, creates)));
        self.creates = Some(creates);

        let statuses = load::all(all().take(some), STATUS_WRITES, |tenant| set_status(site, tenant)).await;
        report.row(Row::new("status patches, 16 concurrently", Figure::Rate(some, statuses)));
        self.creates_and_statuses = Some(creates + statuses.mul_f64(tenants as f64 / some as f64));
        lists(site, report).await;
        load::all(all(), load::CONCURRENCY, |tenant| async move { load::delete(site, &tenant).await }).await;

        let read = creates_and_reads(site, some).await;
        report.row(Row::new(
            "creates, each seen by a bare watch and its Secret read from memory",
            Figure::Rate(some, read),
        ));
        self.creates_and_reads = Some(read.mul_f64(tenants as f64 / some as f64));
    }

    /// Writes the keys of the tenants to Redis, a thousand tenants in a pipeline.
    pub async fn pipelined(&mut self, site: &Site, tenants: usize, report: &mut Report) {
        let mut connection = site.keys.uncounted();
        let config = "x".repeat(2000);
        let began = Instant::now();
        for first in (0..tenants).step_by(1000) {
            let mut pipeline = redis::pipe();
            for tenant in (first..tenants.min(first + 1000)).map(|number| Tenant::numbered(SERIES, number)) {
                keys_of(&mut pipeline, &tenant, &config);
            }
            pipeline.query_async::<()>(&mut connection).await.unwrap();
        }
        let took = began.elapsed();
        redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
        report.row(Row::new("pipelined Redis writes, 3 keys a tenant", Figure::Rate(tenants * 3, took)));
        self.pipelined = Some(took);
    }

    /// Measures single requests: a bare watch, a read of a Secret, a write to Redis.
    pub async fn single(&mut self, site: &Site, report: &mut Report) {
        let seen = seen(site).await;
        let [mut secrets, mut shown, mut written] = std::array::from_fn(|_| Spread::default());
        let mut connection = site.keys.uncounted();
        let config = "x".repeat(2000);
        for number in 0..SAMPLES {
            let tenant = Tenant::numbered(SERIES, number);
            load::create_secret(site, &tenant).await;
            let began = Instant::now();
            let secret = site.secrets().get(&tenant.name).await.unwrap();
            secrets.add(began.elapsed());
            let version = GetParams::at(&secret.metadata.resource_version.unwrap());
            let began = Instant::now();
            site.secrets().get_with(&tenant.name, &version).await.unwrap();
            shown.add(began.elapsed());
            let mut pipeline = redis::pipe();
            keys_of(&mut pipeline, &tenant, &config);
            let began = Instant::now();
            pipeline.query_async::<()>(&mut connection).await.unwrap();
            written.add(began.elapsed());
            site.secrets().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
        }
        redis::cmd("FLUSHALL").query_async::<()>(&mut connection).await.unwrap();
        self.single = Some(Single { seen: seen.median(), secret: shown.median(), written: written.median() });
        report.row(Row::new("created -> received by a bare watch", Figure::Spread(seen)));
        report.row(Row::new("one Secret read", Figure::Spread(secrets)));
        report.row(Row::new("one Secret read from memory", Figure::Spread(shown)));
        report.row(Row::new("one tenant's 3 keys written to Redis", Figure::Spread(written)));
    }
}

fn keys_of(pipeline: &mut redis::Pipeline, tenant: &Tenant, config: &str) {
    pipeline.set(tenant.config_key(), config).ignore();
    for which in 0..2 {
        pipeline.set(format!("tenantmap:did:{}", tenant.did(which)), &tenant.name).ignore();
    }
}

/// Returns a status as large as the operator's.
async fn set_status(site: &Site, tenant: Tenant) {
    let condition = |type_: &str| {
        json!({
            "type": type_, "status": "True", "reason": "Published", "observedGeneration": 1,
            "message": "published with all its numbers", "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    };
    let conditions = ["Ready", "SecretResolved", "DidsClaimed", "Published"].map(condition);
    let status = json!({ "status": {
        "observedGeneration": 1,
        "conditions": conditions,
        "publishedDids": [tenant.did(0), tenant.did(1)],
        "publishedDidCount": 2,
        "publishedHash": "0".repeat(40),
        "lastPublishedTime": "2026-01-01T00:00:00Z",
    }});
    let patch = Patch::Merge(status);
    site.tenants().patch_status(&tenant.name, &PatchParams::default(), &patch).await.unwrap();
}

/// Watches tenants that are created from now on, and sends each with the time of its event, until dropped.
async fn watch(site: &Site) -> (mpsc::UnboundedReceiver<(String, Instant)>, JoinSet<()>) {
    let version = site.tenants().list(&kube::api::ListParams::default().limit(1)).await.unwrap().metadata;
    let (seen, sightings) = mpsc::unbounded();
    let (tenants, mut watching) = (site.tenants(), JoinSet::new());
    watching.spawn(async move {
        let version = version.resource_version.unwrap();
        let mut events = tenants.watch(&WatchParams::default(), &version).await.unwrap().boxed();
        while let Some(event) = events.try_next().await.unwrap() {
            if let WatchEvent::Added(object) = event {
                seen.unbounded_send((object.metadata.name.unwrap(), Instant::now())).unwrap();
            }
        }
    });
    (sightings, watching)
}

/// Measures the requests that any operator needs which publishes immediately and holds no Secrets in memory.
async fn creates_and_reads(site: &Site, tenants: usize) -> Duration {
    let (sightings, _watching) = watch(site).await;
    let began = Instant::now();
    let all = || (0..tenants).map(|number| Tenant::numbered("t", number));
    let creates = load::all(all(), load::CONCURRENCY, |tenant| async move {
        load::create_tenant(site, &tenant).await;
    });
    let reads = sightings.take(tenants).for_each_concurrent(SECRET_READS, |(name, _)| async move {
        site.secrets().get_with(&name, &GetParams::any()).await.unwrap();
    });
    tokio::join!(creates, reads);
    let took = began.elapsed();
    load::all(all(), load::CONCURRENCY, |tenant| async move { load::delete(site, &tenant).await }).await;
    took
}

async fn seen(site: &Site) -> Spread {
    let (mut sightings, _watching) = watch(site).await;
    let mut spread = Spread::default();
    for number in 0..SAMPLES {
        let tenant = Tenant::numbered(SERIES, number);
        load::create_tenant(site, &tenant).await;
        let acknowledged = Instant::now();
        let (name, at) = sightings.next().await.unwrap();
        assert_eq!(name, tenant.name);
        spread.add(at.saturating_duration_since(acknowledged));
        load::delete(site, &tenant).await;
    }
    spread
}

/// Measures reads of single Secrets, and lists of all of them in pages.
pub async fn secret_reads(site: &Site, series: &str, tenants: usize, report: &mut Report) {
    let some = tenants.min(ENOUGH);
    let names = (0..some).map(|number| Tenant::numbered(series, number).name);
    let one_by_one = load::all(names, SECRET_READS, |name| async move {
        site.secrets().get(&name).await.unwrap();
    })
    .await;
    report.row(Row::new("Secrets read one by one, 64 concurrently", Figure::Rate(some, one_by_one)));
    let (took, _) = pages(site, &format!("/api/v1/namespaces/{NAMESPACE}/secrets")).await;
    report.row(Row::new("all Secrets listed, in pages of 500", Figure::Rate(tenants, took)));
}

fn collection() -> String {
    let ApiResource { group, version, plural, .. } = Site::resource();
    format!("/apis/{group}/{version}/{plural}")
}

/// Measures both ways to read all resources; nothing is decoded.
async fn lists(site: &Site, report: &mut Report) {
    let (took, bytes) = pages(site, &collection()).await;
    report.row(Row::new(format!("list of {} MB in pages of 500", bytes / 1_000_000), Figure::Time(took)));
    let (took, bytes) = streamed(site).await;
    report.row(Row::new(format!("the same by watch-list ({} MB)", bytes / 1_000_000), Figure::Time(took)));
}

/// Returns the time to list all resources in pages.
pub async fn list(site: &Site) -> Duration {
    pages(site, &collection()).await.0
}

async fn pages(site: &Site, path: &str) -> (Duration, usize) {
    let (began, mut bytes, mut token) = (Instant::now(), 0, String::new());
    loop {
        let uri = format!("{path}?limit=500&continue={token}");
        let text = site.client.request_text(Request::get(uri).body(Vec::new()).unwrap()).await.unwrap();
        bytes += text.len();
        // The list's metadata comes before the items or after them, depending on its encoder; items have no such member.
        let found = text.split_once(r#""continue":""#).and_then(|(_, rest)| rest.split_once('"'));
        match found.map(|(token, _)| token).filter(|token| !token.is_empty()) {
            Some(next) => next.clone_into(&mut token),
            None => return (began.elapsed(), bytes),
        }
    }
}

async fn streamed(site: &Site) -> (Duration, usize) {
    let query =
        "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let request = Request::get(format!("{}?{query}", collection())).body(Body::empty()).unwrap();
    let (began, mut bytes, mut line) = (Instant::now(), 0, Vec::new());
    let mut body = site.client.send(request).await.unwrap().into_body();
    loop {
        let frame = body.frame().await.expect("the watch is open").unwrap();
        for piece in frame.data_ref().into_iter().flat_map(|data| data.split_inclusive(|byte| *byte == b'\n'))
        {
            bytes += piece.len();
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                if line.starts_with(br#"{"type":"BOOKMARK""#) {
                    return (began.elapsed(), bytes);
                }
                line.clear();
            }
        }
    }
}
