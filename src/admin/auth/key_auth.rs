//! Authenticates callers by the keys of a key file, and limits those that guess.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use moka::sync::Cache;
use tokio::sync::watch;
use warp::http::{HeaderMap, HeaderName, header};

use super::keys::{Keys, Role};
use crate::admin::limits::{KEY_BYTES, KEY_FAILURE_WINDOW, MAX_FAILING_CLIENTS, MAX_KEY_FAILURES};
use crate::admin::response::ApiError;
use crate::contract::routes::ErrorCode;
use crate::http::Peer;

/// The header for clients that can't set `Authorization`.
const ADMIN_KEY: HeaderName = HeaderName::from_static("x-admin-key");

/// Authenticates by key.
pub(in crate::admin) struct KeyAuth {
    keys: watch::Receiver<Arc<Keys>>,
    /// The requests with a wrong key, by client.
    failures: Cache<Peer, Arc<AtomicU32>>,
}

/// A key that was found.
pub(in crate::admin) struct KeyHolder {
    /// As logs show it.
    pub(in crate::admin) name: String,
    pub(in crate::admin) role: Role,
}

impl KeyAuth {
    pub(in crate::admin) fn new(keys: watch::Receiver<Arc<Keys>>) -> Self {
        let failures =
            Cache::builder().max_capacity(MAX_FAILING_CLIENTS).time_to_live(KEY_FAILURE_WINDOW).build();
        Self { keys, failures }
    }

    /// Returns the holder of the key that the request carries. A right key is never refused, however many wrong ones its
    /// client has tried.
    pub(in crate::admin) fn authenticate(
        &self,
        headers: &HeaderMap,
        peer: Peer,
    ) -> Result<KeyHolder, ApiError> {
        let required = || {
            let message = "exactly one key must be given, as Authorization: Bearer or as x-admin-key";
            ApiError::from(ErrorCode::AdminAuthRequired).with_message(message)
        };
        let presented = presented(headers).ok_or_else(required)?;
        if KEY_BYTES.contains(&presented.len()) {
            let keys = Arc::clone(&self.keys.borrow());
            if let Some((name, role)) = keys.find(presented) {
                return Ok(KeyHolder { name: format!("key:{name}"), role });
            }
        }
        let failures = self.failures.get_with(peer, Arc::default);
        if failures.fetch_add(1, Ordering::Relaxed) >= MAX_KEY_FAILURES {
            return Err(ErrorCode::RateLimited.into());
        }
        Err(ApiError::from(ErrorCode::AdminAuthInvalid).with_message("the key is not valid"))
    }
}

impl KeyHolder {
    /// Rejects what the role may not do.
    pub(in crate::admin) fn authorize(&self, writes: bool, asks_for_secrets: bool) -> Result<(), ApiError> {
        let forbidden = |message| Err(ApiError::from(ErrorCode::AdminForbidden).with_message(message));
        if asks_for_secrets && self.role != Role::SecretReader {
            return forbidden("includeSecrets needs a key of the role secret-reader");
        }
        if writes && self.role != Role::Editor {
            return forbidden("writes need a key of the role editor");
        }
        Ok(())
    }
}

/// Returns the number of headers with credentials.
pub(in crate::admin) fn credentials(headers: &HeaderMap) -> usize {
    headers.get_all(header::AUTHORIZATION).iter().chain(&headers.get_all(ADMIN_KEY)).count()
}

/// The credential of a request that has exactly one, in exactly one header.
fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    if credentials(headers) != 1 {
        return None;
    }
    if let Some(key) = headers.get(ADMIN_KEY) {
        return Some(key.as_bytes().trim_ascii());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::keys::NewKey;
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    fn peer(last: u8) -> Peer {
        Peer::from(std::net::SocketAddr::from(([10, 0, 0, last], 1)))
    }

    #[test]
    fn exactly_one_key_in_one_header_is_accepted() {
        let new = NewKey::random("panel", Role::Reader).unwrap();
        let (_sender, keys) = watch::channel(Arc::new(new.line.parse().unwrap()));
        let auth = KeyAuth::new(keys);
        let bearer = format!("Bearer {}", new.key);
        for good in [&[(header::AUTHORIZATION, bearer.as_str())][..], &[(ADMIN_KEY, &new.key)]] {
            assert_eq!(auth.authenticate(&headers(good), peer(1)).ok().unwrap().name, "key:panel");
        }
        let basic = format!("Basic {}", new.key);
        for (wrong, code) in [
            (&[][..], ErrorCode::AdminAuthRequired),
            (
                &[(header::AUTHORIZATION, bearer.as_str()), (ADMIN_KEY, &new.key)],
                ErrorCode::AdminAuthRequired,
            ),
            (&[(ADMIN_KEY, new.key.as_str()), (ADMIN_KEY, &new.key)], ErrorCode::AdminAuthRequired),
            (&[(header::AUTHORIZATION, basic.as_str())], ErrorCode::AdminAuthRequired),
            (&[(ADMIN_KEY, "short")], ErrorCode::AdminAuthInvalid),
            (&[(ADMIN_KEY, &"x".repeat(600))], ErrorCode::AdminAuthInvalid),
            (&[(ADMIN_KEY, &"x".repeat(64))], ErrorCode::AdminAuthInvalid),
        ] {
            let error = auth.authenticate(&headers(wrong), peer(2)).err().unwrap();
            assert_eq!(error.code, code, "{wrong:?}");
        }
    }

    #[test]
    fn wrong_keys_are_limited_per_client_and_right_ones_are_not() {
        let new = NewKey::random("panel", Role::Reader).unwrap();
        let (_sender, keys) = watch::channel(Arc::new(new.line.parse().unwrap()));
        let auth = KeyAuth::new(keys);
        let wrong = headers(&[(ADMIN_KEY, &"x".repeat(64))]);
        let code = |peer| auth.authenticate(&wrong, peer).err().unwrap().code;
        for _ in 0..MAX_KEY_FAILURES {
            assert_eq!(code(peer(1)), ErrorCode::AdminAuthInvalid);
        }
        assert_eq!((code(peer(1)), code(peer(2))), (ErrorCode::RateLimited, ErrorCode::AdminAuthInvalid));
        assert!(auth.authenticate(&headers(&[(ADMIN_KEY, &new.key)]), peer(1)).is_ok());
    }
}
