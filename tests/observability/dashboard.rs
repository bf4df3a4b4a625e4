//! Every query of the dashboard, and every metric of an alert, has data in a Prometheus that scrapes a running operator.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use local_cluster::{Folder, Launch, Port, Process, tools};
use regex::Regex;
use serde_json::Value;
use test_support::{Operator, World, tenant};

use crate::scrape::tls_operator;

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/runtime-operator/files").join(name))
        .unwrap()
}

/// Panel and query, with the dashboard's variables replaced as Grafana does.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let query =
                query.replace("$namespace", ".*").replace("$job", ".*").replace("$__rate_interval", "1m");
            all.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    all
}

fn metrics_in(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"runtime_operator_\w+").unwrap();
    let names = name.find_iter(text).map(|found| found.as_str());
    names.map(|name| name.trim_end_matches("_bucket").to_owned()).collect()
}

struct Prometheus {
    _process: Process,
    _folder: Folder,
    url: String,
}

impl Prometheus {
    /// Starts a Prometheus with the alerts' rules that scrapes this operator four times a second.
    async fn start(operator: &Operator) -> Self {
        let folder = Folder::new("prometheus").unwrap();
        let port = Port::reserve().unwrap();
        folder.write("alerts.yaml", &file("alerts.yaml")).unwrap();
        let target = operator.telemetry_url().replace("http://", "");
        let config = format!(
            "global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}\nrule_files: [alerts.yaml]\n\
             scrape_configs:\n  - job_name: runtime-operator\n    static_configs:\n      - targets: ['{target}']\n        \
             labels: {{namespace: ops}}\n"
        );
        let config = folder.write("prometheus.yml", &config).unwrap();
        let url = format!("http://{}", port.address());
        let ready = format!("{url}/-/ready");
        let launch =
            Launch::new("prometheus", tools::find("prometheus").unwrap(), folder.file("prometheus.log"))
                .args([
                    format!("--config.file={}", config.display()),
                    format!("--storage.tsdb.path={}", folder.file("data").display()),
                    format!("--web.listen-address={}", port.address()),
                ])
                .ready(move || {
                    let ready = ready.clone();
                    async move {
                        let response = client().get(ready).send().await.map_err(|error| error.to_string())?;
                        response.error_for_status().map(drop).map_err(|error| error.to_string())
                    }
                });
        Self { _process: Process::start(launch).await.unwrap(), _folder: folder, url }
    }

    /// The number of series that a query returns now.
    async fn count(&self, query: &str) -> Result<usize, String> {
        let url = reqwest::Url::parse_with_params(&format!("{}/api/v1/query", self.url), [("query", query)])
            .unwrap();
        let response = client().get(url).send().await.unwrap().text().await.unwrap();
        let response: Value = serde_json::from_str(&response).unwrap();
        let result = response["data"]["result"].as_array().ok_or_else(|| response.to_string())?;
        Ok(result.len())
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// An operator that has counted something of everything.
async fn busy() -> (World, Operator) {
    let (world, operator) = tls_operator().await;
    world.apply(&tenant("acme").dids(["+15551236001"])).await;
    world.apply(&tenant("secretless").dids(["+15551236002"]).without_secret()).await;
    world.wait_ready("acme").await;
    world.exempt_all();
    world.redis_cli(&["DEL", "tenantmap:did:+15551236001"]).await;
    world.wait_metric(&operator, "runtime_operator_drift_repaired_total", 1.0).await;
    (world, operator)
}

#[tokio::test]
async fn every_query_of_dashboard_and_alerts_has_data() {
    let (world, operator) = busy().await;
    let prometheus = Prometheus::start(&operator).await;
    let queries = queries();
    assert!(queries.len() > 25, "only {} queries were found", queries.len());
    let of_alerts =
        metrics_in(&file("alerts.yaml")).into_iter().map(|metric| ("an alert".to_owned(), metric));

    for (panel, query) in queries.into_iter().chain(of_alerts) {
        world
            .wait(&format!("{panel}: {query}"), || async {
                match prometheus.count(&query).await {
                    Ok(0) => Err("no data".to_owned()),
                    Ok(_) => Ok(()),
                    Err(error) => panic!("{panel}: {query}: {error}"),
                }
            })
            .await;
    }
    // An alert's rule has a result while its cause lasts.
    let pending =
        "ALERTS{alertname=\"RuntimeOperatorSecretMissing\",alertstate=\"pending\",job=\"runtime-operator\"}";
    world
        .wait("the alert on missing Secrets is pending", || async {
            match prometheus.count(pending).await.unwrap() {
                1 => Ok(()),
                other => Err(format!("{other} of it")),
            }
        })
        .await;
    world.close().await;
}

#[test]
fn every_metric_is_on_the_dashboard_or_listed_as_left_out() {
    let documented =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")).unwrap();
    // Unreadable resources are also counted by tenants_not_ready.
    let left_out = ["runtime_operator_unreadable_resources_total"];
    let mut missing = metrics_in(&documented);
    for used in metrics_in(&file("dashboard.json")) {
        assert!(missing.remove(&used), "{used} is not documented");
    }
    assert_eq!(missing, left_out.map(str::to_owned).into());
}

#[test]
fn panels_have_a_title_a_position_and_the_chosen_data_source() {
    let dashboard: Value = serde_json::from_str(&file("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut places = BTreeSet::new();
    for panel in panels {
        let place = &panel["gridPos"];
        let place = (place["x"].as_u64().unwrap(), place["y"].as_u64().unwrap());
        assert!(places.insert(place) && !panel["title"].as_str().unwrap().is_empty(), "{panel}");
        for target in panel["targets"].as_array().into_iter().flatten() {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    assert_eq!(places.len(), panels.len());
}
