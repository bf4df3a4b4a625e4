//! Runs Helm, as users do, on the chart of this repository.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use local_cluster::Folder;
use serde_json::{Value, json};

/// Helm 4 and Helm 3.
pub const BOTH: [&str; 2] = ["helm", "helm3"];
/// The required value: the address of Redis.
pub const LEAST: &str = "redis: { url: 'redis://redis:6379/0' }";
/// Everything that can be enabled in one release.
pub const MOST: &str = "
redis:
  existingSecret:
    { name: redis, urlKey: url, usernameKey: user, passwordKey: password, caKey: ca, certKey: crt, keyKey: key }
  sentinel: { addresses: ['sentinel-0:26379', 'sentinel-1:26379'], service: mymaster }
admin:
  enabled: true
  allowSecretRead: true
  tls: { certManager: { enabled: true, issuerRef: { name: issuer }, dnsNames: [admin.example.com] } }
ingress: { enabled: true, className: nginx, hosts: [admin.example.com], tls: [{ secretName: tls, hosts: [admin.example.com] }] }
httpRoute: { enabled: true, parentRefs: [{ name: gateway }], hostnames: [admin.example.com] }
networkPolicy:
  enabled: true
  adminFrom: [{ namespaceSelector: {} }]
  extraEgress: [{ to: [{ ipBlock: { cidr: 192.0.2.0/24 } }] }]
telemetry: { otlpEndpoint: 'http://collector:4318' }
serviceMonitor: { enabled: true, relabelings: [{ action: labeldrop, regex: pod }] }
podMonitor: { enabled: true }
prometheusRule: { enabled: true, labels: { release: prometheus } }
dashboard: { enabled: true }
priorityClass: { create: true }
flowControl: { enabled: true }
claimsPolicy: { enabled: true }
rbac: { aggregateToEdit: true }
commonLabels: { team: voice }
commonAnnotations: { contact: voice }
imagePullSecrets: [registry]
global: { imageRegistry: registry.example.com, somethingElse: 1 }
podLabels: { tier: critical }
podAnnotations: { checksum: '1' }
nodeSelector: { kubernetes.io/os: linux }
tolerations: [{ operator: Exists }]
affinity: { nodeAffinity: {} }
extraEnv: [{ name: NO_COLOR, value: '1' }]
extraArgs: [--log-format=json]
extraContainers: [{ name: sidecar, image: sidecar }]
initContainers: [{ name: first, image: first }]
extraObjects: [{ apiVersion: v1, kind: ConfigMap, metadata: { name: '{{ .Release.Name }}-extra' } }]
dnsPolicy: None
dnsConfig: { nameservers: [192.0.2.53] }
hostAliases: [{ ip: 192.0.2.1, hostnames: [redis] }]
";
/// A release without cluster-wide objects.
pub const NAMESPACED: &str = "
redis: { url: 'redis://redis:6379/0' }
watchNamespaces: [voice-a, voice-b]
clusterId: cluster-1
crds: { enabled: false }
priorityClass: { create: true }
";
/// A release with its own Redis.
pub const TRIAL: &str = "redis: { embedded: { enabled: true } }";

/// Returns the chart's folder.
pub fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/runtime-operator")
}

/// Runs Helm with home folders of its own.
pub fn run(program: &str, args: &[&str], values: &str) -> Output {
    let folder = Folder::new("helm").unwrap();
    let values = folder.write("values.yaml", values).unwrap();
    Command::new(local_cluster::tools::find(program).unwrap())
        .args(args)
        .arg(chart())
        .arg("--values")
        .arg(values)
        .env_clear()
        .env("HOME", folder.path())
        .output()
        .unwrap()
}

/// Renders the chart in a folder, whose charts it contains.
pub fn template(program: &str, release: &str, folder: &Path) -> Vec<Value> {
    let output = Command::new(local_cluster::tools::find(program).unwrap())
        .args(["template", release, "--kube-version", "1.37.0"])
        .arg(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap())
}

/// Renders a release `release` in the namespace `space`, as documents.
pub fn render(values: &str) -> Vec<Value> {
    documents(&rendered(BOTH[0], values, "1.37"))
}

/// Renders the release as YAML, for a version of Kubernetes.
pub fn rendered(program: &str, values: &str, kubernetes: &str) -> String {
    let version = format!("{kubernetes}.0");
    text(program, &["release", "--namespace", "space", "--kube-version", &version], values)
}

/// Renders a release with other arguments than those of [`render`], as documents.
pub fn render_with(args: &[&str], values: &str) -> Vec<Value> {
    documents(&text(BOTH[0], args, values))
}

/// Renders a release as YAML. The arguments begin with its name.
pub fn text(program: &str, args: &[&str], values: &str) -> String {
    let output = run(program, &[&["template"], args].concat(), values);
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns Helm's error for values that it must reject.
pub fn refusal(values: &str) -> String {
    let output = run(BOTH[0], &["template", "release", "--namespace", "space"], values);
    assert!(!output.status.success(), "not refused: {values}");
    String::from_utf8(output.stderr).unwrap()
}

/// Returns the Pod of the operator's Deployment.
pub fn pod(documents: &[Value]) -> &Value {
    &one(documents, "Deployment", "operator")["spec"]["template"]
}

/// Parses the documents of a YAML text.
pub fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

/// Returns the document of a kind whose name has this suffix.
pub fn one<'a>(documents: &'a [Value], kind: &str, end: &str) -> &'a Value {
    let fits = |document: &&Value| {
        document["kind"] == json!(kind) && document["metadata"]["name"].as_str().unwrap().ends_with(end)
    };
    let found: Vec<_> = documents.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{kind} {end}");
    found[0]
}

/// Returns the kinds of the documents, sorted and without repetitions.
pub fn kinds(documents: &[Value]) -> Vec<&str> {
    let mut kinds: Vec<_> = documents.iter().map(|document| document["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}
