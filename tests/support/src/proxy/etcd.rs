//! A proxy between an API server and etcd, which speaks gRPC (HTTP/2 without TLS). It can hold watches only, so that the API
//! server's view becomes stale while its writes succeed; or everything.

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

/// The traffic that is forwarded; the rest waits and is not lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    Everything,
    AllButWatches,
    Nothing,
}

/// A proxy in front of etcd; ends on drop.
pub struct EtcdProxy {
    flow: Arc<watch::Sender<Flow>>,
    port: Port,
    task: AbortHandle,
}

type Frames = std::pin::Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send>>;

impl EtcdProxy {
    /// Starts in front of the etcd at this address, `host:port`.
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

    /// Holds watches: from now on the API server receives no change.
    pub fn hold_watches(&self) {
        self.flow.send_replace(Flow::AllButWatches);
    }

    /// Holds everything: from now on etcd is as good as frozen.
    pub fn freeze(&self) {
        self.flow.send_replace(Flow::Nothing);
    }

    /// Forwards the held traffic, and everything after it.
    pub fn thaw(&self) {
        self.flow.send_replace(Flow::Everything);
    }
}

impl Drop for EtcdProxy {
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
    // If either side closes, the connection ends; the API server reconnects.
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

/// Waits until this may be forwarded.
async fn until_open(flow: &mut watch::Receiver<Flow>, watches: bool) {
    let open = |flow: &Flow| *flow == Flow::Everything || (*flow == Flow::AllButWatches && !watches);
    // Without the proxy there is no connection that could go on.
    drop(flow.wait_for(open).await);
}
