//! The ways to Redis through a Pod of the operator. kwok is its kubelet: it runs `exec` on this machine, and forwards the port to an
//! operator process.

use std::path::Path;

use local_cluster::{Folder, Launch, Port, Process, tools};
use serde_json::json;
use test_support::{Operator, World, operator_binary, tenant};

use super::command::run_with;

/// A kubelet for the node `node-1`, with a Deployment, its Pod and a Lease that the Pod holds.
struct Kubelet {
    kwok: Process,
    _folder: Folder,
}

impl Kubelet {
    async fn start(world: &World, operator: &Operator) -> Self {
        let folder = Folder::new("kubelet").unwrap();
        let port = Port::reserve().unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate =
            rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        let cert = folder.write("tls.crt", &certificate.pem()).unwrap();
        let key = folder.write("tls.key", &key.serialize_pem()).unwrap();
        let admin = operator.admin_url();
        let admin = admin.rsplit_once(':').unwrap().1;
        let config = format!(
            "
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterExec
metadata: {{ name: all }}
spec:
  execs:
  - local:
      workDir: /tmp
      envs:
      - {{ name: REDIS_URL, value: '{}' }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: ClusterPortForward
metadata: {{ name: all }}
spec:
  forwards:
  - ports: [8080]
    target: {{ address: 127.0.0.1, port: {admin} }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {{ name: node }}
spec:
  resourceRef: {{ apiGroup: v1, kind: Node }}
  selector: {{ matchExpressions: [{{ key: .status.phase, operator: NotIn, values: [Running] }}] }}
  next: {{ statusTemplate: 'phase: Running' }}
---
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {{ name: pod }}
spec:
  resourceRef: {{ apiGroup: v1, kind: Pod }}
  selector: {{ matchExpressions: [{{ key: .status.phase, operator: NotIn, values: [Running] }}] }}
  next: {{ statusTemplate: 'phase: Running' }}
",
            world.redis().url()
        );
        let config = folder.write("kwok.yaml", &config).unwrap();
        let binaries = operator_binary();
        let kwok = Launch::new("kwok", tools::find("kwok").unwrap(), folder.file("kwok.log"))
            .env("PATH", format!("{}:/usr/bin:/bin", binaries.parent().unwrap().display()))
            .args([
                format!("--kubeconfig={}", world.cluster().kubeconfig().display()),
                format!("--config={}", config.display()),
                "--manage-single-node=node-1".into(),
                "--node-ip=127.0.0.1".into(),
                format!("--node-port={}", port.number()),
                format!("--server-address={}", port.address()),
                format!("--tls-cert-file={}", cert.display()),
                format!("--tls-private-key-file={}", key.display()),
            ]);
        let kwok = Process::start(kwok).await.unwrap();
        objects(world, port.number()).await;
        Self { kwok, _folder: folder }
    }
}

/// Creates the objects, each with the uid of its owner.
async fn objects(world: &World, port: u16) {
    use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
    use k8s_openapi::api::core::v1::{Node, Pod};
    use kube::api::{Patch, PatchParams, PostParams};
    use kube::{Api, ResourceExt};
    let client = world.client();
    let nodes: Api<Node> = Api::all(client.clone());
    let node = serde_json::from_value(json!({ "metadata": { "name": "node-1" } })).unwrap();
    let _ = nodes.create(&PostParams::default(), &node).await;
    let status = json!({ "status": {
        "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
        "daemonEndpoints": { "kubeletEndpoint": { "Port": port } },
    }});
    nodes.patch_status("node-1", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let labels =
        json!({ "app.kubernetes.io/name": "runtime-operator", "app.kubernetes.io/component": "operator" });
    let container = json!({ "name": "operator", "image": "runtime-operator:0.2.0",
        "env": [{ "name": "ENABLE_RUNTIME_ADMIN", "value": "true" }],
        "ports": [{ "name": "admin", "containerPort": 8080 }] });
    let template = json!({ "metadata": { "labels": labels }, "spec": { "containers": [container] } });
    let workload = json!({ "selector": { "matchLabels": labels }, "template": template });
    let owned = |kind: &str, name: &str, uid: Option<String>| json!([{ "apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true }]);
    let namespace = world.namespace();
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let deployment =
        json!({ "metadata": { "name": "runtime-operator", "labels": labels }, "spec": workload });
    let deployment = deployments
        .create(&PostParams::default(), &serde_json::from_value(deployment).unwrap())
        .await
        .unwrap();
    let sets: Api<ReplicaSet> = Api::namespaced(client.clone(), namespace);
    let set = json!({ "spec": workload, "metadata": { "name": "runtime-operator-1", "labels": labels,
        "ownerReferences": owned("Deployment", "runtime-operator", deployment.uid()) } });
    let set = sets.create(&PostParams::default(), &serde_json::from_value(set).unwrap()).await.unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = json!({
        "metadata": { "name": "leader-1", "labels": labels,
            "ownerReferences": owned("ReplicaSet", "runtime-operator-1", set.uid()) },
        "spec": { "nodeName": "node-1", "containers": [container] },
    });
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    let running = json!({ "status": { "phase": "Running" } });
    pods.patch_status("leader-1", &PatchParams::default(), &Patch::Merge(running)).await.unwrap();
}

/// A kubeconfig of a `ServiceAccount`, which has a token, with a role of the namespace and the admin route.
async fn operator_user(world: &World, name: &str, route: bool) -> std::path::PathBuf {
    let namespace = world.namespace();
    let paths = if route { "/runtime-operator/admin/inspect" } else { "/nothing" };
    let roles = format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: {name}, namespace: {namespace} }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{ name: {namespace}-{name} }}
rules:
- {{ apiGroups: [runtime.veralux.io], resources: [runtimetenants], verbs: [get, list] }}
- {{ apiGroups: [apps], resources: [deployments, replicasets], verbs: [get, list] }}
- {{ apiGroups: [''], resources: [pods, secrets], verbs: [get, list] }}
- {{ apiGroups: [''], resources: [pods/exec, pods/portforward], verbs: [get, create] }}
- {{ apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get] }}
- {{ nonResourceURLs: [{paths}], verbs: [get] }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{ name: {namespace}-{name} }}
roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {namespace}-{name} }}
subjects: [{{ kind: ServiceAccount, name: {name}, namespace: {namespace} }}]
"
    );
    world.cluster().apply_yaml(&roles).await.unwrap();
    world.cluster().service_account_kubeconfig(namespace, name).await.unwrap()
}

#[tokio::test]
async fn redis_is_read_through_the_leaders_pod_by_the_admin_route_or_by_exec() {
    let world = World::with_own_cluster().await;
    let operator =
        world.operator().leader_elect().env("POD_NAME", "leader-1").env("ENABLE_RUNTIME_ADMIN", "true");
    let operator = operator.start().await;
    let kubelet = Kubelet::start(&world, &operator).await;
    world.apply(&tenant("acme").dids(["+15550600001"])).await;
    world.wait_ready("acme").await;

    let trace = async |kubeconfig: &Path| run_with(kubeconfig, &[], &["trace", "+15550600001"]).await;
    let by_route = operator_user(&world, "routed", true).await;
    let traced = trace(&by_route).await;
    let is_traced = traced.code == 0 && traced.out.contains("valid v1, lists the number");
    assert!(is_traced, "{traced:?}\n{}", kubelet.kwok.log());
    let counted = |metrics: &str| {
        let of_route = |line: &&str| line.contains("route=\"/inspect\"") && line.contains("status=\"2xx\"");
        metrics.lines().filter(of_route).any(|line| !line.ends_with(" 0"))
    };
    assert!(counted(&operator.metrics().await), "the admin route was asked");

    // Without the right to the route, and with a certificate in place of a token.
    let by_exec = operator_user(&world, "executing", false).await;
    let traced = trace(&by_exec).await;
    assert!(traced.code == 0 && traced.out.contains("valid v1, lists the number"), "{traced:?}");
    let traced = trace(world.kubeconfig()).await;
    assert!(traced.code == 0, "{traced:?}");

    let status = run_with(world.kubeconfig(), &[], &["status", "-A"]).await;
    assert!(status.out.contains("leader    leader-1, epoch 1, Lease renewed "), "{}", status.out);
    assert!(status.out.contains("runtime-operator 0.2.0 in "), "{}", status.out);
    world.finish().await;
}
