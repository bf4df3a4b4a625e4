//! A gate between an API server and etcd, which speaks gRPC (HTTP/2 without TLS): watches alone can be held up, so that
//! the API server's view grows old while what it is asked to write is written; or everything.

use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use local_cluster::Port;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// The one call that streams; see `rpc.proto` of etcd.
const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// What goes through; the rest waits, and nothing of it is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Everything,
    AllButWatches,
    Nothing,
}

/// A gate in front of etcd; ends on drop.
pub struct EtcdGate {
    flow: Arc<watch::Sender<Flow>>,
    port: Port,
    task: AbortHandle,
}

type Frames = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send>>;

impl EtcdGate {
    /// Before the etcd at this address, `host:port`.
    pub async fn start(address: String) -> Self {
        let port = Port::reserve().unwrap();
        let listener = TcpListener::bind(port.address()).await.unwrap();
        let flow = Arc::new(watch::Sender::new(Flow::Everything));
        let flowing = Arc::clone(&flow);
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address.clone(), Arc::clone(&flowing)));
            }
        };
        Self { flow, port, task: tokio::spawn(accept).abort_handle() }
    }

    /// `127.0.0.1:<port>`.
    pub fn address(&self) -> String {
        self.port.address()
    }

    /// From now on the API server behind learns of no change.
    pub fn hold_watches(&self) {
        self.flow.send_replace(Flow::AllButWatches);
    }

    /// From now on etcd answers nothing, as one that is frozen.
    pub fn freeze(&self) {
        self.flow.send_replace(Flow::Nothing);
    }

    /// Lets through what waits, and all that comes.
    pub fn thaw(&self) {
        self.flow.send_replace(Flow::Everything);
    }
}

impl Drop for EtcdGate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, address: String, flow: Arc<watch::Sender<Flow>>) {
    let Ok(upstream) = TcpStream::connect(address).await else { return };
    let (executor, upstream) = (TokioExecutor::new(), TokioIo::new(upstream));
    let Ok((etcd, connection)) = hyper::client::conn::http2::handshake(executor, upstream).await else {
        return;
    };
    tokio::spawn(connection);
    let service = service_fn(move |request| pass(request, etcd.clone(), flow.subscribe()));
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // Either side's end is the connection's end; the API server connects again.
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn pass(
    request: Request<Incoming>,
    mut etcd: SendRequest<Incoming>,
    mut flow: watch::Receiver<Flow>,
) -> Result<Response<StreamBody<Frames>>, hyper::Error> {
    let watches = request.uri().path() == WATCH;
    until_open(&mut flow, watches).await;
    let answer = etcd.send_request(request).await?;
    Ok(answer.map(|body| {
        let frames = stream::unfold((body, flow), move |(mut body, mut flow)| async move {
            let frame = body.frame().await?;
            until_open(&mut flow, watches).await;
            Some((frame, (body, flow)))
        });
        StreamBody::new(frames.boxed() as Frames)
    }))
}

/// Waits until this may go through.
async fn until_open(flow: &mut watch::Receiver<Flow>, watches: bool) {
    let open = |flow: &Flow| *flow == Flow::Everything || (*flow == Flow::AllButWatches && !watches);
    // The gate is gone: so is whoever waited.
    drop(flow.wait_for(open).await);
}
