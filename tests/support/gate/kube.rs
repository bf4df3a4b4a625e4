//! A gate to an API server: plain HTTP in front, an administrator's certificate behind.

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
use super::fuse::{Fuse, Pass};

/// What is answered instead of asking the API server.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// 429, 500, 503, ...
    pub code: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<u32>,
}

/// A gate in front of an API server; ends on drop, with all that is open.
pub struct KubeGate {
    shared: Arc<Shared>,
    port: Port,
    task: AbortHandle,
}

struct Shared {
    upstream: Mutex<Client>,
    fuse: Fuse,
    events: Arc<Events>,
    /// How many requests are refused from now on, and how.
    refusing: Mutex<(usize, Option<Refusal>)>,
    refused: AtomicU64,
    /// How often each kind of resource was listed.
    lists: Mutex<BTreeMap<String, usize>>,
    connections: AtomicU64,
    /// Connections below this number are dead: they are open, and nothing comes of them any more.
    stalled: watch::Sender<u64>,
    /// Connections below this number are cut.
    cut: watch::Sender<u64>,
    closed: watch::Sender<bool>,
}

type Chunks = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, String>> + Send>>;
type Answer = Response<StreamBody<Chunks>>;

/// Why no answer is given: the connection closes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoAnswer(String);

async fn client(kubeconfig: &Path) -> Client {
    let options = KubeConfigOptions::default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    config.proxy_url = None;
    // The operator is to see what the API server answers.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

impl KubeGate {
    /// Before the API server of this administrator's kubeconfig.
    pub async fn start(kubeconfig: &Path, fuse: Fuse) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let shared = Arc::new(Shared {
            upstream: Mutex::new(client(kubeconfig).await),
            fuse,
            events: Arc::default(),
            refusing: Mutex::default(),
            refused: AtomicU64::default(),
            lists: Mutex::default(),
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

    /// The text of a kubeconfig that leads here.
    pub fn kubeconfig(&self, namespace: &str) -> String {
        let server = format!("http://{}", self.port.address());
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "gate",
            "contexts": [{ "name": "gate", "context": { "cluster": "gate", "user": "gate", "namespace": namespace } }],
            "clusters": [{ "name": "gate", "cluster": { "server": server } }],
            "users": [{ "name": "gate", "user": {} }],
        })
        .to_string()
    }

    /// From now on another API server is behind; what stands to the first one stays.
    pub async fn switch_to(&self, kubeconfig: &Path) {
        let client = client(kubeconfig).await;
        *self.shared.upstream.lock().unwrap() = client;
    }

    /// Refuses the next `count` requests.
    pub fn refuse(&self, count: usize, refusal: Refusal) {
        *self.shared.refusing.lock().unwrap() = (count, Some(refusal));
    }

    /// How many requests were refused so far.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// What is open stays open and is dead from now on, as behind a firewall that has forgotten it: requests are taken
    /// and not answered, watches say nothing. New connections work.
    pub fn stall_open(&self) {
        let next = self.shared.connections.load(Ordering::SeqCst);
        self.shared.stalled.send_replace(next);
    }

    /// Closes all that is open.
    pub fn cut_open(&self) {
        let next = self.shared.connections.load(Ordering::SeqCst);
        self.shared.cut.send_replace(next);
    }

    /// Cuts what is open and whatever comes, until [`KubeGate::open`].
    pub fn close(&self) {
        self.shared.closed.send_replace(true);
        self.cut_open();
    }

    /// Lets connections in again.
    pub fn open(&self) {
        self.shared.closed.send_replace(false);
    }

    /// Loses the `n`-th event from here of all watches of resources and Secrets, and a little later has them list again.
    /// `None` loses none.
    pub fn lose_event(&self, n: Option<usize>) {
        self.shared.events.lose(n);
    }

    /// The event that was lost, if one was.
    pub fn lost_event(&self) -> Option<String> {
        self.shared.events.lost()
    }

    /// How many events there were since [`KubeGate::lose_event`].
    pub fn events(&self) -> usize {
        self.shared.events.seen()
    }

    /// How many watches the API server has told that they are too old (410) since [`KubeGate::lose_event`].
    pub fn too_old(&self) -> usize {
        self.shared.events.too_old()
    }

    /// How often each kind of resource was listed: `lists()["runtimetenants"]`.
    pub fn lists(&self) -> BTreeMap<String, usize> {
        self.shared.lists.lock().unwrap().clone()
    }
}

impl Drop for KubeGate {
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
        // Without an answer the connection closes, whatever the reason: the operator sees what it would see.
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            _ = serving => {}
            () = reaches(&mut cut, id) => {}
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>, id: u64) -> Result<Answer, NoAnswer> {
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|error| NoAnswer(error.to_string()))?.to_bytes();
        self.while_alive(id).await;
        if let Some(refusal) = self.next_refusal() {
            return Ok(refusal.answer());
        }
        let effect = effect(&parts.method, parts.uri.path(), &body);
        let pass = effect.map_or(Pass::Through, |effect| self.fuse.arrive(&effect));
        if pass == Pass::Hold {
            return std::future::pending().await;
        }
        let watched = self.note(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default());
        parts.headers.remove(HOST);
        let upstream = self.upstream.lock().unwrap().clone();
        let sent = upstream.send(Request::from_parts(parts, Body::from(body))).await;
        let answer = sent.map_err(|error| NoAnswer(error.to_string()))?;
        match pass {
            Pass::LoseReply => return Err(NoAnswer("the reply is lost".into())),
            Pass::KillBeforeReply | Pass::Hold => {
                self.fuse.doom();
                return std::future::pending().await;
            }
            Pass::Through => {}
        }
        self.while_alive(id).await;
        let (mut parts, body) = answer.into_parts();
        // The gate's own connection frames it anew.
        parts.headers.remove(hyper::header::TRANSFER_ENCODING);
        parts.headers.remove(hyper::header::CONTENT_LENGTH);
        let chunks = body.into_data_stream().map_err(|error| error.to_string());
        let chunks = if watched { Arc::clone(&self.events).filter(chunks) } else { chunks.boxed() };
        Ok(Response::from_parts(parts, StreamBody::new(self.stalling(chunks, id))))
    }

    /// Passes what comes until the connection is dead.
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

    fn next_refusal(&self) -> Option<Refusal> {
        let mut refusing = self.refusing.lock().unwrap();
        let (left, refusal) = &mut *refusing;
        *left = left.checked_sub(1)?;
        self.refused.fetch_add(1, Ordering::SeqCst);
        *refusal
    }

    /// Takes note of a list; says whether it is a watch whose events are counted.
    fn note(&self, method: &Method, path: &str, query: &str) -> bool {
        let kind = path.rsplit('/').next().unwrap_or_default().to_owned();
        let watch = query.split('&').any(|pair| pair == "watch=true" || pair == "watch=1");
        // One item is no list but a question for the store's revision.
        let list = query.split('&').any(|pair| pair.starts_with("limit=") && pair != "limit=1");
        if *method == Method::GET && !watch && list {
            *self.lists.lock().unwrap().entry(kind.clone()).or_default() += 1;
        }
        watch && (kind == "runtimetenants" || kind == "secrets")
    }
}

impl Refusal {
    fn answer(self) -> Answer {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "reason": "TooManyRequests", "message": "the gate refuses", "code": self.code,
        });
        let body = stream::iter([Ok(Frame::data(Bytes::from(status.to_string())))]).boxed();
        let mut answer = Response::new(StreamBody::new(body as Chunks));
        *answer.status_mut() = StatusCode::from_u16(self.code).unwrap();
        answer.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        answer
    }
}

/// Waits until this connection is among those below the mark.
async fn reaches(mark: &mut watch::Receiver<u64>, id: u64) {
    // The gate outlives its connections' use; without it they are of no interest.
    drop(mark.wait_for(|below| id < *below).await);
}

/// What a request does, if it is a side effect: neither a question nor a renewal of the Lease.
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
