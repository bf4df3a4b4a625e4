//! A proxy to an API server: plain HTTP in front, an administrator's certificate behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use kube::Client;
use kube::client::Body;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use local_cluster::Port;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::events::Events;
use super::injector::{FaultInjector, Pass};
use super::paths::{PathFault, Paths};

/// A response of the proxy itself, without a request to the API server.
#[derive(Clone, Copy, Debug)]
pub struct ErrorResponse {
    /// 429, 500, 503, ...
    pub code: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

/// A proxy in front of an API server; ends on drop, with all open connections.
pub struct KubeProxy {
    shared: Arc<Shared>,
    port: Port,
    task: AbortHandle,
}

struct Shared {
    upstream: Mutex<Client>,
    injector: FaultInjector,
    events: Arc<Events>,
    /// The number of requests that fail from now on, and their response.
    failing: Mutex<(usize, Option<ErrorResponse>)>,
    paths: Paths,
    failed: AtomicU64,
    /// The number of lists of each kind of resource.
    lists: Mutex<BTreeMap<String, usize>>,
    /// The number of watches of each kind of resource that the API server has accepted and that are open.
    watches: Mutex<BTreeMap<String, usize>>,
    connections: AtomicU64,
    /// Connections below this id are dead: they are open, and nothing is forwarded on them any more.
    stalled: watch::Sender<u64>,
    /// Connections below this id are closed.
    cut: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

type Chunks = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, String>> + Send>>;
type Answer = Response<StreamBody<Chunks>>;

/// The reason for closing the connection without a response.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoResponse(String);

async fn client(kubeconfig: &Path) -> Client {
    let options = KubeConfigOptions::default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.proxy_url = None;
    // The operator must see the API server's own responses.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

impl KubeProxy {
    /// Starts in front of the API server of this administrator's kubeconfig.
    pub async fn start(kubeconfig: &Path, injector: FaultInjector) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(client(kubeconfig).await),
            injector,
            events: Arc::default(),
            failing: Mutex::default(),
            paths: Paths::default(),
            failed: AtomicU64::default(),
            lists: Mutex::default(),
            watches: Mutex::default(),
            connections: AtomicU64::default(),
            stalled: watch::Sender::new(0),
            cut: watch::Sender::new(0),
            closed: watch::Sender::new(false),
        });
        let accepting = Arc::clone(&shared);
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let id = accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(Arc::clone(&accepting).serve(stream, id));
            }
        };
        Self { shared, port, task: tokio::spawn(accept).abort_handle() }
    }

    /// Returns the text of a kubeconfig for this proxy.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        let server = format!("http://{}", self.port.address());
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "proxy", "namespace": namespace } }],
            "clusters": [{ "name": "proxy", "cluster": { "server": server } }],
            "users": [{ "name": "proxy", "user": {} }],
        })
        .to_string()
    }

    /// Sends new requests to another API server; open connections stay at the first one.
    pub async fn switch_to(&self, kubeconfig: &Path) {
        let client = client(kubeconfig).await;
        *self.shared.upstream.lock().unwrap() = client;
    }

    /// Makes the next `count` requests fail.
    pub fn fail_next(&self, count: usize, response: ErrorResponse) {
        *self.shared.failing.lock().unwrap() = (count, Some(response));
    }

    /// Breaks all requests to paths that end like this.
    pub fn fail_path(&self, end: &str, fault: impl Into<PathFault>) {
        self.shared.paths.set(None, end, fault.into());
    }

    /// Breaks the requests with this method to paths that end like this.
    pub fn fail_requests(&self, method: Method, end: &str, fault: PathFault) {
        self.shared.paths.set(Some(method), end, fault);
    }

    /// Ends [`Self::fail_path`] and [`Self::fail_requests`]. Requests that were to get no answer get none.
    pub fn heal_path(&self) {
        self.shared.paths.clear();
    }

    /// Returns the number of requests that failed so far.
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::SeqCst) + self.shared.paths.met()
    }

    /// Stalls all open connections, as a firewall that has forgotten them: requests get no response, watches no event. New
    /// connections work.
    pub fn stall_open(&self) {
        let next = self.shared.connections.load(Ordering::SeqCst);
        self.shared.stalled.send_replace(next);
    }

    /// Closes all open connections.
    pub fn cut_open(&self) {
        let next = self.shared.connections.load(Ordering::SeqCst);
        self.shared.cut.send_replace(next);
    }

    /// Closes all open and all new connections, until [`KubeProxy::open`].
    pub fn close(&self) {
        self.shared.closed.send_replace(true);
        self.cut_open();
    }

    /// Accepts connections again.
    pub fn open(&self) {
        self.shared.closed.send_replace(false);
    }

    /// Drops the `n`-th event from now on of all watches of resources and Secrets, and ends the watches a little later, so
    /// that the client lists again. `None` drops none.
    pub fn lose_event(&self, n: Option<usize>) {
        self.shared.events.lose(n);
    }

    /// Returns the event that was dropped, if one was.
    pub fn lost_event(&self) -> Option<String> {
        self.shared.events.lost()
    }

    /// Returns the number of events since [`KubeProxy::lose_event`].
    pub fn events(&self) -> usize {
        self.shared.events.seen()
    }

    /// Returns the number of watches that the API server has ended as expired (410) since [`KubeProxy::lose_event`].
    pub fn too_old(&self) -> usize {
        self.shared.events.too_old()
    }

    /// Returns the number of lists of each kind of resource: `lists()["runtimetenants"]`.
    pub fn lists(&self) -> BTreeMap<String, usize> {
        self.shared.lists.lock().unwrap().clone()
    }

    /// Returns the number of open watches of a kind of resource, such as `secrets`.
    pub fn open_watches(&self, kind: &str) -> usize {
        self.shared.watches.lock().unwrap().get(kind).copied().unwrap_or_default()
    }
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        self.close();
        self.task.abort();
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream, id: u64) {
        if *self.closed.borrow() {
            return;
        }
        stream.set_nodelay(true).unwrap();
        let mut cut = self.cut.subscribe();
        let service = service_fn(|request| Arc::clone(&self).answer(request, id));
        // Without a response the connection closes, as it would without a proxy.
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = serving => {}
            () = reaches(&mut cut, id) => {}
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, id: u64) -> Result<Answer, NoResponse> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| NoResponse(error.to_string()))?.to_bytes();
        self.while_alive(id).await;
        match self.paths.find(&parts.method, parts.uri.path()) {
            Some(PathFault::Error(response)) => return Ok(response.answer()),
            Some(PathFault::Refusal(code, reason, message)) => return Ok(refusal(code, reason, message)),
            Some(PathFault::Html(code)) => return Ok(html(code)),
            Some(PathFault::Slow(time)) => tokio::time::sleep(time).await,
            Some(PathFault::Never) => return std::future::pending().await,
            None => {}
        }
        if let Some(response) = self.next_error() {
            return Ok(response.answer());
        }
        let effect = effect(&parts.method, parts.uri.path(), &body);
        let pass = effect.map_or(Pass::Through, |effect| self.injector.arrive(&effect));
        if pass == Pass::Hold {
            return std::future::pending().await;
        }
        let watched = self.note(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default());
        parts.headers.remove(HOST);
        let upstream = self.upstream.lock().unwrap().clone();
        let sent = upstream.send(Request::from_parts(parts, Body::from(body))).await;
        let answer = sent.map_err(|error| NoResponse(error.to_string()))?;
        match pass {
            Pass::LoseReply => return Err(NoResponse("the reply is lost".into())),
            Pass::KillBeforeReply | Pass::Hold => {
                self.injector.request_crash();
                return std::future::pending().await;
            }
            Pass::Through => {}
        }
        self.while_alive(id).await;
        let (mut parts, body) = answer.into_parts();
        // The proxy's own connection sets its framing.
        parts.headers.remove(hyper::header::TRANSFER_ENCODING);
        parts.headers.remove(hyper::header::CONTENT_LENGTH);
        let chunks = body.into_data_stream().map_err(|error| error.to_string());
        let Some(kind) = watched else {
            return Ok(Response::from_parts(parts, StreamBody::new(self.stalling(chunks, id))));
        };
        let chunks = Arc::clone(&self.events).filter(chunks);
        // An answer that refuses the watch opens none.
        let open = parts.status.is_success().then(|| OpenWatch::new(&self, kind));
        let chunks = chunks.inspect(move |_| {
            let _ = &open;
        });
        Ok(Response::from_parts(parts, StreamBody::new(self.stalling(chunks, id))))
    }

    /// Forwards chunks until the connection is dead.
    fn stalling(
        &self,
        chunks: impl Stream<Item = Result<Bytes, String>> + Send + 'static,
        id: u64,
    ) -> Chunks {
        let state = (chunks.boxed(), self.stalled.subscribe());
        stream::unfold(state, move |(mut chunks, mut stalled)| async move {
            let chunk = tokio::select! {
                biased;
                () = reaches(&mut stalled, id) => std::future::pending().await,
                chunk = chunks.next() => chunk?,
            };
            Some((chunk.map(Frame::data), (chunks, stalled)))
        })
        .boxed()
    }

    /// Never returns for a connection that is dead.
    async fn while_alive(&self, id: u64) {
        if id < *self.stalled.borrow() {
            std::future::pending::<()>().await;
        }
    }

    fn next_error(&self) -> Option<ErrorResponse> {
        let mut failing = self.failing.lock().unwrap();
        let (left, response) = &mut *failing;
        *left = left.checked_sub(1)?;
        self.failed.fetch_add(1, Ordering::SeqCst);
        *response
    }

    /// Counts a list; returns the kind of resource of a watch whose events are counted.
    fn note(&self, method: &Method, path: &str, query: &str) -> Option<String> {
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let watch = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        // A list of one item only reads etcd's revision.
        let list = query.split('&').any(|pair| pair.starts_with("limit=") && pair != "limit=1");
        if *method == Method::GET && !watch && list {
            *self.lists.lock().unwrap().entry(kind.clone()).or_default() += 1;
        }
        (watch && (kind == "runtimetenants" || kind == "secrets")).then_some(kind)
    }
}

/// Counts as an open watch until it is dropped.
struct OpenWatch {
    shared: Arc<Shared>,
    kind: String,
}

impl OpenWatch {
    fn new(shared: &Arc<Shared>, kind: String) -> Self {
        *shared.watches.lock().unwrap().entry(kind.clone()).or_default() += 1;
        Self { shared: Arc::clone(shared), kind }
    }
}

impl Drop for OpenWatch {
    fn drop(&mut self) {
        if let Some(open) = self.shared.watches.lock().unwrap().get_mut(&self.kind) {
            *open -= 1;
        }
    }
}

impl ErrorResponse {
    fn answer(self) -> Answer {
        let mut answer = refusal(self.code, "TooManyRequests", "injected by the proxy");
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": message, "code": code,
    });
    answer(code, "application/json", status.to_string())
}

/// A page as HTTP proxies and load balancers answer with where they have no route or no server.
fn html(code: u16) -> Answer {
    let line = "<p>The page that you requested is not available.</p>\n".repeat(20);
    let page = format!(
        "<!DOCTYPE html>\n<html>\n<head><title>{code}</title></head>\n<body>\n{line}</body></html>\n"
    );
    answer(code, "text/html", page)
}

fn answer(code: u16, content_type: &'static str, text: String) -> Answer {
    let body = stream::iter([Ok(Frame::data(Bytes::from(text)))]).boxed();
    let mut answer = Response::new(StreamBody::new(body as Chunks));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
    answer
}

/// Waits until this connection's id is below the mark.
async fn reaches(mark: &mut watch::Receiver<u64>, id: u64) {
    // An error means that the proxy has ended, and its connections with it.
    drop(mark.wait_for(|below| id < *below).await);
}

/// Returns a request's side effect, if it has one: reviews and renewals of the Lease count as none.
fn effect(method: &Method, path: &str, body: &[u8]) -> Option<String> {
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    let asks = ["/leases", "selfsubject", "subjectaccessreviews", "tokenreviews"];
    if !writes || asks.iter().any(|what| path.contains(what)) {
        return None;
    }
    // .../namespaces/<namespace>/<kind>/<name>[/<part>]
    let what = path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/'));
    let what = what.map_or(path, |(_, what)| what);
    if what.starts_with("events") {
        let event: Value = serde_json::from_slice(body).unwrap_or_default();
        let (about, reason) = (&event["regarding"]["name"], &event["reason"]);
        return Some(format!("{method} event {about} {reason}"));
    }
    Some(format!("{method} {what}"))
}
