//! What is told of a request: its id, a line for who reads logs, a line for who audits, and numbers.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Instant;

use tracing::{debug, info};
use warp::http::header::{HeaderMap, HeaderName, HeaderValue};
use warp::http::{Method, Response};

use super::endpoint::Endpoint;
use crate::telemetry::Metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id is nobody's.
const LONGEST_ID: usize = 128;

/// Everything of a request that is told. Nothing of it is a secret: no query, no header but the id, no body.
pub(super) struct Note {
    /// The caller's id of the request, or one made here.
    id: HeaderValue,
    began: Instant,
    peer: SocketAddr,
    method: Method,
    pub(super) endpoint: Option<Endpoint>,
    pub(super) who: Cow<'static, str>,
    pub(super) tenant: Option<String>,
    pub(super) did: Option<String>,
}

impl Note {
    pub(super) fn new(headers: &HeaderMap, peer: SocketAddr, method: Method) -> Self {
        let shaped = |id: &&HeaderValue| {
            (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let id = headers.get(REQUEST_ID).filter(shaped).cloned().unwrap_or_else(made_up);
        let who = Cow::Borrowed("unauthenticated");
        Self { id, began: Instant::now(), peer, method, endpoint: None, who, tenant: None, did: None }
    }

    /// Tells it: `result` is `ok`, or the code of the refusal.
    pub(super) fn tell(self, result: &str, response: &mut Response<String>, metrics: &Metrics) {
        let Self { id, began, peer, method, endpoint, who, tenant, did } = self;
        let took = began.elapsed();
        let status = response.status().as_u16();
        let route = endpoint.map_or("unknown", Endpoint::template);
        // Of the methods of strangers there is no end.
        let known = endpoint.map_or("other", |endpoint| endpoint.method().as_str());
        metrics.answered(known, route, status, took);
        let who = &*who;
        let request_id = id.to_str().unwrap_or_default();
        let (tenant, did) = (tenant.as_deref(), did.as_deref());
        if endpoint.is_some_and(Endpoint::writes) {
            info!(target: "audit", who, %peer, route, tenant, did, result, status, request_id, "write");
        }
        let milliseconds = took.as_secs_f64() * 1000.0;
        debug!(who, %peer, %method, route, tenant, did, result, status, milliseconds, request_id, "request");
        response.headers_mut().insert(REQUEST_ID, id);
    }
}

fn made_up() -> HeaderValue {
    let id = format!("{:016x}", rand::random::<u64>());
    HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("0"))
}
