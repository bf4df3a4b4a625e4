//! Kubeconfigs that kubectl and kube alike can use.

use std::path::{Path, PathBuf};

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::{Folder, Result, TlsFiles};

/// Whose rights a kubeconfig carries.
pub(crate) enum Credentials<'a> {
    Certificate(&'a TlsFiles),
    Token(&'a str),
}

/// Where a kubeconfig leads.
pub(crate) struct Context<'a> {
    pub(crate) server: &'a str,
    pub(crate) ca: &'a Path,
    /// The one that is meant where none is named; a Lease is kept there too.
    pub(crate) namespace: &'a str,
}

/// Writes a kubeconfig; JSON is YAML, so every reader takes it.
pub(crate) fn write(
    folder: &Folder,
    name: &str,
    context: &Context<'_>,
    credentials: &Credentials<'_>,
) -> Result<PathBuf> {
    let Context { server, ca, namespace } = context;
    let user = match credentials {
        Credentials::Certificate(files) => {
            json!({ "client-certificate": files.cert, "client-key": files.key })
        }
        Credentials::Token(token) => json!({ "token": token }),
    };
    let config: Value = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "contexts": [{ "name": "local", "context": { "cluster": "local", "user": "local", "namespace": namespace } }],
        "clusters": [{ "name": "local", "cluster": { "server": server, "certificate-authority": ca } }],
        "users": [{ "name": "local", "user": user }],
    });
    folder.write(name, &format!("{config:#}\n"))
}

/// A client for a kubeconfig, bound to the runtime in which this is called. No proxy of the environment is between.
pub(crate) async fn client(path: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(path).map_err(Box::new)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(Box::new)?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}
