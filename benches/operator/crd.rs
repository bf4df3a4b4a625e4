//! What a create costs the API server, compared with another version of the CRD. One cluster each, of which one after the other
//! creates the same resources.

use std::fs;
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use local_cluster::Cluster;
use serde_json::{Value, json};

use crate::figure::{Spread, short};
use crate::machine::Machine;
use crate::site::{NAMESPACE, Site};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/full.yaml");
const NOW: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");
/// A create may take longer by this share than with the other CRD.
const MOST: f64 = 1.05;

/// An API server with one version of the CRD, and what the rounds took.
struct Side {
    name: String,
    cluster: Cluster,
    tenants: Api<DynamicObject>,
    times: Spread,
    cpu: Vec<f64>,
}

/// Returns true if creates are not slower by more than the limit.
pub async fn measure(other: &str, creates: usize, rounds: usize) -> bool {
    let machine = Machine::watched();
    let mut sides = [Side::start("before", other).await, Side::start("now", NOW).await];
    for side in &mut sides {
        side.round("warm", creates).await;
        (side.times, side.cpu) = (Spread::default(), Vec::new());
    }
    for round in 0..rounds {
        for side in &mut sides {
            side.round(&format!("round-{round}"), creates).await;
        }
        sides.reverse();
    }
    sides.sort_by(|one, other| one.name.cmp(&other.name));
    let [before, now] = &sides;
    println!("{rounds} rounds of {creates} creates of examples/full.yaml. {}\n", machine.otherwise().say());
    println!("| CRD | p50 | p99 | CPU of the API server each |\n| --- | --- | --- | --- |");
    for side in &sides {
        let (median, most) = (short(side.times.median()), short(side.times.quantile(99)));
        println!("| {} | {median} | {most} | {:.2} ms |", side.name, side.processor());
    }
    let time = now.times.median().as_secs_f64() / before.times.median().as_secs_f64();
    let cpu = now.processor() / before.processor();
    println!("| ratio | {time:.2} | | {cpu:.2} |");
    let is_good = time <= MOST && cpu <= MOST;
    for side in sides {
        side.cluster.stop().await.unwrap();
    }
    is_good
}

impl Side {
    async fn start(name: &str, crd: &str) -> Self {
        let cluster = Cluster::start().await.unwrap();
        cluster.apply_file(crd).await.unwrap();
        let client = cluster.client().await.unwrap();
        let tenants = Api::namespaced_with(client, NAMESPACE, &Site::resource());
        Self { name: name.to_owned(), cluster, tenants, times: Spread::default(), cpu: Vec::new() }
    }

    async fn round(&mut self, series: &str, creates: usize) {
        let before = self.used();
        for number in 0..creates {
            let tenant = tenant(&format!("{series}-{number}"));
            let began = Instant::now();
            self.tenants.create(&PostParams::default(), &tenant).await.unwrap();
            self.times.add(began.elapsed());
        }
        let used = self.used().saturating_sub(before);
        self.cpu.push(used.as_secs_f64() * 1000.0 / creates as f64);
        let (how, all) = (DeleteParams::default(), ListParams::default());
        let _ = self.tenants.delete_collection(&how, &all).await.unwrap();
    }

    /// The processor time of the API server's threads so far.
    fn used(&self) -> Duration {
        let process = self.cluster.api_server().id().unwrap();
        let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let of_thread = |thread: std::io::Result<fs::DirEntry>| {
            let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        };
        Duration::from_nanos(threads.filter_map(of_thread).sum())
    }

    /// The median of the rounds, in milliseconds for each create.
    fn processor(&self) -> f64 {
        let mut rounds = self.cpu.clone();
        rounds.sort_by(f64::total_cmp);
        rounds[rounds.len() / 2]
    }
}

/// The example's resource for a tenant of its own.
fn tenant(name: &str) -> DynamicObject {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&fs::read_to_string(EXAMPLE).unwrap()).unwrap();
    let mut tenant = documents.into_iter().find(|document| document["kind"] == "RuntimeTenant").unwrap();
    tenant["metadata"] = json!({ "name": name });
    tenant["spec"]["tenantId"] = json!(name);
    serde_json::from_value(tenant).unwrap()
}
