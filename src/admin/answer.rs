//! What a request is answered: JSON, always.

use serde_json::{Map, Value, json};
use warp::http::header::{self, HeaderValue};
use warp::http::{Response, StatusCode};

use crate::contract::routes::ErrorCode;
use crate::contract::{InvalidConfig, Violation};
use crate::store::WriteError;

/// A status and a JSON text, which may hold a secret.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
}

/// An answer that is not a success. What it says is for the caller: no secret, and nothing of a stored document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    members: Vec<(&'static str, Value)>,
    /// The methods that there are.
    allow: Option<String>,
}

impl Refusal {
    /// With the members of an [`InvalidConfig`].
    pub(super) fn invalid_config(invalid: &InvalidConfig) -> Self {
        let details: Vec<Value> = invalid
            .violations
            .iter()
            .map(|Violation { path, rule }| json!({ "path": path, "must": rule }))
            .collect();
        let refusal = Self::from(ErrorCode::InvalidRuntimeConfig).with("details", details.into());
        if invalid.omitted == 0 { refusal } else { refusal.with("omitted", invalid.omitted.into()) }
    }

    /// What Redis did not let be written; `failure` is the route's own code.
    pub(super) fn unwritten(error: &WriteError, failure: ErrorCode) -> Self {
        match error {
            WriteError::TenantManaged { owner } => {
                Self::from(ErrorCode::TenantManaged).with("owner", owner.as_str().into())
            }
            WriteError::DidManaged { owner } => {
                Self::from(ErrorCode::DidManaged).with("owner", owner.as_str().into())
            }
            WriteError::Store(_) => failure.into(),
        }
    }

    /// One more member beside `error`.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.members.push((name, value));
        self
    }

    /// What a person should know, beside the code.
    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        self.with("message", message.into().into())
    }

    /// With the methods that there are.
    pub(super) fn allowing(mut self, methods: &str) -> Self {
        self.allow = Some(methods.to_owned());
        self
    }

    pub(super) fn into_response(self) -> Response<String> {
        let mut body = Map::from_iter([("error".to_owned(), self.code.as_str().into())]);
        body.extend(self.members.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = Answer { status, body: Value::from(body).to_string() }.into_response();
        let of_code = match self.code {
            // RFC 6750, 3.
            ErrorCode::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            ErrorCode::Overloaded => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            _ => None,
        };
        let allow = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok());
        response.headers_mut().extend(of_code.or(allow.map(|methods| (header::ALLOW, methods))));
        response
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, members: Vec::new(), allow: None }
    }
}

impl Answer {
    pub(super) fn ok(body: String) -> Self {
        Self { status: StatusCode::OK, body }
    }

    pub(super) fn into_response(self) -> Response<String> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // An answer may hold a secret, and is old in a moment.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
