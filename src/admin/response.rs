//! Responses: always JSON.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use warp::http::header::{self, HeaderValue};
use warp::http::{Response, StatusCode};

use crate::contract::InvalidConfig;
use crate::contract::routes::ErrorCode;
use crate::http::Reservation;

/// A status and a JSON text. The text may contain a secret.
pub(super) struct JsonResponse {
    pub(super) status: StatusCode,
    body: Bytes,
}

/// A text that counts against the budget of responses until the connection has sent it.
struct Counted {
    text: String,
    _reserved: Reservation,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

/// An error response. It contains no secret, and nothing of a stored document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ApiError {
    pub(super) code: ErrorCode,
    members: Vec<(&'static str, Value)>,
    /// The value of the `Allow` header.
    allow: Option<String>,
}

impl ApiError {
    /// Describes an [`InvalidConfig`], with its violations as `details`.
    pub(super) fn invalid_config(code: ErrorCode, invalid: &InvalidConfig) -> Self {
        let error = Self::from(code).with("details", json!(invalid.violations));
        if invalid.omitted == 0 { error } else { error.with("omitted", invalid.omitted.into()) }
    }

    /// Adds a member beside `error`.
    pub(super) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.members.push((name, value));
        self
    }

    /// Adds a message for people, beside the code.
    pub(super) fn with_message(self, message: impl Into<String>) -> Self {
        self.with("message", message.into().into())
    }

    /// Sets the `Allow` header to the methods of the path.
    pub(super) fn with_allow(mut self, methods: &str) -> Self {
        self.allow = Some(methods.to_owned());
        self
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut body = Map::from_iter([("error".to_owned(), self.code.as_str().into())]);
        body.extend(self.members.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = JsonResponse::new(status, Value::from(body).to_string()).into_response();
        let of_code = match self.code {
            // RFC 6750, 3.
            ErrorCode::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            ErrorCode::AdminAuthRequired | ErrorCode::AdminAuthInvalid => {
                Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
            }
            ErrorCode::Overloaded => Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
            ErrorCode::RateLimited => Some((header::RETRY_AFTER, HeaderValue::from_static("60"))),
            _ => None,
        };
        let allow = self.allow.and_then(|methods| HeaderValue::try_from(methods).ok());
        response.headers_mut().extend(of_code.or(allow.map(|methods| (header::ALLOW, methods))));
        response
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self { code, members: Vec::new(), allow: None }
    }
}

impl JsonResponse {
    pub(super) fn new(status: StatusCode, text: String) -> Self {
        Self { status, body: text.into() }
    }

    pub(super) fn ok(text: String) -> Self {
        Self::new(StatusCode::OK, text)
    }

    /// Adds the part of the budget that the text uses; none for a small one.
    pub(super) fn counted(text: String, reserved: Option<Reservation>) -> Self {
        let body = match reserved {
            Some(reserved) => Bytes::from_owner(Counted { text, _reserved: reserved }),
            None => text.into(),
        };
        Self { status: StatusCode::OK, body }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // A response may contain a secret, and is soon out of date.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }
}
