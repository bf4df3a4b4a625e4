//! The chart as a part of a platform's own chart, beside others that read the same `global` values.

use std::fs;
use std::path::Path;
use std::process::Command;

use local_cluster::Folder;
use serde_json::{Value, json};

use super::helm::{BOTH, chart, one, template};

const PARENT: &str = "
apiVersion: v2
name: platform
version: 1.0.0
dependencies:
  - { name: runtime-operator, version: 0.1.0, repository: '', condition: runtime-operator.enabled }
  - { name: cert-manager, version: v0.0.0, repository: '' }
  - { name: external-dns, version: 1.0.0, repository: '' }
";
/// What external-dns' values schema says of `global`. cert-manager is the project's own chart.
const EXTERNAL_DNS: &str = r#"{
  "$schema": "http://json-schema.org/draft-07/schema#",
  "type": "object",
  "properties": {
    "global": {
      "type": "object",
      "properties": { "imagePullSecrets": { "type": "array", "items": { "type": "object" } } }
    }
  }
}"#;
const VALUES: &str = "
global:
  imageRegistry: registry.example.com
  imagePullSecrets: [{ name: registry }]
  priorityClassName: high
  commonLabels: { team: voice }
  leaderElection: { namespace: kube-system }
  logLevel: 2
  rbac: { create: true, aggregateClusterRoles: true }
cert-manager: { crds: { enabled: true, keep: true }, serviceAccount: { create: true } }
runtime-operator:
  redis: { url: 'redis://redis' }
  admin: { enabled: true, tls: { certManager: { enabled: true, issuerRef: { name: issuer } } } }
";

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-rL", "--no-preserve=mode"]).args([from, to]).status().unwrap();
    assert!(copied.success(), "{}", from.display());
}

#[test]
fn an_umbrella_chart_with_cert_manager_and_external_dns_renders() {
    let folder = Folder::new("umbrella").unwrap();
    let charts = folder.file("charts");
    fs::create_dir_all(charts.join("external-dns")).unwrap();
    copy(&chart(), &charts);
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/bin");
    copy(&tools.join("cert-manager/deploy/charts/cert-manager"), &charts);
    for (file, text) in [
        ("Chart.yaml", PARENT),
        ("values.yaml", VALUES),
        ("charts/external-dns/Chart.yaml", "apiVersion: v2\nname: external-dns\nversion: 1.0.0\n"),
        ("charts/external-dns/values.schema.json", EXTERNAL_DNS),
    ] {
        fs::write(folder.file(file), text).unwrap();
    }
    for program in BOTH {
        let documents = template(program, "voice", folder.path());
        let own: Vec<Value> = documents
            .iter()
            .filter(|document| {
                document["metadata"]["labels"]["app.kubernetes.io/part-of"] == "runtime-operator"
            })
            .cloned()
            .collect();
        assert!(own.len() < documents.len(), "{program}: the other charts render nothing");
        let pod = &one(&own, "Deployment", "operator")["spec"]["template"]["spec"];
        assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
        let image = pod["containers"][0]["image"].as_str().unwrap();
        assert!(image.starts_with("registry.example.com/veralux/"), "{image}");
    }
}
