//! Kubeconfigs for kubectl and kube.

use std::path::{Path, PathBuf};

use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use crate::{Folder, Result, TlsFiles};

/// The credentials of a kubeconfig.
pub(crate) enum Credentials<'a> {
    Certificate(&'a TlsFiles),
    Token(&'a str),
}

/// The cluster and the namespace of a kubeconfig.
pub(crate) struct Context<'a> {
    pub(crate) server: &'a str,
    pub(crate) ca: &'a Path,
    /// The default namespace, in which an operator's Lease is, too.
    pub(crate) namespace: &'a str,
}

/// Writes a kubeconfig as JSON, which every YAML reader accepts.
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

/// Returns a client for a kubeconfig, bound to the calling runtime. It ignores the environment's proxy settings.
pub(crate) async fn client(path: &Path) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(path).map_err(Box::new)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(Box::new)?;
    config.proxy_url = None;
    Ok(Client::try_from(config)?)
}
