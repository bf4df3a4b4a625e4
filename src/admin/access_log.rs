//! Logs each request, audits each write, and counts both.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use tracing::{debug, info};
use warp::http::header::{HeaderMap, HeaderName, HeaderValue};
use warp::http::{Method, Response};

use super::endpoint::Endpoint;
use crate::telemetry::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximal length of a request id from a client.
const MAX_ID_LENGTH: usize = 128;

/// The facts about a request that are logged. None of them is secret: no query, no header but the id, no body.
pub(super) struct AccessLog {
    /// The client's id of the request, or a generated one.
    id: HeaderValue,
    started: Instant,
    peer: SocketAddr,
    method: Method,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) user: Cow<'static, str>,
    pub(super) tenant: Option<String>,
    pub(super) did: Option<String>,
}

impl AccessLog {
    pub(super) fn new(headers: &HeaderMap, peer: SocketAddr, method: Method) -> Self {
        let valid = |id: &&HeaderValue| {
            (1..=MAX_ID_LENGTH).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let id = headers.get(REQUEST_ID).filter(valid).cloned().unwrap_or_else(generated_id);
        let user = Cow::Borrowed("unauthenticated");
        Self { id, started: Instant::now(), peer, method, endpoint: None, user, tenant: None, did: None }
    }

    /// Logs and counts the request, and adds its id to the response. `result` is `ok`, or an error code.
    pub(super) fn finish(self, result: &str, response: &mut Response<Bytes>, metrics: &Metrics) {
        let Self { id, started, peer, method, endpoint, user, tenant, did } = self;
        let took = started.elapsed();
        let status = response.status().as_u16();
        let route = endpoint.map_or("unknown", Endpoint::template);
        // A client may invent methods, so the label has the route's own.
        let label = endpoint.map_or("other", |endpoint| endpoint.method().as_str());
        metrics.observe_admin_request(label, route, status, took);
        let user = &*user;
        let request_id = id.to_str().unwrap_or_default();
        let (tenant, did) = (tenant.as_deref(), did.as_deref());
        if endpoint.is_some_and(Endpoint::writes) {
            info!(target: "audit", user, %peer, route, tenant, did, result, status, request_id, "admin write");
        }
        let milliseconds = took.as_secs_f64() * 1000.0;
        debug!(user, %peer, %method, route, tenant, did, result, status, milliseconds, request_id, "admin request");
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn generated_id() -> HeaderValue {
    let id = format!("{:016x}", rand::random::<u64>());
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
