//! Reads the body of a request: JSON, within limits of size and time.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use warp::Buf;
use warp::http::{HeaderMap, header};

use super::limits::Limits;
use super::response::ApiError;
use crate::contract::routes::{ErrorCode, MAX_BODY_BYTES};

/// The unit of the [`BodyBudget`], in bytes.
const BLOCK: usize = 1024;

/// The limit of the bytes that all request bodies in memory have together.
pub(super) struct BodyBudget(Arc<Semaphore>);

impl BodyBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new((limits.body_bytes / BLOCK).max(1))))
    }

    fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(blocks);
        permit.map_err(|_| ErrorCode::Overloaded.into())
    }
}

/// A body, and the part of the budget that it uses.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _reserved: OwnedSemaphorePermit,
}

/// Reads a body whose headers declare JSON, or nothing.
pub(super) async fn read(
    headers: &HeaderMap,
    mut stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limits: &Limits,
    budget: &BodyBudget,
) -> Result<Body, ApiError> {
    if let Err(rule) = check_media_type(headers) {
        return Err(ApiError::from(ErrorCode::UnsupportedMediaType).with_message(rule));
    }
    let length = content_length(headers);
    let max = usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX);
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut reserved = budget.reserve(length)?;
    let mut bytes = Vec::with_capacity(length);
    let deadline = Instant::now() + limits.body;
    loop {
        let next_by = deadline.min(Instant::now() + limits.body_pause);
        let chunk = timeout_at(next_by, stream.next())
            .await
            .map_err(|_| ApiError::from(ErrorCode::RequestTimeout))?;
        let Some(chunk) = chunk else { return Ok(Body { bytes, _reserved: reserved }) };
        let mut chunk = chunk.map_err(|_| {
            ApiError::from(ErrorCode::InvalidJson)
                .with_message("the body is incomplete, or its HTTP framing is wrong")
        })?;
        while chunk.has_remaining() {
            let part = chunk.chunk();
            if bytes.len() + part.len() > max {
                return Err(ErrorCode::PayloadTooLarge.into());
            }
            // Only received bytes are reserved. A growing vector allocates up to twice as many: `Limits::body_bytes`
            // allows for that.
            let missing = (bytes.len() + part.len()).div_ceil(BLOCK).saturating_sub(reserved.num_permits());
            if missing > 0 {
                reserved.merge(budget.reserve(missing * BLOCK)?);
            }
            bytes.extend_from_slice(part);
            let read = part.len();
            chunk.advance(read);
        }
    }
}

/// Drains the rest of the body, so that a client that still sends reads the error response instead of a reset
/// connection. Reads nothing from a client that waits for a `100 Continue` before it sends (RFC 9110, 10.1.1): it has
/// sent no body.
pub(super) async fn discard(
    headers: &HeaderMap,
    mut stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limits: &Limits,
) {
    let max = 2 * MAX_BODY_BYTES;
    if headers.contains_key(header::EXPECT) || content_length(headers).is_some_and(|length| length > max) {
        return;
    }
    let mut left = usize::try_from(max).unwrap_or(usize::MAX);
    let deadline = Instant::now() + limits.body_pause;
    while let Ok(Some(Ok(chunk))) = timeout_at(deadline, stream.next()).await {
        left = left.saturating_sub(chunk.remaining());
        if left == 0 {
            return;
        }
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns the rule that the headers violate.
fn check_media_type(headers: &HeaderMap) -> Result<(), &'static str> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err("the body must not be compressed");
    }
    let Some(kind) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let kind = kind.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    let json =
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"));
    let utf8 = parts
        .filter_map(|parameter| parameter.strip_prefix("charset="))
        .all(|charset| matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii"));
    if json && utf8 { Ok(()) } else { Err("the body must be application/json in UTF-8") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(name: header::HeaderName, value: &str) -> bool {
        check_media_type(&HeaderMap::from_iter([(name, value.parse().unwrap())])).is_ok()
    }

    #[test]
    fn a_body_is_accepted_as_json_or_without_a_content_type() {
        assert!(check_media_type(&HeaderMap::new()).is_ok());
        for kind in [
            "application/json",
            "Application/JSON; Charset=\"UTF-8\"",
            "application/json;charset=utf8",
            "application/merge-patch+json",
        ] {
            assert!(accepts(header::CONTENT_TYPE, kind), "{kind}");
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""]
        {
            assert!(!accepts(header::CONTENT_TYPE, kind), "{kind}");
        }
        assert!(!accepts(header::CONTENT_ENCODING, "gzip") && accepts(header::CONTENT_ENCODING, "identity"));
    }
}
