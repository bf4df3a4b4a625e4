//! Memory and fairness under attack: what hostile resources and hostile clients take, and what another tenant notices of it.

use std::time::{Duration, Instant};

use hyper::Method;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use test_support::proxy::{FaultInjector, KubeProxy, PathFault};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::figure::{Figure, Goal, Spread};
use crate::hostile;
use crate::load::{self, Tenant};
use crate::memory::{self, MemoryLimit};
use crate::operator::{Backlog, Operator};
use crate::report::{Report, Row};
use crate::site::{NAMESPACE, Site, TIMEOUT};

/// The namespace of the attacker.
const HOSTILE: &str = "hostile";
/// The tenant that is edited meanwhile, in another namespace.
const VICTIM: &str = "victim";
/// The interval of its edits.
const EDITED_EVERY: Duration = Duration::from_millis(50);
/// The goal of an edit's p99, in milliseconds.
const GOAL: f64 = 50.0;
/// The resources that an attacker creates concurrently.
const CONCURRENCY: usize = 8;

/// An attack by resources.
struct Attack {
    name: &'static str,
    resources: Vec<Value>,
}

fn resource(number: usize, dids: &[String], extensions: &Value) -> Value {
    let mut resource = serde_json::to_value(Tenant::numbered(HOSTILE, number).resource()).unwrap();
    resource["spec"]["webhookSecretRef"]["name"] = json!(HOSTILE);
    resource["spec"]["dids"] = json!(dids);
    resource["spec"]["extensions"] = extensions.clone();
    resource
}

fn of_size(count: usize, bytes: usize) -> Vec<Value> {
    let of = |number| resource(number, &[format!("+1777{number:07}")], &json!({ "x": "x".repeat(bytes) }));
    (0..count).map(of).collect()
}

fn attacks(scale: f64) -> Vec<Attack> {
    let scaled = |count: usize| ((count as f64 * scale) as usize).max(1);
    let bomb = json!({ "x": vec![json!({ "": 0 }); 200_000] });
    let same: Vec<String> = (0..500).map(|number| format!("+1778{number:07}")).collect();
    vec![
        Attack {
            name: "one bomb: 200,000 objects in an extension, 1.4 MB",
            resources: vec![resource(0, &["+17770000000".to_owned()], &bomb)],
        },
        Attack { name: "20 tenants of 105 kB", resources: of_size(20, 105_000) },
        Attack { name: "60 tenants of 1.3 MB", resources: of_size(60, 1_300_000) },
        Attack { name: "1,000 tenants of 100 kB", resources: of_size(scaled(1000), 100_000) },
        Attack {
            name: "1,500 tenants with the same 500 numbers",
            resources: (0..scaled(1500)).map(|number| resource(number, &same, &json!({}))).collect(),
        },
    ]
}

/// Measures every attack; returns true if the operator survives each below the limit. `scale`: the part of the largest
/// numbers that is created.
pub async fn measure(scale: f64) -> bool {
    let mut report = Report::new("attack", 1);
    let limit = MemoryLimit::find().await;
    report.section(&format!("memory under attack, {}", limit.text()));
    if scale < 1.0 {
        report.say(&format!("the largest numbers are multiplied by {scale}"));
    }
    let site = Site::start().await;
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": HOSTILE } })).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), HOSTILE);
    let secret = json!({ "metadata": { "name": HOSTILE }, "stringData": { "webhookSecret": "whsec_bench" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let victim = Tenant { name: VICTIM.to_owned(), ..Tenant::numbered(VICTIM, 1) };
    load::create(&site, &victim).await;
    let mut survived = true;
    for attack in attacks(scale) {
        let name = format!(
            "{}{}",
            attack.name,
            if scale < 1.0 { format!(", {}", attack.resources.len()) } else { String::new() }
        );
        survived &= by_resources(&site, &limit, &name, attack.resources, &mut report).await;
    }
    survived &= by_clients(&site, &limit, &mut report).await;
    report.section("fairness");
    many_changes(&site, ((10_000.0 * scale) as usize).max(100), &mut report).await;
    hanging_secrets(&site, ((1000.0 * scale) as usize).max(100), &mut report).await;
    let good = survived && report.is_good();
    report.finish();
    good
}

/// The attacker creates all resources, and the operator restarts among them.
async fn by_resources(
    site: &Site,
    limit: &MemoryLimit,
    name: &str,
    resources: Vec<Value>,
    report: &mut Report,
) -> bool {
    let operator = started(site, limit, &[]).await;
    let edits = Edits::start(site);
    let hostile = hostile_tenants(site);
    create_all(&hostile, resources, CONCURRENCY).await;
    wait_idle(&operator).await;
    let latencies = edits.finish().await;
    let (rss, peak) = operator.memory();
    operator.process.stop().await.unwrap();
    operator.process.restart().await.unwrap();
    limit.apply(operator.process.id().unwrap());
    wait_idle(&operator).await;
    let (_, at_start) = operator.memory();
    report.row(Row::new(name, Figure::Memory(rss, peak.max(at_start))));
    edit_row(name, latencies, report);
    operator.process.stop().await.unwrap();
    hostile.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    remove_finalizers(&hostile).await;
    memory::is_within_limit(peak.max(at_start))
}

async fn by_clients(site: &Site, limit: &MemoryLimit, report: &mut Report) -> bool {
    let mut survived = true;
    let admin = [("ENABLE_RUNTIME_ADMIN", "true")];
    let open = [("ENABLE_RUNTIME_ADMIN", "true"), ("RUNTIME_ADMIN_AUTH", "none")];
    let names = [
        "4,000 denied requests with paths of 30 kB",
        "8,000 half requests to the telemetry port",
        "40 clients that do not read a config of 9.9 MB",
    ];
    for (which, name) in names.into_iter().enumerate() {
        let operator = started(site, limit, if which == 2 { &open } else { &admin }).await;
        let edits = Edits::start(site);
        match which {
            0 => hostile::denied_requests(operator.admin(), &hostile::token(site).await, 4000).await,
            1 => hostile::half_requests(operator.telemetry_address(), 8000).await,
            _ => hostile::silent_readers(site, operator.admin(), 40).await,
        }
        let latencies = edits.finish().await;
        let (rss, peak) = operator.memory();
        report.row(Row::new(name, Figure::Memory(rss, peak)));
        edit_row(name, latencies, report);
        survived &= memory::is_within_limit(peak) && operator.process.id().is_some();
        operator.process.stop().await.unwrap();
    }
    survived
}

/// The namespace of the attacker has this many tenants, all of which change.
async fn many_changes(site: &Site, count: usize, report: &mut Report) {
    let operator = site.operator().await;
    let hostile = hostile_tenants(site);
    create_all(&hostile, of_size(count, 10), load::CONCURRENCY).await;
    wait_idle(&operator).await;
    let edits = Edits::start(site);
    load::all(0..count, load::CONCURRENCY, |number| {
        let hostile = &hostile;
        async move {
            let name = Tenant::numbered(HOSTILE, number).name;
            load::edit(hostile, &name, json!({ "caps": { "maxCallsPerMinuteTenant": 61 } })).await;
        }
    })
    .await;
    edit_row(&format!("{count} changes in one namespace"), edits.finish().await, report);
    operator.process.stop().await.unwrap();
}

/// The namespace of the attacker has this many new tenants, and no read of their Secret is ever answered.
async fn hanging_secrets(site: &Site, count: usize, report: &mut Report) {
    let hostile = hostile_tenants(site);
    hostile.delete_collection(&DeleteParams::default(), &ListParams::default()).await.unwrap();
    remove_finalizers(&hostile).await;
    let proxy = KubeProxy::start(site.kubeconfig(), FaultInjector::default()).await;
    let secret = format!("/namespaces/{HOSTILE}/secrets/{HOSTILE}");
    proxy.fail_requests(Method::GET, &secret, PathFault::Never);
    let kubeconfig = site.write_file("proxy.kubeconfig", &proxy.kubeconfig(NAMESPACE));
    let operator = site.operator_with(&[("KUBECONFIG", kubeconfig.to_str().unwrap())]).await;
    let edits = Edits::start(site);
    create_all(&hostile, of_size(count, 10), load::CONCURRENCY).await;
    assert!(proxy.failed() > 0, "the Secret is read");
    let name = format!("{count} new tenants in one namespace whose Secret hangs");
    edit_row(&name, edits.finish().await, report);
    operator.process.stop().await.unwrap();
}

fn edit_row(name: &str, latencies: Spread, report: &mut Report) {
    let row = Row::new(format!("{name}: another tenant's edit -> readable"), Figure::Spread(latencies));
    report.row(row.goal(Goal::Millis(GOAL, GOAL)));
}

async fn create_all(tenants: &Api<DynamicObject>, resources: Vec<Value>, concurrency: usize) {
    load::all(resources, concurrency, |resource| async move {
        let resource: DynamicObject = serde_json::from_value(resource).unwrap();
        tenants.create(&PostParams::default(), &resource).await.unwrap();
    })
    .await;
}

fn hostile_tenants(site: &Site) -> Api<DynamicObject> {
    Api::namespaced_with(site.client.clone(), HOSTILE, &Site::resource())
}

async fn started(site: &Site, limit: &MemoryLimit, variables: &[(&str, &str)]) -> Operator {
    let operator = site.operator_with(variables).await;
    limit.apply(operator.process.id().unwrap());
    wait_idle(&operator).await;
    operator
}

/// Waits until nothing is queued twice in a row.
async fn wait_idle(operator: &Operator) {
    let began = Instant::now();
    let mut idle = 0;
    while idle < 2 {
        assert!(began.elapsed() < TIMEOUT, "the operator does not become idle");
        tokio::time::sleep(Duration::from_millis(250)).await;
        idle = if operator.work().await.backlog == Backlog::default() { idle + 1 } else { 0 };
    }
}

/// Removes finalizers, which no operator does that does not run.
async fn remove_finalizers(tenants: &Api<DynamicObject>) {
    let left = tenants.list(&ListParams::default().limit(100)).await.unwrap();
    if left.items.is_empty() {
        return;
    }
    for item in left.items {
        let patch = json!({ "metadata": { "finalizers": null } });
        let name = item.metadata.name.unwrap();
        let _ = tenants.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    }
    Box::pin(remove_finalizers(tenants)).await;
}

/// Edits of the victim, each measured from its acknowledgement until Redis has it.
struct Edits {
    stop: watch::Sender<bool>,
    task: JoinHandle<Spread>,
}

impl Edits {
    fn start(site: &Site) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (tenants, mut redis) = (site.tenants(), site.keys.uncounted());
        let task = tokio::spawn(async move {
            let mut latencies = Spread::default();
            let base = std::process::id() % 1000 * 1000;
            for calls in base + 1.. {
                load::edit(&tenants, VICTIM, json!({ "caps": { "maxCallsPerMinuteTenant": calls } })).await;
                let began = Instant::now();
                let wanted = format!("\"maxCallsPerMinuteTenant\":{calls}}}");
                loop {
                    let config: Option<String> = redis::cmd("GET")
                        .arg(format!("tenantcfg:{VICTIM}"))
                        .query_async(&mut redis)
                        .await
                        .unwrap();
                    if config.is_some_and(|config| config.contains(&wanted)) {
                        break;
                    }
                    assert!(began.elapsed() < TIMEOUT, "the victim's edit is not published");
                    tokio::time::sleep(Duration::from_micros(500)).await;
                }
                latencies.add(began.elapsed());
                if *stopped.borrow() && latencies.len() >= 20 {
                    break;
                }
                tokio::time::sleep(EDITED_EVERY).await;
            }
            latencies
        });
        Self { stop, task }
    }

    async fn finish(self) -> Spread {
        self.stop.send_replace(true);
        self.task.await.unwrap()
    }
}
