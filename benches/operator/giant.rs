//! The effect of one tenant of the largest size, and of a namespace full of large, unreferenced Secrets, on the other tenants.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::Api;
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::figure::{Figure, Spread};
use crate::idle;
use crate::load::{self, Tenant};
use crate::operator::Operator;
use crate::report::{Report, Row};
use crate::site::Site;

const GIANT: &str = "giant";
const HOARD: &str = "hoard";
/// The size of each of these Secrets in bytes.
const HOARDED: usize = 100_000;
/// The number of concurrent creates.
const CONCURRENCY: usize = 8;
/// The interval of edits of the giant.
const EDITED_EVERY: Duration = Duration::from_secs(1);

/// Latencies of the other tenants: applies, rotations, deletions.
struct Effect([Spread; 3]);

impl Effect {
    async fn by(site: &Site, series: &str) -> Self {
        let applies = idle::applies(site, series).await;
        let rotations = idle::rotations(site, series).await;
        Self([applies, rotations, idle::deletions(site, series).await])
    }

    fn rows(self, when: &str, without: Option<&[Duration; 3]>, report: &mut Report) {
        let names = ["apply acknowledged -> readable", "Secret rotated -> readable", "deleted -> keys gone"];
        for (index, (name, spread)) in names.into_iter().zip(self.0).enumerate() {
            let row = Row::new(format!("{name}, {when}"), Figure::Spread(spread));
            report.row(row.limit("without them", without.map(|medians| medians[index])));
        }
    }
}

/// Measures before and after creating the giant, and half as many Secrets as there are tenants.
pub async fn measure(site: &Site, operator: &Operator, tenants: usize, report: &mut Report) {
    let alone = restarted(site, operator, tenants).await;
    report.row(Row::new("memory after a restart without them", Figure::Memory(alone.0, alone.1)));
    let effect = Effect::by(site, "without").await;
    let medians = effect.0.each_ref().map(Spread::median);
    effect.rows("without them", None, report);

    let secrets = tenants / 2;
    report.say(&format!("a giant, and {secrets} Secrets of {HOARDED} bytes in another namespace"));
    hoard(site, secrets).await;
    site.tenants().create(&PostParams::default(), &giant()).await.unwrap();
    site.keys.wait_key("tenantcfg:giant", true).await;
    site.wait_settled(operator).await;
    let beside = operator.memory();
    report.row(Row::new("memory after they were created", Figure::Memory(beside.0, beside.1)));
    Effect::by(site, "beside").await.rows("beside them", Some(&medians), report);

    let editing = edit_on(site);
    Effect::by(site, "edited").await.rows("while the giant is edited once a second", Some(&medians), report);
    editing.abort();
    site.wait_settled(operator).await;
    let edited = operator.memory();
    report.row(Row::new("memory after that", Figure::Memory(edited.0, edited.1)));

    let with = restarted(site, operator, tenants).await;
    let more = |with: u64, alone: u64| (with as f64 - alone as f64) / 1e6;
    let [rss, peak] = [more(with.0, alone.0), more(with.1, alone.1)];
    let name = format!("memory after a restart beside them ({rss:+.1} MB, peak {peak:+.1} MB)");
    report.row(Row::new(name, Figure::Memory(with.0, with.1)));
}

/// Returns the memory of an operator after a restart, once it is idle.
async fn restarted(site: &Site, operator: &Operator, tenants: usize) -> (u64, u64) {
    operator.process.stop().await.unwrap();
    operator.process.restart().await.unwrap();
    operator.wait_checked(tenants).await;
    site.wait_settled(operator).await;
    operator.memory()
}

async fn hoard(site: &Site, secrets: usize) {
    let namespaces: Api<Namespace> = Api::all(site.client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": HOARD } })).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    // Three bytes are four characters of Base64.
    let value = "QUFB".repeat(HOARDED / 3);
    load::all(0..secrets, CONCURRENCY, |number| {
        let hoard: Api<Secret> = Api::namespaced(site.client.clone(), HOARD);
        let secret =
            json!({ "metadata": { "name": format!("hoarded-{number}") }, "data": { "value": value } });
        async move {
            let secret = serde_json::from_value(secret).unwrap();
            hoard.create(&PostParams::default(), &secret).await.unwrap();
        }
    })
    .await;
}

/// Returns a tenant with as many members as the schema allows, and the longest texts that fit into etcd (1.5 MiB).
fn giant() -> DynamicObject {
    let mut giant = Tenant::numbered(GIANT, 0).resource();
    let spec = &mut giant.data["spec"];
    giant.metadata.name = Some(GIANT.to_owned());
    spec["tenantId"] = json!(GIANT);
    spec["webhookSecretRef"] = json!({ "name": "t-0" });
    let dids: Vec<String> = (0..500).map(|which| Tenant::numbered(GIANT, 0).did(which)).collect();
    spec["dids"] = json!(dids);
    let replies: Vec<Value> = (0..200)
        .map(
            |which| json!({ "match": [format!("question {which}")], "reply": "A long answer. ".repeat(266) }),
        )
        .collect();
    spec["quickReplies"] = json!(replies);
    let sections = (0..5).map(|which| (format!("section-{which}"), json!("All about us. ".repeat(4600))));
    spec["assistantContext"] = Value::Object(sections.collect());
    giant
}

fn edit_on(site: &Site) -> JoinHandle<()> {
    let tenants = site.tenants();
    tokio::spawn(async move {
        for calls in 1000.. {
            load::edit(&tenants, GIANT, json!({ "caps": { "maxCallsPerMinuteTenant": calls } })).await;
            tokio::time::sleep(EDITED_EVERY).await;
        }
    })
}
