//! A cluster that runs its Pods, and a Redis.

use std::future::Future;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Node, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use local_cluster::{Cluster, ClusterOptions, Folder, Launch, Process, Redis, RedisOptions, tools};
use redis::AsyncCommands;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::kubelet::Kubelet;
use crate::network::Network;

/// The timeout of every wait.
const TIMEOUT: Duration = Duration::from_secs(180);
/// The configuration of kwok that makes nodes schedulable; kwok renews their Leases.
const NODES: &str = r#"
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata:
  name: ready
spec:
  resourceRef: { apiGroup: v1, kind: Node }
  selector:
    matchExpressions:
      - { key: '.status.phase', operator: NotIn, values: [Running] }
  next:
    statusTemplate: |
      phase: Running
      addresses: [{ type: InternalIP, address: 10.88.0.1 }]
      allocatable: { cpu: "4", memory: 8Gi, pods: "110" }
      capacity: { cpu: "4", memory: 8Gi, pods: "110" }
      conditions:
        - type: Ready
          status: "True"
          reason: KubeletReady
          message: ""
          lastHeartbeatTime: {{ Now | Quote }}
          lastTransitionTime: {{ Now | Quote }}
"#;

/// The environment of a story; ends with it.
pub struct Site {
    // Dropped in this order: clients before servers.
    pub kubelet: Kubelet,
    _network: Network,
    _kwok: Process,
    pub redis: Redis,
    pub client: Client,
    pub cluster: Cluster,
    pub folder: Folder,
}

impl Site {
    /// Starts a cluster with two nodes, and a Service `redis` in the namespace `data` for the Redis.
    pub async fn start(options: ClusterOptions) -> Self {
        let folder = Folder::new("site").unwrap();
        let redis = RedisOptions::default().password("hunter2").set("bind", "127.0.0.1 10.88.0.1");
        let (cluster, redis) =
            tokio::try_join!(Cluster::with(options.audited().workloads()), Redis::start(redis)).unwrap();
        let client = cluster.client().await.unwrap();
        let hosts = folder.write("hosts", "").unwrap();
        let api_server = cluster.api_server().url().trim_start_matches("https://").to_owned();
        let network = Network::start(&client, api_server, hosts.clone()).await;
        let stages = folder.write("nodes.yaml", NODES).unwrap();
        let kwok = Launch::new("kwok", tools::find("kwok").unwrap(), folder.file("kwok.log")).args([
            format!("--kubeconfig={}", cluster.kubeconfig().display()),
            format!("--config={}", stages.display()),
            "--manage-all-nodes".into(),
            "--node-lease-duration-seconds=40".into(),
        ]);
        let kwok = Process::start(kwok).await.unwrap();
        let kubelet = Kubelet::start(client.clone(), hosts);
        let site = Self { kubelet, _network: network, _kwok: kwok, redis, client, cluster, folder };
        for (name, zone) in [("node-a", "a"), ("node-b", "b")] {
            let labels = json!({ "kubernetes.io/hostname": name, "topology.kubernetes.io/zone": zone,
                "kubernetes.io/os": "linux" });
            let node: Node =
                serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap();
            Api::all(site.client.clone()).create(&PostParams::default(), &node).await.unwrap();
        }
        site.redis_service().await;
        site
    }

    async fn redis_service(&self) {
        self.namespace("data").await;
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "redis" },
            "spec": { "ports": [{ "name": "redis", "port": 6379 }] },
        }))
        .unwrap();
        let services = Api::namespaced(self.client.clone(), "data");
        services.create(&PostParams::default(), &service).await.unwrap();
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": "redis-1", "labels": { "kubernetes.io/service-name": "redis" } },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": ["10.88.0.1"] }],
            "ports": [{ "name": "redis", "port": self.redis.port() }],
        }))
        .unwrap();
        let slices = Api::namespaced(self.client.clone(), "data");
        slices.create(&PostParams::default(), &slice).await.unwrap();
    }

    /// Creates a namespace that enforces the Pod security standard `restricted`.
    pub async fn namespace(&self, name: &str) {
        let labels = json!({ "pod-security.kubernetes.io/enforce": "restricted" });
        let namespace: Namespace =
            serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } })).unwrap();
        Api::all(self.client.clone()).create(&PostParams::default(), &namespace).await.unwrap();
    }

    /// Applies a Secret.
    pub async fn secret(&self, namespace: &str, name: &str, members: Value) {
        let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "stringData": members });
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), namespace);
        let params = PatchParams::apply("e2e").force();
        secrets.patch(name, &params, &Patch::Apply(secret)).await.unwrap();
    }

    /// Returns the API of the tenants of a namespace.
    pub fn tenants(&self, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("runtime.veralux.io", "v1", "RuntimeTenant");
        let resource = ApiResource::from_gvk_with_plural(&gvk, "runtimetenants");
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// Applies a tenant with one DID, and its Secret.
    pub async fn apply(&self, namespace: &str, name: &str, did: &str) {
        self.secret(namespace, name, json!({ "webhookSecret": format!("whsec-of-{name}") })).await;
        let tenant = json!({
            "apiVersion": "runtime.veralux.io/v1",
            "kind": "RuntimeTenant",
            "metadata": { "name": name },
            "spec": {
                "tenantId": name,
                "dids": [did],
                "webhookSecretRef": { "name": name },
                "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
                "stt": { "mode": "disabled", "chunkMs": 500 },
                "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" },
            },
        });
        let params = PatchParams::apply("e2e").force();
        self.tenants(namespace).patch(name, &params, &Patch::Apply(tenant)).await.unwrap();
    }

    /// Waits until a tenant's condition Ready has this reason.
    pub async fn wait_reason(&self, namespace: &str, name: &str, reason: &str) {
        let what = format!("{namespace}/{name} is {reason}");
        self.wait(&what, || async {
            let tenant = self.tenants(namespace).get(name).await.map_err(|error| error.to_string())?;
            let conditions = tenant.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready").cloned();
            let ready = ready.unwrap_or_default();
            if ready["reason"] == reason { Ok(()) } else { Err(ready.to_string()) }
        })
        .await;
    }

    /// Waits until a DID is mapped to this tenant, or to none.
    pub async fn wait_live(&self, did: &str, tenant: Option<&str>) {
        self.wait(&format!("{did} leads to {tenant:?}"), || async {
            let live = self.live(did).await;
            if live.as_deref() == tenant { Ok(()) } else { Err(format!("it is mapped to {live:?}")) }
        })
        .await;
    }

    /// Returns the tenant to which a DID is mapped.
    pub async fn live(&self, did: &str) -> Option<String> {
        let mut connection = self.redis.connection().await.unwrap();
        connection.get(format!("tenantmap:did:{did}")).await.unwrap()
    }

    /// Returns the state of Pods and events, for a failure's message.
    pub fn there(&self) -> String {
        let output = std::process::Command::new(tools::find("kubectl").unwrap())
            .args([
                "get",
                "nodes,deployments,pods,endpointslices,leases,rtenant",
                "--all-namespaces",
                "-o",
                "wide",
            ])
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Calls `check` until it returns `Ok`; a failure shows the Pods' logs.
    pub async fn wait<T, F>(&self, what: &str, check: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let begin = Instant::now();
        loop {
            match check().await {
                Ok(seen) => return seen,
                Err(state) if begin.elapsed() > TIMEOUT => {
                    panic!(
                        "timeout after {TIMEOUT:?}: {what}; {state}\n{}{}",
                        self.kubelet.logs(),
                        self.there()
                    )
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
