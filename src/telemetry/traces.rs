//! Traces, for whoever has a collector: one for each change of a resource, from the watch's event to what was told of it.
//!
//! | span | what it covers |
//! | --- | --- |
//! | `change` | everything, from the moment in which something called for a look |
//! | `look` | a look at one resource, and all that take numbers from it |
//! | `compile` | what the look calls for: claims, the spec, the Secret |
//! | `secret` | reading the Secret |
//! | `script` | the atomic step in Redis |
//! | `status` | finalizer, status and events |
//!
//! Spans have a target of their own and the level `trace`, so that log lines are the same with and without them; and while
//! nobody collects them they cost nothing. They name resources, and hold nothing of a spec, a Secret or a config.

use std::env;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tracing::{Subscriber, info, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// The target of every span that is exported.
pub const TARGET: &str = "traces";
/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last spans to leave.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The specification's variables: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// Why traces can't be exported, though they are asked for. Names the variable.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// Another protocol than the one that is spoken.
    #[error("{0}: {1:?} is not spoken here: use http/protobuf, which every collector takes (on port 4318)")]
    Protocol(&'static str, String),
    /// The endpoint, or another of the variables, can't be used.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
}

/// Exports spans for as long as it is there.
pub struct Traces(SdkTracerProvider);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// As the environment asks for it; none where it names no collector. Connects to nothing yet.
    pub fn from_environment(runtime: Handle) -> Result<Option<Self>, TracesError> {
        let Some(endpoint) = ENDPOINTS.into_iter().find_map(given) else { return Ok(None) };
        if given("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        for variable in PROTOCOLS {
            if let Some(protocol) = given(variable).filter(|protocol| protocol != "http/protobuf") {
                return Err(TracesError::Protocol(variable, protocol));
            }
        }
        let exporter = |error: &dyn fmt::Display| TracesError::Exporter(error.to_string());
        let client = Client {
            http: HyperClient::new(connector(&endpoint).map_err(|error| exporter(&error))?, PATIENCE, None),
            runtime,
            failing: Arc::default(),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .build()
            .map_err(|error| exporter(&error))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let mut resource = Resource::builder().with_attribute(version);
        if given("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("runtime-operator");
        }
        let provider = SdkTracerProvider::builder().with_resource(resource.build());
        Ok(Some(Self(provider.with_batch_exporter(exporter).build())))
    }

    /// What takes the spans out of the program.
    #[must_use]
    pub fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(&self) -> impl Layer<S> + use<S> {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("runtime-operator"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_filter(filter_fn(|metadata| metadata.target() == TARGET))
    }

    /// Sends what is left, within a second or two. The runtime must still be there.
    pub fn end(self) {
        // Spans that a dead collector does not take are of no use to anyone.
        let _ = self.0.shutdown_with_timeout(LAST_WORDS);
    }
}

fn given(variable: &str) -> Option<String> {
    env::var(variable).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The system's authorities are read only where they are needed: an image may have none.
fn connector(endpoint: &str) -> Result<HttpsConnector<HttpConnector>, std::io::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = if endpoint.starts_with("https://") {
        HttpsConnectorBuilder::new().with_provider_and_native_roots(provider)?
    } else {
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(std::io::Error::other)?
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        HttpsConnectorBuilder::new().with_tls_config(config)
    };
    Ok(builder.https_or_http().enable_http1().build())
}

/// Sends on the operator's own runtime, since the exporter's thread has none.
#[derive(Debug)]
struct Client {
    http: HyperClient<HttpsConnector<HttpConnector>>,
    runtime: Handle,
    failing: Arc<AtomicBool>,
}

impl HttpClient for Client {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> BoxFuture<'async_trait, Result<Response<Bytes>, HttpError>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let (http, failing) = (self.http.clone(), Arc::clone(&self.failing));
        let sent = self.runtime.spawn(async move {
            let answer = http.send_bytes(request).await;
            tell_of_a_change(&failing, &answer);
            answer
        });
        async move { sent.await? }.boxed()
    }
}

/// A line when it begins to fail, and one when it works again: a collector that is dead for a day fills no log.
fn tell_of_a_change(failing: &AtomicBool, answer: &Result<Response<Bytes>, HttpError>) {
    let why = match answer {
        Ok(answer) if answer.status().is_success() => None,
        Ok(answer) => Some(format!("it answers {}", answer.status())),
        Err(error) => Some(error.to_string()),
    };
    match why {
        Some(why) if !failing.swap(true, Ordering::Relaxed) => {
            warn!(why, "the collector takes no traces; they are dropped until it does");
        }
        None if failing.swap(false, Ordering::Relaxed) => info!("the collector takes traces again"),
        _ => {}
    }
}
