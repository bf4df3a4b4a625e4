//! etcd, kube-apiserver and kube-controller-manager.

use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, ResourceExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::api_server::{AUDIT_LOG, Shared};
use crate::error::Context as _;
use crate::kubeconfig::{self, Context, Credentials};
use crate::pki::Authority;
use crate::{
    ApiServer, ClusterOptions, Folder, Launch, Port, Process, Result, TlsFiles, apply, folder, tools,
};

/// The controllers for namespaces, owner references, `ServiceAccounts` and aggregated roles; none for Pods.
const CONTROLLERS: &str = "namespace-controller,garbage-collector-controller,serviceaccount-controller,\
    root-ca-certificate-publisher-controller,clusterrole-aggregation-controller";
/// The additional controllers for Deployments, Services, disruption budgets, and the taints of nodes.
const WORKLOADS: &str = "deployment-controller,replicaset-controller,endpointslice-controller,disruption-controller,\
    node-lifecycle-controller,pod-garbage-collector-controller";
/// The address of the Service `kubernetes`: the first of the API servers' range.
const SERVICE: &str = "10.96.0.1";

/// The folder of etcd's data, inside the cluster's.
const ETCD_DATA: &str = "etcd";

/// A Kubernetes cluster without nodes. On drop its processes are killed and its folder is removed.
pub struct Cluster {
    // Dropped in this order: clients before servers, the folder last.
    scheduler: Option<Process>,
    controller_manager: Option<Process>,
    api_server: ApiServer,
    etcd: Process,
    serving: TlsFiles,
    admin: TlsFiles,
    account_key: PathBuf,
    authority: Authority,
    options: ClusterOptions,
    ports: [Port; 2],
    folder: Folder,
}

impl Cluster {
    /// Starts a cluster; on return its API server is ready and its controllers work.
    pub async fn start() -> Result<Self> {
        Self::with(ClusterOptions::default()).await
    }

    /// Starts a cluster with options.
    pub async fn with(options: ClusterOptions) -> Result<Self> {
        let folder = Folder::new("cluster")?;
        let authority = Authority::new("local-cluster")?;
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", SERVICE];
        let serving = authority.server(&folder, "kube-apiserver", &names)?;
        let admin = authority.client(&folder, "admin", Some("system:masters"))?;
        // One file for both: the API server signs with the private key and verifies with the public one.
        let key = rcgen::KeyPair::generate()?;
        let account_key =
            folder.write("service-accounts.pem", &(key.serialize_pem() + &key.public_key_pem()))?;

        let ports = [Port::reserve()?, Port::reserve()?];
        let etcd = start_etcd(&folder, &ports).await?;
        let shared = Shared {
            folder: &folder,
            etcd: format!("http://{}", ports[0].address()),
            serving: &serving,
            admin: &admin,
            account_key: &account_key,
            options,
        };
        let api_server = ApiServer::start("kube-apiserver", &shared).await?;
        let controller_manager = if options.without_controllers {
            None
        } else {
            Some(start_controller_manager(&folder, &api_server, &serving, options).await?)
        };
        let scheduler = if options.workloads {
            Some(start_scheduler(&folder, &api_server, options).await?)
        } else {
            None
        };
        Ok(Self {
            scheduler,
            controller_manager,
            api_server,
            etcd,
            serving,
            admin,
            account_key,
            authority,
            options,
            ports,
            folder,
        })
    }

    /// Returns the first API server.
    #[must_use]
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }

    /// Returns etcd, the store behind all API servers.
    #[must_use]
    pub fn etcd(&self) -> &Process {
        &self.etcd
    }

    /// Returns the controller manager, if any, which creates `ServiceAccounts` and empties namespaces.
    #[must_use]
    pub fn controller_manager(&self) -> Option<&Process> {
        self.controller_manager.as_ref()
    }

    /// Starts another API server on the same etcd, with its own port and kubeconfig; `name` is also the name of its log.
    pub async fn add_api_server(&self, name: &str) -> Result<ApiServer> {
        self.add_api_server_through(name, &self.etcd_address()).await
    }

    /// Returns `127.0.0.1:<port>` of etcd, which serves gRPC, and JSON below `/v3`.
    #[must_use]
    pub fn etcd_address(&self) -> String {
        self.ports[0].address()
    }

    /// Starts another API server that connects to etcd at another address, `host:port`, such as an [`Edge`](crate::Edge)'s.
    pub async fn add_api_server_through(&self, name: &str, etcd: &str) -> Result<ApiServer> {
        let shared = Shared {
            folder: &self.folder,
            etcd: format!("http://{etcd}"),
            serving: &self.serving,
            admin: &self.admin,
            account_key: &self.account_key,
            options: self.options,
        };
        ApiServer::start(name, &shared).await
    }

    /// Returns the kubeconfig of an administrator (group `system:masters`) at the first API server.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.api_server.kubeconfig()
    }

    /// Returns a client with an administrator's permissions, bound to the calling runtime.
    pub async fn client(&self) -> Result<Client> {
        self.api_server.client().await
    }

    /// Returns a token of a `ServiceAccount`, which is created if it does not exist. No audience means the API server's own.
    /// The token is valid for an hour.
    pub async fn service_account_token(
        &self,
        namespace: &str,
        name: &str,
        audiences: &[&str],
    ) -> Result<String> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        if accounts.get_opt(name).await?.is_none() {
            let metadata = ObjectMeta { name: Some(name.into()), ..Default::default() };
            let account = ServiceAccount { metadata, ..Default::default() };
            accounts.create(&PostParams::default(), &account).await?;
        }
        let audiences = audiences.iter().map(ToString::to_string).collect();
        let spec = TokenRequestSpec { audiences, ..Default::default() };
        let request = TokenRequest { spec, ..Default::default() };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
        Ok(answer.status.map(|status| status.token).unwrap_or_default())
    }

    /// Returns the private key (PEM) with which the API server signs tokens, for tokens that it would not issue, such as
    /// expired ones.
    #[must_use]
    pub fn account_key(&self) -> &Path {
        &self.account_key
    }

    /// Returns a kubeconfig of a `ServiceAccount`, which is created if it does not exist.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf> {
        let token = self.service_account_token(namespace, name, &[]).await?;
        let file = format!("{namespace}-{name}.kubeconfig");
        kubeconfig::write(&self.folder, &file, &self.context(namespace), &Credentials::Token(&token))
    }

    /// Returns a kubeconfig of a user.
    pub fn user_kubeconfig(&self, user: &str, group: Option<&str>) -> Result<PathBuf> {
        let files = self.authority.client(&self.folder, user, group)?;
        let file = format!("user-{user}.kubeconfig");
        kubeconfig::write(&self.folder, &file, &self.context("default"), &Credentials::Certificate(&files))
    }

    /// Returns an administrator's kubeconfig with another namespace than `default`, which is that of an operator's Lease.
    pub fn kubeconfig_in(&self, namespace: &str) -> Result<PathBuf> {
        let file = format!("admin-{namespace}.kubeconfig");
        kubeconfig::write(
            &self.folder,
            &file,
            &self.context(namespace),
            &Credentials::Certificate(&self.admin),
        )
    }

    fn context<'a>(&'a self, namespace: &'a str) -> Context<'a> {
        Context { server: self.api_server.url(), ca: &self.serving.ca, namespace }
    }

    /// Returns a client for any kubeconfig, bound to the calling runtime.
    pub async fn client_for(&self, kubeconfig: &Path) -> Result<Client> {
        kubeconfig::client(kubeconfig).await
    }

    /// Applies every document of a YAML text (server-side apply, forced, field manager `local-cluster`), in its order.
    /// On return a custom resource definition is served.
    pub async fn apply_yaml(&self, text: &str) -> Result<()> {
        apply::yaml(&self.client().await?, text).await
    }

    /// Applies a file; see [`Cluster::apply_yaml`].
    pub async fn apply_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).context(|| format!("read {}", path.display()))?;
        self.apply_yaml(&text).await
    }

    /// Returns the requests of `ServiceAccounts`, one `audit.k8s.io/v1` event a line, if the cluster is audited.
    #[must_use]
    pub fn audit_log(&self) -> PathBuf {
        self.folder.file(AUDIT_LOG)
    }

    /// Copies all data of etcd at one instant.
    pub async fn snapshot(&self) -> Result<Folder> {
        let copy = Folder::new("snapshot")?;
        self.etcd.freeze().await?;
        // The files of a frozen process are those that its end would leave behind.
        let copied = folder::copy(&self.folder.file(ETCD_DATA), &copy.file(ETCD_DATA));
        self.etcd.thaw()?;
        copied.map(|()| copy)
    }

    /// Restores etcd from a snapshot; revisions continue from there. The first API server is restarted, since its caches are of
    /// another history; the caller must restart others.
    pub async fn restore(&self, snapshot: &Folder) -> Result<()> {
        for process in [&*self.api_server, &self.etcd] {
            if process.is_running() {
                process.kill().await?;
            }
        }
        let data = self.folder.file(ETCD_DATA);
        std::fs::remove_dir_all(&data).context(|| format!("remove {}", data.display()))?;
        folder::copy(&snapshot.file(ETCD_DATA), &data)?;
        self.etcd.restart().await?;
        self.api_server.restart().await
    }

    /// Stops all processes, in order and cleanly.
    pub async fn stop(self) -> Result<()> {
        let api_server: &Process = &self.api_server;
        for process in self.scheduler.iter().chain(&self.controller_manager).chain([api_server, &self.etcd]) {
            if process.is_running() {
                process.thaw()?;
                process.stop().await?;
            }
        }
        Ok(())
    }
}

async fn start_etcd(folder: &Folder, ports: &[Port; 2]) -> Result<Process> {
    let [client, peer] = ports.each_ref().map(|port| format!("http://{}", port.address()));
    let address = ports[0].address();
    let launch = Launch::new("etcd", tools::find("etcd")?, folder.file("etcd.log"))
        .args([
            format!("--data-dir={}", folder.file(ETCD_DATA).display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            // Writes survive a killed process but not a lost machine, which no test needs.
            "--unsafe-no-fsync".into(),
        ])
        .ready(move || etcd_ready(address.clone()));
    Process::start(launch).await
}

async fn etcd_ready(address: String) -> Result<(), String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    match ask.await {
        Ok(answer) if answer.contains(" 200 ") => Ok(()),
        Ok(answer) => Err(answer),
        Err(error) => Err(error.to_string()),
    }
}

async fn start_controller_manager(
    folder: &Folder,
    api_server: &ApiServer,
    serving: &TlsFiles,
    options: ClusterOptions,
) -> Result<Process> {
    let kubeconfig = api_server.kubeconfig().to_owned();
    let log = folder.file("kube-controller-manager.log");
    let program = tools::find(&options.program("kube-controller-manager"))?;
    let controllers =
        if options.workloads { format!("{CONTROLLERS},{WORKLOADS}") } else { CONTROLLERS.into() };
    let launch = Launch::new("kube-controller-manager", program, log)
        .args([
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--root-ca-file={}", serving.ca.display()),
            format!("--controllers={controllers}"),
            "--leader-elect=false".into(),
            // Its effects show that it works; see `controllers_work`.
            "--secure-port=0".into(),
        ])
        .ready(move || controllers_work(kubeconfig.clone()));
    Process::start(launch).await
}

async fn start_scheduler(
    folder: &Folder,
    api_server: &ApiServer,
    options: ClusterOptions,
) -> Result<Process> {
    let program = tools::find(&options.program("kube-scheduler"))?;
    let launch = Launch::new("kube-scheduler", program, folder.file("kube-scheduler.log")).args([
        format!("--kubeconfig={}", api_server.kubeconfig().display()),
        "--leader-elect=false".into(),
        // Its effect shows that it works: Pods get nodes.
        "--secure-port=0".into(),
    ]);
    Process::start(launch).await
}

/// Waits until the namespace `default` has the objects that the controllers create in every namespace.
async fn controllers_work(kubeconfig: PathBuf) -> Result<(), String> {
    let poll = async {
        let client = kubeconfig::client(&kubeconfig).await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), "default");
        let roots: Api<ConfigMap> = Api::namespaced(client, "default");
        let (account, root) = (accounts.get_opt("default").await?, roots.get_opt("kube-root-ca.crt").await?);
        Result::<_>::Ok(account.map(|account| account.name_any()).and(root))
    };
    match poll.await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err("the namespace default lacks its ServiceAccount or its root certificate".into()),
        Err(error) => Err(error.to_string()),
    }
}
