//! A request's body: JSON, within limits of size and time.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use warp::Buf;
use warp::http::{HeaderMap, header};

use super::answer::Refusal;
use super::limits::Limits;
use crate::contract::routes::{ErrorCode, MAX_BODY_BYTES};

/// The unit in which all bodies together are counted.
const BLOCK: usize = 1024;

/// The room for all bodies that are being read or looked at.
pub(super) struct Room(Arc<Semaphore>);

impl Room {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Semaphore::new((limits.body_bytes / BLOCK).max(1))))
    }

    fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let blocks = u32::try_from(bytes.div_ceil(BLOCK)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).try_acquire_many_owned(blocks);
        permit.map_err(|_| ErrorCode::Overloaded.into())
    }
}

/// A body, and the room that it takes.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Reads a body that says of itself that it is JSON, or says nothing.
pub(super) async fn read(
    headers: &HeaderMap,
    mut stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limits: &Limits,
    room: &Room,
) -> Result<Body, Refusal> {
    if let Err(must) = says_json(headers) {
        return Err(Refusal::from(ErrorCode::UnsupportedMediaType).saying(must));
    }
    let length = length(headers);
    let most = usize::try_from(MAX_BODY_BYTES).unwrap_or(usize::MAX);
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(ErrorCode::PayloadTooLarge.into());
    }
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
    let mut taken = room.take(length)?;
    let mut bytes = Vec::with_capacity(length);
    let end = Instant::now() + limits.body;
    loop {
        let patience = end.min(Instant::now() + limits.body_pause);
        let chunk = timeout_at(patience, stream.next())
            .await
            .map_err(|_| Refusal::from(ErrorCode::RequestTimeout))?;
        let Some(chunk) = chunk else { return Ok(Body { bytes, _room: taken }) };
        let mut chunk = chunk.map_err(|_| {
            Refusal::from(ErrorCode::InvalidJson)
                .saying("the body ended before its end, or is not framed as HTTP has it")
        })?;
        while chunk.has_remaining() {
            let part = chunk.chunk();
            if bytes.len() + part.len() > most {
                return Err(ErrorCode::PayloadTooLarge.into());
            }
            // Memory grows in steps of the vector's choosing; that a body without a length takes up to twice its
            // size for a moment is what `Limits::body_bytes` leaves room for.
            let wanted = (bytes.len() + part.len()).div_ceil(BLOCK).saturating_sub(taken.num_permits());
            if wanted > 0 {
                taken.merge(room.take(wanted * BLOCK)?);
            }
            bytes.extend_from_slice(part);
            let read = part.len();
            chunk.advance(read);
        }
    }
}

/// Reads on without looking, so that a client that still sends hears why it was refused, and not that the connection
/// broke. One that asked first whether to send (RFC 9110, 10.1.1) is answered at once.
pub(super) async fn discard(
    headers: &HeaderMap,
    mut stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Unpin,
    limits: &Limits,
) {
    let most = 2 * MAX_BODY_BYTES;
    if headers.contains_key(header::EXPECT) || length(headers).is_some_and(|length| length > most) {
        return;
    }
    let mut left = usize::try_from(most).unwrap_or(usize::MAX);
    let end = Instant::now() + limits.body_pause;
    while let Ok(Some(Ok(chunk))) = timeout_at(end, stream.next()).await {
        left = left.saturating_sub(chunk.remaining());
        if left == 0 {
            return;
        }
    }
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn says_json(headers: &HeaderMap) -> Result<(), &'static str> {
    let coded = headers.get(header::CONTENT_ENCODING);
    if coded.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
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

    fn says(name: header::HeaderName, value: &str) -> bool {
        says_json(&HeaderMap::from_iter([(name, value.parse().unwrap())])).is_ok()
    }

    #[test]
    fn a_body_is_json_when_it_says_so_or_says_nothing() {
        assert!(says_json(&HeaderMap::new()).is_ok());
        for kind in [
            "application/json",
            "Application/JSON; Charset=\"UTF-8\"",
            "application/json;charset=utf8",
            "application/merge-patch+json",
        ] {
            assert!(says(header::CONTENT_TYPE, kind), "{kind}");
        }
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", ""]
        {
            assert!(!says(header::CONTENT_TYPE, kind), "{kind}");
        }
        assert!(!says(header::CONTENT_ENCODING, "gzip") && says(header::CONTENT_ENCODING, "identity"));
    }
}
