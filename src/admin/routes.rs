//! Routes a request: limits, endpoint, authorization, body, handler, response.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures::Stream;
use tokio::sync::Semaphore;
use warp::filters::path::FullPath;
use warp::http::{HeaderMap, Method, Response, StatusCode};
use warp::{Buf, Filter};

use super::access_log::AccessLog;
use super::auth::{Authorizer, KeyAuth, credentials};
use super::body::{self, BodyLimits};
use super::browsers::Browsers;
use super::endpoint::{ACCESS_SECRETS, Endpoint, NoRoute, Target};
use super::handlers::{Handlers, parse_tenant_id};
use super::limits::{Limits, MAX_ARGUMENT_BYTES, MAX_SMALL_BODY_BYTES};
use super::openapi;
use super::response::{ApiError, JsonResponse};
use super::settings::AdminSettings;
use crate::contract::routes::{ErrorCode, MAX_BODY_BYTES, parse_boolean};
use crate::http::{ByteBudget, Peer};
use crate::store::Store;
use crate::telemetry::Metrics;

/// The state that all requests share. Cheap to clone.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

struct Shared {
    enabled: bool,
    allow_secret_read: bool,
    authentication: Authentication,
    browsers: Browsers,
    handlers: Handlers,
    metrics: Metrics,
    limits: Limits,
    bodies: Arc<ByteBudget>,
    requests: Semaphore,
}

/// The way in which callers prove who they are.
pub(super) enum Authentication {
    Kubernetes(Authorizer),
    Key(KeyAuth),
    Open,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").finish_non_exhaustive()
    }
}

/// A request without its body.
struct Request {
    method: Method,
    path: FullPath,
    query: String,
    headers: HeaderMap,
}

/// Serves the requests of one connection. warp rejects none of them: every response is the contract's.
pub(super) fn routes(
    app: App,
    peer: SocketAddr,
) -> impl Filter<Extract = (Response<Bytes>,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::method()
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(move |method, path, query, headers, body| {
            let app = app.clone();
            async move { app.respond(Request { method, path, query, headers }, peer, Box::pin(body)).await }
        })
}

impl App {
    pub(super) fn new(
        settings: &AdminSettings,
        authentication: Authentication,
        store: Store,
        metrics: Metrics,
        limits: Limits,
    ) -> Self {
        let loopback_only = matches!(authentication, Authentication::Open) && settings.addr.is_loopback();
        for endpoint in Endpoint::ALL {
            metrics.register_route(endpoint.method().as_str(), endpoint.template());
        }
        Self(Arc::new(Shared {
            enabled: settings.enabled,
            allow_secret_read: settings.allow_secret_read,
            authentication,
            browsers: Browsers::new(settings.origins.clone(), loopback_only),
            handlers: Handlers::new(
                store,
                ByteBudget::new(limits.answer_bytes, limits.answer_bytes_per_peer),
            ),
            metrics,
            bodies: ByteBudget::new(limits.body_bytes, limits.body_bytes_per_peer),
            requests: Semaphore::new(limits.requests),
            limits,
        }))
    }

    async fn respond<B: Buf>(
        self,
        request: Request,
        peer: SocketAddr,
        mut body: impl Stream<Item = Result<B, warp::Error>> + Unpin,
    ) -> Response<Bytes> {
        let mut log = AccessLog::new(&request.headers, peer, request.method.clone());
        let (result, mut response) = match self.0.handle(&request, peer.into(), &mut body, &mut log).await {
            Ok(response) => ("ok", response.into_response()),
            Err(error) => {
                if error.code != ErrorCode::RequestTimeout {
                    Box::pin(body::discard(&request.headers, &mut body, &self.0.limits)).await;
                }
                (error.code.as_str(), error.into_response())
            }
        };
        self.0.browsers.add_headers(&request.headers, response.headers_mut());
        log.finish(result, &mut response, &self.0.metrics);
        response
    }
}

impl Shared {
    async fn handle<B: Buf>(
        &self,
        request: &Request,
        peer: Peer,
        body: impl Stream<Item = Result<B, warp::Error>> + Unpin,
        log: &mut AccessLog,
    ) -> Result<JsonResponse, ApiError> {
        if request.method == Method::OPTIONS && self.browsers.answers_preflight() {
            return Ok(JsonResponse::new(StatusCode::NO_CONTENT, String::new()));
        }
        self.browsers.check(&request.method, &request.headers)?;
        if !self.enabled {
            return Err(ErrorCode::RuntimeAdminDisabled.into());
        }
        let _slot = self.requests.try_acquire().map_err(|_| ApiError::from(ErrorCode::Overloaded))?;
        let target = Target::resolve(request.method.as_str(), request.path.as_str()).map_err(no_route)?;
        log.endpoint = Some(target.endpoint);
        if target.endpoint.names_tenant() {
            log.tenant = parse_tenant_id(target.argument.as_deref()).ok().map(String::from);
        }
        let asks_for_secrets = includes_secrets(&request.query);
        let secrets = self.allow_secret_read && asks_for_secrets;
        // The rare and the slow futures are boxed, so that the lookup's stays small.
        let known = match &self.authentication {
            Authentication::Kubernetes(authorizer) => {
                Box::pin(authorize(authorizer, &target, &request.headers, secrets, log)).await?
            }
            Authentication::Key(_) if is_anonymous_probe(&target, &request.headers) => false,
            Authentication::Key(keys) => {
                let holder = keys.authenticate(&request.headers, peer)?;
                log.user = holder.name.clone().into();
                bounded(&target)?;
                holder.authorize(target.endpoint.writes(), asks_for_secrets)?;
                true
            }
            Authentication::Open => {
                bounded(&target)?;
                log.user = "anonymous".into();
                true
            }
        };
        let argument = target.argument.as_deref();
        match target.endpoint {
            Endpoint::ReadConfig => Box::pin(self.handlers.read_config(peer, argument, secrets)).await,
            Endpoint::LookUpDid => self.handlers.look_up(argument, log).await,
            Endpoint::ReadQuickReplies => Box::pin(self.handlers.read_quick_replies(peer, argument)).await,
            Endpoint::Health => self.handlers.health(known).await,
            Endpoint::Inspect => Box::pin(self.handlers.inspect(&request.query)).await,
            Endpoint::OpenApi => {
                static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi::document().to_string());
                Ok(JsonResponse::ok(DOCUMENT.clone()))
            }
            Endpoint::PublishConfig | Endpoint::WriteQuickReplies | Endpoint::MapDid | Endpoint::UnmapDid => {
                let write = async {
                    let max = match target.endpoint {
                        Endpoint::PublishConfig | Endpoint::WriteQuickReplies => {
                            usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX)
                        }
                        _ => MAX_SMALL_BODY_BYTES,
                    };
                    let limits = BodyLimits { peer, max, budget: &self.bodies, limits: &self.limits };
                    let body = body::read(&request.headers, body, limits).await?;
                    match target.endpoint {
                        Endpoint::PublishConfig => self.handlers.publish(peer, argument, body, secrets).await,
                        Endpoint::WriteQuickReplies => {
                            self.handlers.write_quick_replies(peer, argument, body).await
                        }
                        Endpoint::MapDid => self.handlers.map(&body, log).await,
                        _ => self.handlers.unmap(&body, log).await,
                    }
                };
                Box::pin(write).await
            }
        }
    }
}

/// Authenticates and authorizes a request, and returns false for one whose caller is not known. Every client may request
/// the health, which then only reveals whether Redis replies.
async fn authorize(
    authorizer: &Authorizer,
    target: &Target,
    headers: &HeaderMap,
    secrets: bool,
    log: &mut AccessLog,
) -> Result<bool, ApiError> {
    if is_anonymous_probe(target, headers) {
        return Ok(false);
    }
    let caller = authorizer.authenticate(headers).await?;
    log.user = caller.name().to_owned().into();
    if target.endpoint == Endpoint::Health {
        return Ok(true);
    }
    bounded(target)?;
    authorizer.authorize(&caller, target.endpoint.verb(), &target.access_path()).await?;
    if secrets && target.endpoint.shows_config() {
        authorizer.authorize(&caller, "get", ACCESS_SECRETS).await?;
    }
    Ok(true)
}

fn is_anonymous_probe(target: &Target, headers: &HeaderMap) -> bool {
    target.endpoint == Endpoint::Health && credentials(headers) == 0
}

/// Rejects an argument that is longer than any tenant id or number, before it is part of a review.
fn bounded(target: &Target) -> Result<(), ApiError> {
    if target.argument.as_ref().is_none_or(|argument| argument.len() <= MAX_ARGUMENT_BYTES) {
        return Ok(());
    }
    Err(match target.endpoint {
        Endpoint::LookUpDid => ErrorCode::InvalidDidE164.into(),
        _ => ApiError::from(ErrorCode::TenantIdRequired)
            .with_message(format!("a tenant id must have at most {MAX_ARGUMENT_BYTES} bytes")),
    })
}

fn no_route(error: NoRoute) -> ApiError {
    match error {
        NoRoute::NotFound => ErrorCode::NotFound.into(),
        NoRoute::MethodNotAllowed(allow) => ApiError::from(ErrorCode::MethodNotAllowed).with_allow(&allow),
    }
}

/// Returns true if `includeSecrets` is true; of several, all must be true.
fn includes_secrets(query: &str) -> bool {
    let values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "includeSecrets");
    let mut truths = values.map(|(_, value)| parse_boolean(&value) == Some(true)).peekable();
    truths.peek().is_some() && truths.all(|truth| truth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_secrets_is_parsed_as_a_boolean_in_any_case() {
        for query in [
            "includeSecrets=1",
            "a=b&includeSecrets=TRUE",
            "includeSecrets=Yes",
            "includeSecrets=%6Fn",
            "includeSecrets=Required",
        ] {
            assert!(includes_secrets(query), "{query}");
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
            assert!(!includes_secrets(query), "{query}");
        }
    }
}
