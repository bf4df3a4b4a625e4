//! Traces: one publish is one tree of spans, and an unavailable collector delays nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use local_cluster::Port;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use test_support::{World, tenant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const DID: &str = "+15551237001";

/// A collector's endpoint (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>) that keeps the traces.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

impl Collector {
    async fn start() -> (Self, String) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", listener.local_addr().unwrap());
        let keeps = collector.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(keeps.clone().serve(stream));
            }
        });
        (collector, url)
    }

    async fn serve(self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.unwrap_or_default() == 0 {
                    return;
                }
                let line = head.lines().next_back().unwrap_or_default().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            assert!(head.starts_with("POST /v1/traces "), "{head}");
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            self.0.lock().unwrap().push(ExportTraceServiceRequest::decode(&body[..]).unwrap());
            let response =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
            stream.get_mut().write_all(response).await.unwrap();
        }
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let resources = requests.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.iter().cloned()).collect()
    }

    /// The attributes of the sender.
    fn sender(&self) -> BTreeMap<String, String> {
        let requests = self.0.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.clone().unwrap();
        attributes(&resource.attributes)
    }

    /// The first trace with a write to Redis: each span's name with the name of its parent.
    fn tree(&self) -> Result<BTreeMap<String, String>, String> {
        let spans = self.spans();
        let written =
            spans.iter().find(|span| span.name == "redis.apply").ok_or("no write was traced yet")?;
        let of_it: Vec<&Span> = spans.iter().filter(|span| span.trace_id == written.trace_id).collect();
        if !of_it.iter().any(|span| span.name == "change") {
            return Err("the change has not ended yet".to_owned());
        }
        let parent = |span: &Span| {
            let parent = of_it.iter().find(|parent| parent.span_id == span.parent_span_id);
            parent.map(|parent| parent.name.clone()).unwrap_or_default()
        };
        Ok(of_it.iter().map(|span| (span.name.clone(), parent(span))).collect())
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone()?.value? {
        Value::StringValue(text) => Some(text),
        other => Some(format!("{other:?}")),
    };
    all.iter().map(|pair| (pair.key.clone(), text(pair).unwrap_or_default())).collect()
}

#[tokio::test]
async fn a_publish_is_one_trace_from_watch_event_to_status() {
    let world = World::new().await;
    let (collector, url) = Collector::start().await;
    let operator =
        world.operator().env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let operator = operator.start().await;
    world.apply(&tenant("acme").dids([DID]).secret("canary-4c1d")).await;
    world.wait_ready("acme").await;

    let tree = world.wait("the publish was traced", || async { collector.tree() }).await;

    let expected = [
        ("change", ""),
        ("reconcile", "change"),
        ("plan", "reconcile"),
        ("secret", "reconcile"),
        ("redis.apply", "reconcile"),
        ("status", "change"),
    ];
    assert_eq!(tree, expected.map(|(name, parent)| (name.to_owned(), parent.to_owned())).into());
    let sender = collector.sender();
    assert_eq!(sender["service.name"], "runtime-operator");
    assert_eq!(sender["service.version"], env!("CARGO_PKG_VERSION"));
    let change = collector.spans().into_iter().find(|span| span.name == "change").unwrap();
    let resource = format!("{}/acme", world.namespace());
    assert_eq!(attributes(&change.attributes)["resource"], resource);
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains("canary-4c1d") && !all.contains(DID), "{all}");
    assert!(!operator.logs().contains("change{"), "log lines must be the same with and without traces");
    world.finish().await;
}

#[tokio::test]
async fn pending_spans_are_exported_when_the_operator_stops() {
    let world = World::new().await;
    let (collector, url) = Collector::start().await;
    let operator =
        world.operator().env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_BSP_SCHEDULE_DELAY", "600000");
    let operator = operator.start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    operator.stop().await.unwrap();

    assert!(collector.spans().iter().any(|span| span.name == "redis.apply"));
    world.finish().await;
}

#[tokio::test]
async fn an_unavailable_collector_delays_nothing_and_is_logged_once() {
    let world = World::new().await;
    let unused = Port::reserve().unwrap();
    let operator = world
        .operator()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", unused.address()))
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
        .start()
        .await;
    let dids: Vec<String> = (10..30).map(|n| format!("+155512371{n}")).collect();

    for (n, did) in dids.iter().enumerate() {
        world.apply(&tenant(&format!("tenant-{n}")).dids([did.as_str()])).await;
        world.wait_ready(&format!("tenant-{n}")).await;
    }
    world
        .wait("the failure is logged", || async {
            let logged = operator.logs().matches("trace export failed").count();
            if logged == 1 { Ok(()) } else { Err(format!("{logged} times")) }
        })
        .await;
    operator.stop().await.unwrap();

    assert_eq!(operator.logs().matches("trace export failed").count(), 1);
    assert!(!operator.logs().contains("opentelemetry"), "{}", operator.logs());
    world.finish().await;
}

#[tokio::test]
async fn unusable_settings_of_traces_are_reported_and_stop_nothing() {
    let world = World::new().await;
    for (settings, named) in [
        (
            [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ],
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ),
        (
            [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ],
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ),
        (
            [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318"), ("OTEL_TRACES_EXPORTER", "zipkin")],
            "OTEL_TRACES_EXPORTER",
        ),
    ] {
        let mut operator = world.operator();
        for (name, value) in settings {
            operator = operator.env(name, value);
        }
        let operator = operator.start().await;
        let logs = operator.logs();
        let line = logs.lines().find(|line| line.contains("no traces are exported"));
        assert!(line.is_some_and(|line| line.contains(named)), "{logs}");
        operator.stop().await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn traces_that_are_turned_off_are_not_exported() {
    let world = World::new().await;
    let (collector, url) = Collector::start().await;
    let operator = world
        .operator()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .env("OTEL_TRACES_EXPORTER", "none")
        .start()
        .await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    operator.stop().await.unwrap();

    assert!(collector.spans().is_empty());
    assert!(!operator.logs().contains("no traces are exported"), "{}", operator.logs());
    world.finish().await;
}

#[tokio::test]
async fn a_log_level_that_is_none_is_refused() {
    let world = World::new().await;
    let error = world.operator().env("RUST_LOG", "verbose").try_start().await.err().unwrap().to_string();
    assert!(error.contains("RUST_LOG: \"verbose\" is no level"), "{error}");
    world.finish().await;
}
