//! A cluster is a real Kubernetes, several run side by side, and each of its processes can fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use local_cluster::{Cluster, tools};
use serde_json::json;

const WIDGETS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.test.example }
spec:
  group: test.example
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions:
  - name: v1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
---
# A document without content is none.
---
apiVersion: test.example/v1
kind: Widget
metadata: { name: first, namespace: default }
size: 3
";

async fn write(client: &Client, name: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let map = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
}

async fn has(client: &Client, name: &str) -> bool {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    maps.get_opt(name).await.unwrap().is_some()
}

async fn eventually<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    let begin = Instant::now();
    while !check().await {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn kubectl(kubeconfig: &std::path::Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(tools::find("kubectl").unwrap());
    let output = command.arg("--kubeconfig").arg(kubeconfig).args(args).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[tokio::test]
async fn rbac_limits_a_service_account_and_not_the_administrator() {
    let cluster = Cluster::start().await.unwrap();
    cluster.apply_yaml(WIDGETS).await.unwrap();

    let (ok, text) = kubectl(cluster.kubeconfig(), &["get", "widget", "first", "-o", "jsonpath={.size}"]);
    assert!(ok && text == "3", "{text}");

    let reader = cluster.service_account_kubeconfig("default", "reader").await.unwrap();
    let (ok, text) = kubectl(&reader, &["get", "widgets"]);
    assert!(!ok && text.contains("system:serviceaccount:default:reader"), "{text}");

    let person = cluster.user_kubeconfig("ann", Some("staff")).unwrap();
    let (ok, text) = kubectl(&person, &["auth", "whoami"]);
    assert!(ok && text.contains("ann") && text.contains("staff"), "{text}");
}

#[tokio::test]
async fn the_controllers_create_service_accounts_and_empty_deleted_namespaces() {
    let cluster = Cluster::start().await.unwrap();
    cluster.apply_yaml("{ apiVersion: v1, kind: Namespace, metadata: { name: passing } }").await.unwrap();
    cluster
        .apply_yaml("{ apiVersion: v1, kind: ConfigMap, metadata: { name: in-it, namespace: passing } }")
        .await
        .unwrap();
    let client = cluster.client().await.unwrap();
    let roots: Api<ConfigMap> = Api::namespaced(client.clone(), "passing");
    eventually("kube-root-ca.crt is published", || async {
        roots.get_opt("kube-root-ca.crt").await.unwrap().is_some()
    })
    .await;

    let namespaces: Api<Namespace> = Api::all(client);
    namespaces.delete("passing", &DeleteParams::default()).await.unwrap();

    eventually("the namespace is deleted", || async {
        namespaces.get_opt("passing").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn two_clusters_are_independent() {
    let (one, other) = tokio::try_join!(Cluster::start(), Cluster::start()).unwrap();
    write(&one.client().await.unwrap(), "only-here").await;

    assert!(has(&one.client().await.unwrap(), "only-here").await);
    assert!(!has(&other.client().await.unwrap(), "only-here").await);
}

#[tokio::test]
async fn data_survives_a_kill_and_a_stop_of_every_process() {
    let cluster = Cluster::start().await.unwrap();
    write(&cluster.client().await.unwrap(), "kept").await;

    cluster.api_server().kill().await.unwrap();
    cluster.etcd().restart().await.unwrap();
    cluster.api_server().restart().await.unwrap();
    let controllers = cluster.controller_manager().unwrap();
    let stopped = controllers.stop().await.unwrap();

    assert!(stopped.took < Duration::from_secs(30));
    assert!(!controllers.is_running());
    assert!(has(&cluster.client().await.unwrap(), "kept").await);
}

#[tokio::test]
async fn a_frozen_api_server_responds_only_after_a_thaw() {
    let cluster = Cluster::start().await.unwrap();
    let client = cluster.client().await.unwrap();
    write(&client, "before").await;

    cluster.api_server().freeze().await.unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(500), has(&client, "before")).await;
    assert!(asked.is_err(), "a frozen server responded");

    cluster.api_server().thaw().unwrap();
    assert!(has(&client, "before").await);
}

#[tokio::test]
async fn a_second_api_server_replaces_a_dead_one() {
    let cluster = Cluster::start().await.unwrap();
    write(&cluster.client().await.unwrap(), "shared").await;
    let second = cluster.add_api_server("second").await.unwrap();

    cluster.api_server().kill().await.unwrap();

    let client = second.client().await.unwrap();
    assert!(has(&client, "shared").await);
    let namespaces: Api<Namespace> = Api::all(client);
    assert!(!namespaces.list(&ListParams::default()).await.unwrap().items.is_empty());
}
