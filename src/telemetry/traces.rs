//! Traces: one for each change of a resource, from the enqueue to the status update. Exported if a collector is configured.
//!
//! | span | covers |
//! | --- | --- |
//! | `change` | the whole change, from the enqueue on |
//! | `reconcile` | one reconciliation: of the resource and of those that take DIDs from it |
//! | `plan` | planning: claims, the spec, the Secret |
//! | `secret` | reading the Secret |
//! | `redis.apply` | the atomic script in Redis |
//! | `status` | the status update and its events; the finalizer is written later and belongs to no trace |
//!
//! Spans have the target [`TARGET`] and the level `trace`, so that log lines are the same with and without traces; without a
//! collector spans cost nothing. They name resources, and contain nothing of a spec, a Secret or a config.

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
use url::Url;

/// The target of every span that is exported.
pub const TARGET: &str = "traces";
/// Timeout of a request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout of the export of the last spans, when the process exits.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// The specification's variables: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/// An invalid setting of traces. The message names the variable.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// An unsupported protocol.
    #[error("{0}: {1:?} is not supported: use http/protobuf, which every collector accepts on port 4318")]
    Protocol(&'static str, String),
    /// An endpoint that is no URL.
    #[error("{0} must be a URL that begins with http:// or https://, for example http://collector:4318")]
    Endpoint(&'static str),
    /// An exporter that this program does not have.
    #[error("OTEL_TRACES_EXPORTER: {0:?} is not supported: use otlp, or none")]
    TracesExporter(String),
    /// Another invalid variable.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(String),
}

/// Exports spans until it is shut down.
pub struct Traces(SdkTracerProvider);

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").finish_non_exhaustive()
    }
}

impl Traces {
    /// Reads the variables of OpenTelemetry. `None` without an endpoint, or where they disable traces. Does not connect
    /// yet.
    pub fn from_environment(runtime: Handle) -> Result<Option<Self>, TracesError> {
        let endpoint = ENDPOINTS.into_iter().find_map(|name| Some((name, non_empty(name)?)));
        let Some((variable, endpoint)) = endpoint else { return Ok(None) };
        if non_empty("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        match non_empty("OTEL_TRACES_EXPORTER") {
            Some(exporter) if exporter == "none" => return Ok(None),
            Some(exporters) if exporters.split(',').all(|name| name.trim() != "otlp") => {
                return Err(TracesError::TracesExporter(exporters));
            }
            _ => {}
        }
        // The exporter takes `collector:4318` for a URL whose scheme is the host.
        let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
        if !Url::parse(&endpoint).is_ok_and(|url| is_http(&url)) {
            return Err(TracesError::Endpoint(variable));
        }
        for variable in PROTOCOLS {
            if let Some(protocol) = non_empty(variable).filter(|protocol| protocol != "http/protobuf") {
                return Err(TracesError::Protocol(variable, protocol));
            }
        }
        let exporter = |error: &dyn fmt::Display| TracesError::Exporter(error.to_string());
        let client = Client {
            http: HyperClient::new(
                connector(&endpoint).map_err(|error| exporter(&error))?,
                EXPORT_TIMEOUT,
                None,
            ),
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
        if non_empty("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("runtime-operator");
        }
        let provider = SdkTracerProvider::builder().with_resource(resource.build());
        Ok(Some(Self(provider.with_batch_exporter(exporter).build())))
    }

    /// The layer that exports the spans.
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

    /// Exports the last spans, for up to [`SHUTDOWN_FLUSH_TIMEOUT`]. The runtime must still run.
    pub fn shutdown(self) {
        // Spans are lost if the collector is unavailable now.
        let _ = self.0.shutdown_with_timeout(SHUTDOWN_FLUSH_TIMEOUT);
    }
}

fn non_empty(variable: &str) -> Option<String> {
    env::var(variable).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Reads the system's certificate authorities for `https` only, since an image may have none.
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

/// Sends requests on the operator's runtime, since the exporter's thread has none.
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
            let response = http.send_bytes(request).await;
            log_transition(&failing, &response);
            response
        });
        async move { sent.await? }.boxed()
    }
}

/// Logs one line when exporting begins to fail, and one when it works again: an outage of a day must not fill the log.
fn log_transition(failing: &AtomicBool, response: &Result<Response<Bytes>, HttpError>) {
    let failure = match response {
        Ok(response) if response.status().is_success() => None,
        Ok(response) => Some(format!("response {}", response.status())),
        Err(error) => Some(error.to_string()),
    };
    match failure {
        Some(error) if !failing.swap(true, Ordering::Relaxed) => {
            warn!(error, "trace export failed; dropping traces until the collector recovers");
        }
        None if failing.swap(false, Ordering::Relaxed) => info!("trace export recovered"),
        _ => {}
    }
}
