//! The admin route `inspect`, by a port-forward to a Pod.

use k8s_openapi::api::core::v1::Pod;
use kube::client::Body;
use kube::{Api, Client, Config};
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use url::form_urlencoded::Serializer;

use super::answer::{clause, decode};
use super::operator::Operator;
use crate::cli::common::{Access, escaped};
use crate::contract::routes::{ADMIN_PREFIX, INSPECT, parse_boolean};
use crate::store::{Facts, FactsQuery};

/// The name of the container's port of the admin routes.
const PORT: &str = "admin";

/// Asks the route. The error is a clause.
pub(super) async fn inspect(
    access: &Access,
    operator: &Operator,
    pod: &str,
    query: &FactsQuery,
) -> Result<Facts, String> {
    let auth = &access.config.auth_info;
    if operator.setting("ENABLE_RUNTIME_ADMIN").and_then(parse_boolean) != Some(true) {
        return Err("the admin routes are disabled".to_owned());
    }
    if auth.impersonate.is_some() {
        return Err("it knows no --as".to_owned());
    }
    if auth.token.is_none()
        && auth.token_file.is_none()
        && auth.exec.is_none()
        && auth.auth_provider.is_none()
    {
        return Err("the kubeconfig has no bearer token for it".to_owned());
    }
    let ports = operator.container().and_then(|container| container.ports.as_deref()).unwrap_or_default();
    let port = ports.iter().find(|port| port.name.as_deref() == Some(PORT));
    let port = port.and_then(|port| u16::try_from(port.container_port).ok());
    let port = port.ok_or("the Deployment has no port admin")?;

    let pods: Api<Pod> = Api::namespaced(access.client.clone(), &operator.namespace);
    let mut forwarder = pods.portforward(pod, &[port]).await.map_err(|error| clause(&error))?;
    let mut stream = forwarder.take_stream(port).ok_or("the port-forward has no stream")?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // One connection, our own: a port that stays open would be everybody's on this machine.
    let forwarding = async move {
        let (mut connection, _) = listener.accept().await?;
        drop(listener);
        copy_bidirectional(&mut connection, &mut stream).await.map(drop)
    };
    let scheme = if operator.setting("ADMIN_TLS_CERT_FILE").is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{address}");
    let mut config = Config::new(url.parse().map_err(|_| "the address is no URL".to_owned())?);
    config.default_retry = false;
    config.read_timeout = Some(access.args.timeout);
    // The certificate names the Service. The stream ends in the Pod that the API server has forwarded to.
    config.accept_invalid_certs = true;
    config.auth_info.token.clone_from(&auth.token);
    config.auth_info.token_file.clone_from(&auth.token_file);
    config.auth_info.exec.clone_from(&auth.exec);
    config.auth_info.auth_provider.clone_from(&auth.auth_provider);
    let client = Client::try_from(config).map_err(|error| clause(&error))?;
    let request = hyper::Request::get(format!("{ADMIN_PREFIX}{}?{}", INSPECT.path, query_of(query)))
        .body(Body::empty())
        .map_err(|error| error.to_string())?;
    let asking = async {
        let response = client.send(request).await.map_err(|error| clause(&error))?;
        let status = response.status();
        let body = response.into_body().collect_bytes().await.map_err(|error| clause(&error))?;
        if status.is_success() { decode(&body) } else { Err(refusal(status.as_u16(), &body)) }
    };
    tokio::select! {
        answer = asking => answer,
        Err(error) = forwarding => Err(format!("the port-forward broke: {error}")),
    }
}

fn query_of(query: &FactsQuery) -> String {
    let mut text = Serializer::new(String::new());
    for did in &query.dids {
        text.append_pair("did", did.as_str());
    }
    for tenant in &query.tenants {
        text.append_pair("tenant", tenant.as_str());
    }
    for (name, wanted) in
        [("documents", query.documents), ("server", query.server), ("rehearse", query.rehearse)]
    {
        if wanted {
            text.append_pair(name, "true");
        }
    }
    text.finish()
}

/// A refusal as a clause: the code of the route, and its message.
fn refusal(status: u16, body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(|text| escaped(text).into_owned());
    let parts: Vec<String> = [text("error"), text("message")].into_iter().flatten().collect();
    if parts.is_empty() { format!("response {status}") } else { parts.join(": ") }
}
