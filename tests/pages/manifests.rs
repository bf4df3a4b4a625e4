//! The files for users without Helm and for editors: they are fresh, and the tools for which they are made accept them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use local_cluster::{Cluster, tools};
use serde_json::{Value, json};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a committed file with its source, and writes it with `UPDATE=1`.
fn keep(name: &str, generated: &str, command: &str) {
    let path = repository().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{name} is stale: run `{command}`");
}

fn tool(name: &str) -> Command {
    Command::new(tools::find(name).unwrap())
}

fn text(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn manifests() -> String {
    text(Command::new(repository().join("scripts/manifests.sh")).output().unwrap())
}

fn documents(yaml: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    documents.into_iter().filter(|document| !document.is_null()).collect()
}

#[test]
fn the_manifests_without_helm_are_those_of_the_chart() {
    let generated = manifests();
    keep("deploy/kustomize/install.yaml", &generated, "scripts/manifests.sh >deploy/kustomize/install.yaml");
    for document in documents(&generated) {
        let annotations = &document["metadata"]["annotations"];
        assert!(annotations["helm.sh/hook"].is_null(), "{document} is a hook");
        assert_ne!(document["kind"], "Pod");
    }
}

/// Rounds whole numbers, as kustomize does.
fn like_kustomize(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(items) => items.iter_mut().for_each(like_kustomize),
        Value::Object(members) => members.values_mut().for_each(like_kustomize),
        _ => {}
    }
}

#[test]
fn kustomize_builds_the_same_objects() {
    let folder = repository().join("deploy/kustomize");
    let mut built = documents(&text(tool("kubectl").arg("kustomize").arg(folder).output().unwrap()));
    let mut rendered = documents(&manifests());
    let name = |it: &Value| format!("{} {}", it["kind"], it["metadata"]["name"]);
    built.sort_by_key(name);
    rendered.sort_by_key(name);
    built.iter_mut().chain(&mut rendered).for_each(like_kustomize);
    assert_eq!(built, rendered);
}

#[tokio::test]
async fn the_commands_of_an_installation_without_helm_run_as_they_are() {
    let cluster = Cluster::start().await.unwrap();
    let page = fs::read_to_string(repository().join("docs/install.md")).unwrap();
    let (_, section) = page.split_once("\n## Without Helm\n").unwrap();
    let commands = section.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
    let path = format!("{}:{}", repository().join("tools/bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-euc", commands])
        .current_dir(repository())
        .env("PATH", path)
        .env("KUBECONFIG", cluster.kubeconfig())
        .output()
        .unwrap();
    let said = text(output);
    assert!(said.contains("deployment.apps/runtime-operator serverside-applied"), "{said}");

    // The file of a release is the same, and applies without kustomize.
    let mut kubectl = tool("kubectl");
    kubectl.arg("--kubeconfig").arg(cluster.kubeconfig());
    let file = repository().join("deploy/kustomize/install.yaml");
    let applied =
        text(kubectl.args(["apply", "--server-side", "--dry-run=server", "-f"]).arg(file).output().unwrap());
    assert_eq!(applied.lines().count(), documents(&manifests()).len(), "{applied}");
    cluster.stop().await.unwrap();
}

#[test]
fn the_json_schema_is_the_crds() {
    let schema = serde_json::to_string_pretty(&runtime_operator::api::json_schema().unwrap()).unwrap();
    keep(
        "schemas/runtimetenant-v1.json",
        &format!("{schema}\n"),
        "UPDATE=1 cargo test --test pages json_schema",
    );
}

/// As users of kubeconform do, whose files have names of this form.
fn kubeconform(file: &Path) -> Output {
    let location =
        format!("{}/schemas/{{{{.ResourceKind}}}}-{{{{.ResourceAPIVersion}}}}.json", repository().display());
    tool("kubeconform")
        .args(["-strict", "-skip", "Secret", "-schema-location", &location])
        .arg(file)
        .output()
        .unwrap()
}

#[test]
fn the_json_schema_accepts_the_examples_and_rejects_a_typo() {
    let examples = fs::read_dir(repository().join("examples")).unwrap().map(|file| file.unwrap().path());
    let examples: Vec<_> =
        examples.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(examples.len() > 5);
    for path in &examples {
        text(kubeconform(path));
    }
    let folder = local_cluster::Folder::new("schema").unwrap();
    let minimal = fs::read_to_string(repository().join("examples/minimal.yaml")).unwrap();
    for (right, wrong) in [
        ("maxCallsPerMinuteTenant: 10", "maxCallsPerMinute: 10"),
        ("chunkMs: 500", "chunkMs: many"),
        ("tenantId: corner-bakery", ""),
    ] {
        let file = folder.write("wrong.yaml", &minimal.replace(right, wrong)).unwrap();
        assert!(!kubeconform(&file).status.success(), "{wrong:?} is accepted");
    }
}
