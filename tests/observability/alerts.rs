//! Each alert fires when it should, is silent when it should, and leads to a page that helps.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use local_cluster::tools;
use serde_json::Value;
use test_support::{Shell, World, documented_commands, tenant};

use crate::scrape::tls_operator;

const RULES: &str = "charts/runtime-operator/files/alerts.yaml";
const CASES: &str = "tests/observability/alerts.yaml";
const SECTIONS: [&str; 4] = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

fn rules() -> Vec<Value> {
    yaml(RULES)["groups"][0]["rules"].as_array().unwrap().clone()
}

fn names() -> Vec<String> {
    rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect()
}

fn runbook(alert: &str) -> String {
    let page = path(&format!("docs/runbooks/{alert}.md"));
    fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

#[test]
fn promtool_accepts_the_rules_and_passes_every_case() {
    let promtool = tools::find("promtool").unwrap();
    for arguments in [["check", "rules", RULES], ["test", "rules", CASES]] {
        let output = Command::new(&promtool).args(arguments).current_dir(path(".")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_alert_has_a_firing_and_a_silent_case() {
    let cases = yaml(CASES);
    let mut fires = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for case in cases["tests"].as_array().unwrap() {
        let alert = case["name"].as_str().unwrap().split(' ').next().unwrap().to_owned();
        let test = &case["promql_expr_test"][0];
        assert!(test["expr"].as_str().unwrap().contains(&format!("alertname=\"{alert}\"")), "{case}");
        let samples = test["exp_samples"].as_array().unwrap();
        if samples.is_empty() { &mut silent } else { &mut fires }.insert(alert);
    }
    let all: BTreeSet<String> = names().into_iter().collect();
    assert_eq!((&fires, &silent), (&all, &all));
}

#[test]
fn every_alert_has_a_severity_and_a_runbook() {
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        let severity = rule["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{alert}: {severity}");
        let url = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/docs/runbooks/{alert}.md")), "{alert}: {url}");
        assert!(rule["annotations"]["summary"].is_string() && rule["annotations"]["description"].is_string());
        let page = runbook(alert);
        let sections: Vec<&str> = page.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(sections, SECTIONS, "{alert}");
        assert!(page.starts_with(&format!("# {alert}\n")) && page.contains(severity), "{alert}");
    }
    let pages = fs::read_dir(path("docs/runbooks")).unwrap();
    let pages: BTreeSet<String> =
        pages.map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    let expected = names().into_iter().chain(["README".to_owned()]).map(|name| format!("{name}.md"));
    assert_eq!(pages, expected.collect());
    let index = fs::read_to_string(path("docs/runbooks/README.md")).unwrap();
    for alert in names() {
        assert!(index.contains(&format!("[{alert}]({alert}.md)")), "{alert}");
    }
}

/// A Ready tenant, one that competes for its DID, and one without its Secret.
async fn three_tenants(world: &World) {
    world.apply(&tenant("acme").dids(["+15551235001"])).await;
    world.wait_ready("acme").await;
    world.apply(&tenant("corner").dids(["+15551235001", "+15551235002"])).await;
    world.apply(&tenant("secretless").dids(["+15551235003"]).without_secret()).await;
    world.wait_condition("corner", "Ready", "False", "DidConflict").await;
    world.wait_condition("secretless", "Ready", "False", "SecretNotFound").await;
}

#[tokio::test]
async fn the_commands_of_every_runbook_succeed() {
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    three_tenants(&world).await;
    let (telemetry, redis) = (operator.telemetry_url(), world.redis().url());
    let variables = [("TELEMETRY", &*telemetry), ("NAMESPACE", world.namespace()), ("REDIS_URL", &*redis)];
    for alert in names().iter().filter(|alert| !alert.ends_with("CertificateExpiring")) {
        let ran = Shell::start(world.kubeconfig(), &variables).run_page(alert, &runbook(alert)).await;
        assert!(ran >= 2, "{alert} has only {ran} commands");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_commands_of_the_certificate_runbook_succeed() {
    let (world, operator) = tls_operator().await;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let cert = world.write_file("presented.crt", &made.cert.pem());
    let key = world.write_file("presented.key", &made.signing_key.serialize_pem());
    let (cert, key) = (format!("--cert={}", cert.display()), format!("--key={}", key.display()));
    world.kubectl_text(&["create", "secret", "tls", "runtime-operator-admin-tls", &cert, &key]);
    let (telemetry, redis) = (operator.telemetry_url(), world.redis().url());
    let admin = operator.admin_url().replace("http://", "");
    let variables = [
        ("TELEMETRY", &*telemetry),
        ("NAMESPACE", world.namespace()),
        ("REDIS_URL", &*redis),
        ("ADMIN_HOST", &*admin),
    ];
    let page = runbook("RuntimeOperatorCertificateExpiring");
    assert!(documented_commands(&page).len() >= 2);
    Shell::start(world.kubeconfig(), &variables).run_page("CertificateExpiring", &page).await;
    world.finish().await;
}
