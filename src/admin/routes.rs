//! The routes: one filter that takes a request apart, and what each of them does.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use futures::Stream;
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::warn;
use warp::filters::path::FullPath;
use warp::http::{HeaderMap, Method, Response, StatusCode};
use warp::{Buf, Filter};

use super::answer::{Answer, Refusal};
use super::auth::Reviewer;
use super::body::{self, Body, Room};
use super::endpoint::{ACCESS_SECRETS, Endpoint, NoRoute, Target};
use super::limits::Limits;
use super::observe::Note;
use super::{Access, openapi};
use crate::contract::routes::ErrorCode;
use crate::contract::{Did, DidError, NotJson, ParseConfigError, RuntimeTenantConfig, TenantId, read_json};
use crate::settings::{AdminSettings, parse_boolean};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// Documents above this size are parsed on a thread where that holds up nobody else, one after the other.
const LARGE: usize = 64 * 1024;

/// What the routes share. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

struct Shared {
    enabled: bool,
    allow_secret_read: bool,
    reviewer: Option<Reviewer>,
    store: Store,
    metrics: Metrics,
    limits: Limits,
    room: Room,
    requests: Semaphore,
    large: Semaphore,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// A request but for its body.
struct Request {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
}

/// Everything that comes over one connection. Nothing is rejected by warp: every answer is the contract's.
pub(super) fn routes(
    app: App,
    peer: SocketAddr,
) -> impl Filter<Extract = (Response<String>,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, body| {
            let app = app.clone();
            async move { app.answer(Request { method, path, query, headers }, peer, Box::pin(body)).await }
        })
}

impl App {
    pub(super) fn new(
        settings: &AdminSettings,
        access: Access,
        store: Store,
        metrics: Metrics,
        limits: Limits,
    ) -> Self {
        let reviewer = match access {
            Access::Kubernetes(client) => Some(Reviewer::new(client, limits.review, metrics.clone())),
            Access::Open => None,
        };
        for endpoint in Endpoint::ALL {
            metrics.serves(endpoint.method().as_str(), endpoint.template());
        }
        Self(Arc::new(Shared {
            enabled: settings.enabled,
            allow_secret_read: settings.allow_secret_read,
            reviewer,
            store,
            metrics,
            room: Room::new(&limits),
            requests: Semaphore::new(limits.requests),
            large: Semaphore::new(1),
            limits,
        }))
    }

    async fn answer<B: Buf>(
        self,
        request: Request,
        peer: SocketAddr,
        mut body: impl Stream<Item = Result<B, warp::Error>> + Unpin,
    ) -> Response<String> {
        let mut note = Note::new(&request.headers, peer, request.method.clone());
        let outcome = self.decide(&request, &mut body, &mut note).await;
        let (result, mut response) = match outcome {
            Ok(answer) => ("ok", answer.into_response()),
            Err(refusal) => {
                if refusal.code != ErrorCode::RequestTimeout {
                    Box::pin(body::discard(&request.headers, &mut body, &self.0.limits)).await;
                }
                (refusal.code.as_str(), refusal.into_response())
            }
        };
        note.tell(result, &mut response, &self.0.metrics);
        response
    }

    async fn decide<B: Buf>(
        &self,
        request: &Request,
        body: impl Stream<Item = Result<B, warp::Error>> + Unpin,
        note: &mut Note,
    ) -> Result<Answer, Refusal> {
        let app = &*self.0;
        if !app.enabled {
            return Err(ErrorCode::RuntimeAdminDisabled.into());
        }
        let _slot = app.requests.try_acquire().map_err(|_| Refusal::from(ErrorCode::Overloaded))?;
        let target = Target::resolve(request.method.as_str(), request.path.as_str()).map_err(no_route)?;
        note.endpoint = Some(target.endpoint);
        if matches!(target.endpoint, Endpoint::PublishConfig | Endpoint::ReadConfig) {
            note.tenant = tenant(target.argument.as_deref()).ok().map(String::from);
        }
        let secrets = app.allow_secret_read && asks_for_secrets(&request.query);
        // What is asked seldom, or waits for others, is boxed: a lookup does not carry its room along.
        match &app.reviewer {
            Some(reviewer) => Box::pin(admit(reviewer, &target, &request.headers, secrets, note)).await?,
            None => note.who = "anybody".into(),
        }
        let argument = target.argument.as_deref();
        match target.endpoint {
            Endpoint::ReadConfig => Box::pin(app.read_config(argument, secrets)).await,
            Endpoint::LookUpDid => app.look_up(argument, note).await,
            Endpoint::Health => app.health().await,
            Endpoint::OpenApi => {
                static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
                Ok(Answer::ok(DOCUMENT.clone()))
            }
            Endpoint::PublishConfig | Endpoint::MapDid | Endpoint::UnmapDid => {
                let write = async {
                    let body = body::read(&request.headers, body, &app.limits, &app.room).await?;
                    match target.endpoint {
                        Endpoint::PublishConfig => app.publish(argument, body, secrets).await,
                        Endpoint::MapDid => app.map(&body, note).await,
                        _ => app.unmap(&body, note).await,
                    }
                };
                Box::pin(write).await
            }
        }
    }
}

impl Shared {
    async fn publish(&self, argument: Option<&str>, body: Body, secrets: bool) -> Result<Answer, Refusal> {
        let tenant = tenant(argument);
        let (parsed, body) = self.parse(body.bytes.into(), secrets).await;
        let (config, tenant) = match (parsed, tenant) {
            (Err(ParseConfigError::NotJson(error)), _) => return Err(invalid_json(&error)),
            (_, Err(refusal)) => return Err(refusal),
            (Err(ParseConfigError::Invalid(invalid)), _) => return Err(Refusal::invalid_config(&invalid)),
            (Ok(config), Ok(tenant)) => (config, tenant),
        };
        if config.tenant_id != tenant {
            let refusal = Refusal::from(ErrorCode::TenantIdMismatch);
            return Err(refusal.saying("the tenantId of the config must be that of the path"));
        }
        self.store.put_config(&tenant, &body).await.map_err(|error| {
            log_failure(Endpoint::PublishConfig, &error);
            Refusal::unwritten(&error, ErrorCode::RuntimePublishFailed)
        })?;
        Ok(Answer::ok(format!(r#"{{"status":"ok","config":{}}}"#, config.shown)))
    }

    async fn read_config(&self, argument: Option<&str>, secrets: bool) -> Result<Answer, Refusal> {
        let tenant = tenant(argument)?;
        let failure = ErrorCode::RuntimeConfigReadFailed;
        let stored = self
            .store
            .config(&tenant)
            .await
            .map_err(|error| failed(Endpoint::ReadConfig, &error, failure))?;
        let stored = stored.ok_or(ErrorCode::RuntimeConfigNotFound)?;
        match self.parse(stored, secrets).await.0 {
            Ok(config) => Ok(Answer::ok(format!(r#"{{"config":{}}}"#, config.shown))),
            Err(error) => {
                warn!(tenant = tenant.as_str(), %error, "a stored config is none that the runtime accepts");
                Err(Refusal::from(failure).saying("what is stored is no config that the runtime accepts"))
            }
        }
    }

    async fn map(&self, body: &Body, note: &mut Note) -> Result<Answer, Refusal> {
        let document = read_json(&body.bytes).map_err(|error| invalid_json(&error))?;
        let did = did_member(&document, note)?;
        let tenant = tenant(document["tenantId"].as_str())?;
        note.tenant = Some(tenant.to_string());
        let has_config = self.store.map(&did, &tenant).await.map_err(|error| {
            log_failure(Endpoint::MapDid, &error);
            Refusal::unwritten(&error, ErrorCode::RuntimeMapFailed)
        })?;
        let mut answer = json!({ "status": "ok" });
        if !has_config {
            answer["warning"] = ErrorCode::RuntimeConfigNotFound.as_str().into();
        }
        Ok(Answer::ok(answer.to_string()))
    }

    async fn unmap(&self, body: &Body, note: &mut Note) -> Result<Answer, Refusal> {
        let document = read_json(&body.bytes).map_err(|error| invalid_json(&error))?;
        let did = did_member(&document, note)?;
        let tenant = self.store.unmap(&did).await.map_err(|error| {
            log_failure(Endpoint::UnmapDid, &error);
            Refusal::unwritten(&error, ErrorCode::RuntimeUnmapFailed)
        })?;
        let tenant = tenant.ok_or(ErrorCode::DidUnmapped)?;
        note.tenant = Some(tenant.clone());
        Ok(Answer::ok(json!({ "status": "ok", "tenantId": tenant }).to_string()))
    }

    async fn look_up(&self, argument: Option<&str>, note: &mut Note) -> Result<Answer, Refusal> {
        // What can't be decoded is no number.
        let did = did(argument.unwrap_or("%"))?;
        note.did = Some(did.to_string());
        let failure = ErrorCode::RuntimeLookupFailed;
        let tenant =
            self.store.lookup(&did).await.map_err(|error| failed(Endpoint::LookUpDid, &error, failure))?;
        // The runtime takes an empty text for none.
        let tenant = tenant.filter(|tenant| !tenant.is_empty()).ok_or(ErrorCode::DidUnmapped)?;
        // Two strings always are JSON.
        Ok(Answer::ok(serde_json::to_string(&Found { did, tenant }).unwrap_or_default()))
    }

    async fn health(&self) -> Result<Answer, Refusal> {
        match self.store.health().await {
            Ok(latency) => {
                let milliseconds = (latency.as_secs_f64() * 1e6).round() / 1e3;
                Ok(Answer::ok(json!({ "ok": true, "latencyMs": milliseconds }).to_string()))
            }
            Err(error @ StoreError::Unexpected(_)) => {
                Err(failed(Endpoint::Health, &error, ErrorCode::RuntimeHealthFailed))
            }
            Err(error) => {
                warn!(%error, "Redis is not well");
                let body = json!({ "ok": false, "error": "redis_unavailable" }).to_string();
                Ok(Answer { status: StatusCode::SERVICE_UNAVAILABLE, body })
            }
        }
    }

    /// Reads a config, of a body or of Redis, and gives the bytes back.
    async fn parse(
        &self,
        bytes: SecretSlice<u8>,
        secrets: bool,
    ) -> (Result<Parsed, ParseConfigError>, SecretSlice<u8>) {
        if bytes.expose_secret().len() <= LARGE {
            return (Parsed::parse(bytes.expose_secret(), secrets), bytes);
        }
        let _turn = self.large.acquire().await;
        let bytes = Arc::new(bytes);
        let read = Arc::clone(&bytes);
        let parsed = tokio::task::spawn_blocking(move || Parsed::parse(read.expose_secret(), secrets)).await;
        let parsed = parsed.unwrap_or_else(|_| Parsed::parse([], secrets));
        (parsed, Arc::try_unwrap(bytes).unwrap_or_else(|shared| shared.expose_secret().to_vec().into()))
    }
}

/// Lets the request in, or not. Whoever asks for health hears only whether Redis answers; anybody may.
async fn admit(
    reviewer: &Reviewer,
    target: &Target,
    headers: &HeaderMap,
    secrets: bool,
    note: &mut Note,
) -> Result<(), Refusal> {
    if target.endpoint == Endpoint::Health {
        return Ok(());
    }
    let caller = reviewer.caller(headers).await?;
    note.who = caller.name().to_owned().into();
    let verb = if target.endpoint.writes() { "post" } else { "get" };
    reviewer.permit(&caller, verb, &target.access_path()).await?;
    let shows_config = matches!(target.endpoint, Endpoint::ReadConfig | Endpoint::PublishConfig);
    if secrets && shows_config {
        reviewer.permit(&caller, "get", ACCESS_SECRETS).await?;
    }
    Ok(())
}

/// The answer to a lookup, the one question that is asked often.
#[derive(Serialize)]
struct Found {
    #[serde(rename = "didE164")]
    did: Did,
    #[serde(rename = "tenantId")]
    tenant: String,
}

/// A config, as far as an answer needs it.
struct Parsed {
    tenant_id: TenantId,
    /// Its JSON, with its secret only where that was asked for.
    shown: String,
}

impl Parsed {
    fn parse(bytes: impl AsRef<[u8]>, secrets: bool) -> Result<Self, ParseConfigError> {
        let config = RuntimeTenantConfig::parse(bytes)?;
        let shown = if secrets {
            config.to_json().expose_secret().to_owned()
        } else {
            Value::from(config.without_secret()).to_string()
        };
        Ok(Self { tenant_id: config.tenant_id().clone(), shown })
    }
}

fn no_route(why: NoRoute) -> Refusal {
    match why {
        NoRoute::NotFound => ErrorCode::NotFound.into(),
        NoRoute::MethodNotAllowed(allow) => Refusal::from(ErrorCode::MethodNotAllowed).allowing(&allow),
    }
}

/// A true `includeSecrets`; of several, all must be true.
fn asks_for_secrets(query: &str) -> bool {
    let values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "includeSecrets");
    let mut truths = values.map(|(_, value)| parse_boolean(&value) == Some(true)).peekable();
    truths.peek().is_some() && truths.all(|truth| truth)
}

fn tenant(text: Option<&str>) -> Result<TenantId, Refusal> {
    TenantId::parse_trimmed(text.unwrap_or_default()).map_err(|_| ErrorCode::TenantIdRequired.into())
}

fn did(text: &str) -> Result<Did, Refusal> {
    Did::parse(text).map_err(|error| match error {
        DidError::Empty => ErrorCode::DidRequired.into(),
        DidError::NotE164 => ErrorCode::InvalidDidE164.into(),
    })
}

fn did_member(document: &Value, note: &mut Note) -> Result<Did, Refusal> {
    let did = match &document["didE164"] {
        Value::Null => return Err(ErrorCode::DidRequired.into()),
        Value::String(text) => did(text)?,
        _ => return Err(ErrorCode::InvalidDidE164.into()),
    };
    note.did = Some(did.to_string());
    Ok(did)
}

fn invalid_json(error: &NotJson) -> Refusal {
    Refusal::from(ErrorCode::InvalidJson).saying(format!("the body {error}"))
}

fn failed(endpoint: Endpoint, error: &StoreError, failure: ErrorCode) -> Refusal {
    warn!(route = endpoint.template(), %error, "Redis did not do its part");
    failure.into()
}

fn log_failure(endpoint: Endpoint, error: &crate::store::WriteError) {
    if let crate::store::WriteError::Store(error) = error {
        warn!(route = endpoint.template(), %error, "Redis did not do its part");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_asked_for_by_a_true_value_in_any_case() {
        for query in
            ["includeSecrets=1", "a=b&includeSecrets=TRUE", "includeSecrets=Yes", "includeSecrets=%6Fn"]
        {
            assert!(asks_for_secrets(query), "{query}");
        }
        for query in [
            "",
            "includeSecrets",
            "includeSecrets=",
            "includeSecrets=0",
            "includeSecrets=2",
            "includesecrets=1",
            "includeSecrets=1&includeSecrets=0",
            "includeSecrets[]=1",
        ] {
            assert!(!asks_for_secrets(query), "{query}");
        }
    }
}
