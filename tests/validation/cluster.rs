//! One cluster for all tests of this file, with the committed CRD as kubectl installs it.

use std::process::{Command, Output};

use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use local_cluster::{Cluster, tools};
use runtime_operator::api::RuntimeTenant;
pub use test_support::specs::{create, resource as object};
use tokio::sync::OnceCell;

pub const CRD_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/runtimetenants.yaml");

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();

pub async fn cluster() -> &'static Cluster {
    let start = async || {
        let cluster = Cluster::start().await.unwrap();
        cluster.apply_file(CRD_FILE).await.unwrap();
        cluster
    };
    CLUSTER.get_or_init(start).await
}

pub async fn client() -> Client {
    cluster().await.client().await.unwrap()
}

/// Creates a namespace of its own for each test.
pub async fn namespace(client: &Client, name: &str) {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
}

pub fn tenants(client: &Client, namespace: &str) -> Api<RuntimeTenant> {
    Api::namespaced(client.clone(), namespace)
}

/// Runs kubectl as an administrator: it must succeed without a warning. Returns its stdout.
pub fn kubectl(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = run_kubectl(cluster, arguments);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && errors.is_empty(), "kubectl {arguments:?}: {text}{errors}");
    text.into_owned()
}

pub fn run_kubectl(cluster: &Cluster, arguments: &[&str]) -> Output {
    let mut kubectl = Command::new(tools::find("kubectl").unwrap());
    kubectl.arg("--kubeconfig").arg(cluster.kubeconfig()).args(arguments).output().unwrap()
}
