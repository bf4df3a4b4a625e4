//! One kube-apiserver on a port of its own.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use kube::Client;
use kube::api::GetParams;
use kube::core::Request;

use crate::kubeconfig::{self, Context, Credentials};
use crate::options::AUDIT_POLICY;
use crate::{ClusterOptions, Folder, Launch, Port, Process, Result, TlsFiles, tools};

/// The audit log, in the cluster's folder.
pub(crate) const AUDIT_LOG: &str = "audit.log";

/// The parts that the API servers of one cluster share.
pub(crate) struct Shared<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) etcd: String,
    pub(crate) serving: &'a TlsFiles,
    pub(crate) admin: &'a TlsFiles,
    pub(crate) account_key: &'a Path,
    pub(crate) options: ClusterOptions,
}

/// A kube-apiserver; it has the methods of its process.
pub struct ApiServer {
    process: Process,
    url: String,
    kubeconfig: PathBuf,
    _port: Port,
}

impl ApiServer {
    pub(crate) async fn start(name: &str, shared: &Shared<'_>) -> Result<Self> {
        let port = Port::reserve()?;
        let url = format!("https://{}", port.address());
        let credentials = Credentials::Certificate(shared.admin);
        let context = Context { server: &url, ca: &shared.serving.ca, namespace: "default" };
        let kubeconfig =
            kubeconfig::write(shared.folder, &format!("{name}.kubeconfig"), &context, &credentials)?;
        let log = shared.folder.file(&format!("{name}.log"));
        let probed = kubeconfig.clone();
        let launch = Launch::new(name, tools::find(&shared.options.program("kube-apiserver"))?, log)
            .args(arguments(&port, shared))
            .args(audit(shared)?)
            .ready(move || ready(probed.clone()));
        Ok(Self { process: Process::start(launch).await?, url, kubeconfig, _port: port })
    }

    /// `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the kubeconfig of an administrator at this server.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Returns a client with an administrator's permissions, bound to the calling runtime.
    pub async fn client(&self) -> Result<Client> {
        kubeconfig::client(&self.kubeconfig).await
    }
}

impl Deref for ApiServer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

async fn ready(kubeconfig: PathBuf) -> Result<(), String> {
    let client = kubeconfig::client(&kubeconfig).await.map_err(|error| error.to_string())?;
    // GET /readyz, which is no resource, with the client's request for one.
    let request = Request::new("").get("readyz", &GetParams::default()).map_err(|error| error.to_string())?;
    client.request_text(request).await.map(drop).map_err(|error| error.to_string())
}

fn arguments(port: &Port, shared: &Shared<'_>) -> Vec<String> {
    let account_key = shared.account_key.display();
    vec![
        format!("--etcd-servers={}", shared.etcd),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={}", port.number()),
        format!("--tls-cert-file={}", shared.serving.cert.display()),
        format!("--tls-private-key-file={}", shared.serving.key.display()),
        format!("--client-ca-file={}", shared.serving.ca.display()),
        "--authorization-mode=RBAC".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-signing-key-file={account_key}"),
        format!("--service-account-key-file={account_key}"),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        // No Pod reaches the `kubernetes` Service here, and loopback is no valid endpoint.
        "--endpoint-reconciler-type=none".into(),
    ]
}

/// All API servers of a cluster write to one file.
fn audit(shared: &Shared<'_>) -> Result<Vec<String>> {
    if !shared.options.audited {
        return Ok(Vec::new());
    }
    let policy = shared.folder.write("audit-policy.yaml", AUDIT_POLICY)?;
    Ok(vec![
        format!("--audit-policy-file={}", policy.display()),
        format!("--audit-log-path={}", shared.folder.file(AUDIT_LOG).display()),
        // The file contains the requests that got a response.
        "--audit-log-mode=blocking".into(),
    ])
}
