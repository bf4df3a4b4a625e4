//! An API server that knows every kind of the chart's objects, and applies them without an effect.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use local_cluster::{Cluster, Folder, tools};

use super::helm::documents;
use super::kubernetes::CUSTOM;

/// The API server, with namespaces of these names.
pub struct Site {
    cluster: Cluster,
    folder: Folder,
}

impl Site {
    pub async fn start(names: &[&str]) -> Self {
        let cluster = Cluster::start().await.unwrap();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/bin");
        for file in CUSTOM {
            cluster.apply_file(tools.join(file)).await.unwrap();
        }
        cluster.apply_yaml(&runtime_operator::api::crd_yaml().unwrap()).await.unwrap();
        let namespaces: Api<Namespace> = Api::all(cluster.client().await.unwrap());
        for name in names {
            let metadata = ObjectMeta { name: Some((*name).to_owned()), ..Default::default() };
            let namespace = Namespace { metadata, ..Default::default() };
            namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        }
        Self { cluster, folder: Folder::new("generator").unwrap() }
    }

    /// Applies YAML as kubectl reads it, without an effect.
    pub async fn accepts(&self, namespace: &str, yaml: &[u8]) -> Result<(), String> {
        // A Pod is accepted only if its ServiceAccount exists.
        for document in documents(std::str::from_utf8(yaml).unwrap()) {
            if document["kind"] == "ServiceAccount" {
                let name = document["metadata"]["name"].as_str().unwrap().to_owned();
                let accounts: Api<ServiceAccount> =
                    Api::namespaced(self.cluster.client().await.unwrap(), namespace);
                let account = ServiceAccount {
                    metadata: ObjectMeta { name: Some(name), ..Default::default() },
                    ..Default::default()
                };
                let _ = accounts.create(&PostParams::default(), &account).await;
            }
        }
        let mut kubectl = Command::new(tools::find("kubectl").unwrap())
            .args(["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"])
            .env("KUBECONFIG", self.cluster.kubeconfig_in(namespace).unwrap())
            .env("KUBECACHEDIR", self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        kubectl.stdin.take().unwrap().write_all(yaml).unwrap();
        let Output { status, stderr, .. } = kubectl.wait_with_output().unwrap();
        if status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&stderr).into_owned()) }
    }
}
