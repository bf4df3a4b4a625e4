//! Hostile clients of both ports.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::load::{self, Tenant};
use crate::site::{NAMESPACE, Site};

/// The connections that this program holds at the same time.
const HELD: usize = 800;
/// The time for which clients that do not read stay.
const SILENT: Duration = Duration::from_secs(10);

/// A token of a service account that has no right.
pub async fn token(site: &Site) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(site.client.clone(), NAMESPACE);
    let account = serde_json::from_value(json!({ "metadata": { "name": "unprivileged" } })).unwrap();
    let _ = accounts.create(&PostParams::default(), &account).await;
    let request = TokenRequest {
        spec: TokenRequestSpec { audiences: Vec::new(), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let made = accounts.create_token_request("unprivileged", &PostParams::default(), &request).await.unwrap();
    made.status.unwrap().token
}

/// Asks for configs with long and different tenant ids.
pub async fn denied_requests(address: &str, token: &str, count: usize) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    load::all(0..count, load::CONCURRENCY, |number| {
        let id = format!("{}{number}", "!".repeat(30_500));
        let url = format!("http://{address}/api/admin/runtime/tenants/{id}/config");
        let request = client.get(url).bearer_auth(token);
        async move { drop(request.send().await) }
    })
    .await;
}

/// Opens connections and sends half a head on each.
pub async fn half_requests(address: &str, count: usize) {
    let mut held = std::collections::VecDeque::new();
    for _ in 0..count {
        if held.len() >= HELD {
            held.pop_front();
        }
        if let Ok(mut stream) = TcpStream::connect(address).await {
            let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nx-half: ").await;
            held.push_back(stream);
        }
    }
}

/// Asks for a large config, and reads nothing.
pub async fn silent_readers(site: &Site, address: &str, count: usize) {
    let mut config = serde_json::to_value(Tenant::numbered("older", 1).resource()).unwrap()["spec"].take();
    config["contractVersion"] = json!("v1");
    config["tenantId"] = json!("older");
    config["webhookSecretRef"] = json!("secret://a/b");
    config["audio"] = json!({});
    config["assistantContext"] = json!({ "about": "x".repeat(9_900_000) });
    let mut redis = site.keys.uncounted();
    let set =
        redis::cmd("SET").arg("tenantcfg:older").arg(config.to_string()).query_async::<()>(&mut redis).await;
    set.unwrap();
    let mut held = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET /api/admin/runtime/tenants/older/config HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        held.push(stream);
    }
    tokio::time::sleep(SILENT).await;
    redis::cmd("DEL").arg("tenantcfg:older").query_async::<()>(&mut redis).await.unwrap();
}
