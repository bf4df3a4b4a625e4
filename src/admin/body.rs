//! Reads the body of a request: JSON, within limits of size and time.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};
use warp::Buf;
use warp::http::{HeaderMap, header};

use super::limits::{Limits, SMALL_BYTES};
use super::response::ApiError;
use crate::contract::routes::{ErrorCode, MAX_BODY_BYTES};
use crate::http::{ByteBudget, Peer, Reservation};

/// The mark with which some clients begin a UTF-8 text. It is not part of the JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A body, and the part of the budget that it uses.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _reserved: Reservation,
}

/// The limits of one request's body.
pub(super) struct BodyLimits<'a> {
    pub(super) peer: Peer,
    /// The maximum number of bytes; 413 beyond it.
    pub(super) max: usize,
    pub(super) budget: &'a Arc<ByteBudget>,
    pub(super) limits: &'a Limits,
}

/// Reads a body whose headers declare JSON, or nothing.
pub(super) async fn read(
    headers: &HeaderMap,
    mut stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    BodyLimits { peer, max, budget, limits }: BodyLimits<'_>,
) -> Result<Body, ApiError> {
    if let Err(rule) = check_media_type(headers) {
        return Err(ApiError::from(ErrorCode::UnsupportedMediaType).with_message(rule));
    }
    let length = content_length(headers).unwrap_or_default();
    if usize::try_from(length).map_or(true, |length| length > max) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    let overloaded = || ApiError::from(ErrorCode::Overloaded);
    // Only received bytes are reserved: a client that announces many and sends none takes no room from others.
    let mut reserved = budget.reserve(peer, 0).ok_or_else(overloaded)?;
    let mut bytes = Vec::new();
    let deadline = Instant::now() + limits.body;
    loop {
        let next_by = deadline.min(Instant::now() + limits.body_pause);
        let chunk = timeout_at(next_by, stream.next())
            .await
            .map_err(|_| ApiError::from(ErrorCode::RequestTimeout))?;
        let Some(chunk) = chunk else {
            if bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            return Ok(Body { bytes, _reserved: reserved });
        };
        let mut chunk = chunk.map_err(|_| {
            ApiError::from(ErrorCode::InvalidJson)
                .with_message("the body is incomplete, or its HTTP framing is wrong")
        })?;
        while chunk.has_remaining() {
            let part = chunk.chunk();
            if bytes.len() + part.len() > max {
                return Err(ErrorCode::PayloadTooLarge.into());
            }
            let received = bytes.len() + part.len();
            if !reserved.grow_to(received) {
                return Err(overloaded());
            }
            if received > bytes.capacity() {
                // A vector would double: that is more than was reserved.
                bytes.reserve_exact((bytes.len() / 8).max(SMALL_BYTES).max(part.len()));
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
