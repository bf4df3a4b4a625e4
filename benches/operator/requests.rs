//! Counts the requests to the API server, without those of this program.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper::Request;
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tower::util::MapRequestLayer;

/// The count of each kind of request or command.
pub type Counts = BTreeMap<String, u64>;

/// The resources of an operator's requests. Leases are left out: the API server renews some of its own.
const RESOURCES: [&str; 3] = ["runtimetenants", "secrets", "events"];

/// The requests of this program, by verb and resource.
#[derive(Clone, Default)]
pub struct Requests(Arc<Mutex<Counts>>);

impl Requests {
    /// Returns an administrator's client whose requests are counted.
    pub async fn client(&self, kubeconfig: &Path) -> Client {
        let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
        let options = KubeConfigOptions::default();
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        config.proxy_url = None;
        let own = self.clone();
        let counting = MapRequestLayer::new(move |request: Request<Body>| {
            own.note(
                request.method().as_str(),
                request.uri().path(),
                request.uri().query().unwrap_or_default(),
            );
            request
        });
        ClientBuilder::try_from(config).unwrap().with_layer(&counting).build()
    }

    fn note(&self, method: &str, path: &str, query: &str) {
        if let Some(kind) = kind(method, path, query) {
            *self.0.lock().unwrap().entry(kind).or_default() += 1;
        }
    }

    /// Returns the requests of all other clients since the API server started. A watch is counted when it ends, so none is here.
    pub async fn of_others(&self, client: &Client) -> Counts {
        let request = Request::get("/metrics").body(Vec::new()).unwrap();
        let all = client.request_text(request).await.unwrap();
        let mut counts = Counts::new();
        for line in all.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let (labels, count) = line.split_once("} ").unwrap();
            let label = |name: &str| {
                let from = labels.split_once(&format!("{name}=\""))?.1;
                from.split_once('"').map(|(value, _)| value)
            };
            let (verb, resource, part) =
                (label("verb").unwrap(), label("resource").unwrap(), label(",subresource").unwrap());
            if RESOURCES.contains(&resource) && verb != "WATCH" {
                *counts.entry(named(verb, resource, part)).or_default() +=
                    count.parse::<f64>().unwrap() as u64;
            }
        }
        less(&counts, &self.0.lock().unwrap())
    }
}

fn named(verb: &str, resource: &str, part: &str) -> String {
    let slash = if part.is_empty() { "" } else { "/" };
    format!("{verb} {resource}{slash}{part}")
}

/// Returns a request's name in the API server's metrics.
fn kind(method: &str, path: &str, query: &str) -> Option<String> {
    let mut parts = path.trim_start_matches('/').split('/');
    let versioned = match parts.next()? {
        "api" => 1,
        "apis" => 2,
        _ => return None,
    };
    let mut parts = parts.skip(versioned).peekable();
    if parts.peek() == Some(&"namespaces") {
        parts.nth(1);
    }
    let (resource, name, part) = (parts.next()?, parts.next(), parts.next().unwrap_or_default());
    let verb = match (method, name) {
        ("GET", None) if query.contains("watch=") => return None,
        ("GET", None) => "LIST",
        (method, _) => method,
    };
    Some(named(verb, resource, part))
}

/// Returns the increase since `before`.
pub fn less(after: &Counts, before: &Counts) -> Counts {
    let counts = after.iter().map(|(kind, count)| {
        (kind.clone(), count.saturating_sub(before.get(kind).copied().unwrap_or_default()))
    });
    counts.filter(|(_, count)| *count > 0).collect()
}
