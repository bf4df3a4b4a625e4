//! The telemetry port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use runtime_operator::http::{ConnectionLimits, Listener};
use runtime_operator::probes::{self, Health, limits};
use runtime_operator::telemetry::{LabelValues, Metrics};
use test_support::hostile::{ask_and_read_nothing, connect_from, send_half, still_open};
use test_support::{TIMEOUT, World, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const HALF: &str = "GET /livez HTTP/1.1\r\nhost";
const SHORT: Duration = Duration::from_millis(300);

struct Well;

impl Health for Well {
    fn ready(&self) -> Result<String, String> {
        Ok("ok".to_owned())
    }

    fn alive(&self) -> Result<(), String> {
        Ok(())
    }
}

struct Served {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn serve(limits: ConnectionLimits) -> Served {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address().unwrap();
    let (stop, stopped) = oneshot::channel();
    let metrics = Metrics::new(&LabelValues::default());
    let stopped = async { stopped.await.unwrap_or_default() };
    let task = tokio::spawn(probes::serve(listener, limits, metrics, Arc::new(Well), stopped));
    Served { address, stop, task }
}

impl Served {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

async fn ask(mut stream: TcpStream) -> String {
    let _ = stream.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    read_all(&mut stream).await
}

async fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut text));
    let _ = read.await.expect("the server closes the connection");
    String::from_utf8(text).unwrap()
}

fn is_ok(response: &str) -> bool {
    response.starts_with("HTTP/1.1 200 ")
        && response.contains("\r\ncontent-length: 3\r\n")
        && response.ends_with("\r\n\r\nok\n")
}

#[tokio::test]
async fn probes_of_every_peer_are_answered_while_one_holds_thousands_of_half_requests() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    let address = operator.telemetry_url().replace("http://", "");

    let halves = send_half(&address, 3000, HALF).await;

    // A kubelet and a Prometheus have other addresses. The peer itself is answered, too.
    for source in [[127, 0, 0, 2], [127, 0, 0, 3], [127, 0, 0, 1]] {
        let response = ask(connect_from(source, &address).await.unwrap()).await;
        assert!(is_ok(&response), "{source:?}: {response}");
    }
    eventually("the half requests beyond the limit are closed", TIMEOUT, || async {
        still_open(&halves).await <= limits::TELEMETRY_CONNECTIONS_PER_PEER
    })
    .await;
    world.finish().await;
}

#[tokio::test]
async fn a_head_has_a_time_and_a_size() {
    let served = serve(ConnectionLimits { head: SHORT, ..limits::limits() });
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(HALF.as_bytes()).await.unwrap();
    let response = read_all(&mut slow).await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(read_all(&mut idle).await, "");

    let mut large = TcpStream::connect(served.address).await.unwrap();
    let head = format!("{HALF}: x\r\nx: {}\r\n\r\n", "x".repeat(limits::TELEMETRY_HEAD_BYTES));
    large.write_all(head.as_bytes()).await.unwrap();
    let response = read_all(&mut large).await;
    assert!(response.starts_with("HTTP/1.1 431 "), "{response}");
    served.stop().await;
}

#[tokio::test]
async fn pipelined_requests_whose_responses_are_not_read_end() {
    let served = serve(ConnectionLimits { answer_pause: SHORT, ..limits::limits() });
    let request = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(200);
    let stream = ask_and_read_nothing(&served.address.to_string(), &request).await;
    // The server writes until nothing fits any more. A stop then waits for this connection no longer than for its pause.
    served.stop().await;
    drop(stream);
}

#[tokio::test]
async fn a_stop_waits_for_no_half_request() {
    let served = serve(ConnectionLimits { stop_head: SHORT, stop: TIMEOUT, ..limits::limits() });
    let mut halves = send_half(&served.address.to_string(), 3, HALF).await;
    // A response on a later connection shows that these were accepted.
    assert!(is_ok(&ask(TcpStream::connect(served.address).await.unwrap()).await));
    tokio::time::timeout(TIMEOUT / 2, served.stop()).await.unwrap();
    assert_eq!(read_all(&mut halves[0]).await, "");
}
