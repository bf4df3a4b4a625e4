//! Authenticates callers and authorizes their requests, by the API server's TokenReview and SubjectAccessReview. Its
//! responses are cached for a moment; when it does not respond, the request is rejected.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Client;
use kube::api::{Api, PostParams};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;
use warp::http::{HeaderMap, header};

use super::cache::{Key, ReviewCache};
use crate::admin::limits::{MAX_REVIEWS, MAX_TOKEN_BYTES};
use crate::admin::response::ApiError;
use crate::contract::routes::ErrorCode;
use crate::telemetry::{Metrics, Review, ReviewResult, with_causes};

/// The audience of tokens that are meant for this operator alone.
pub const AUDIENCE: &str = "runtime-operator";

/// An authenticated caller.
#[derive(Clone)]
pub(in crate::admin) struct Caller {
    /// The hash of the token, which is cached in place of the token.
    token: Key,
    user: Arc<UserInfo>,
}

impl Caller {
    /// The user's name, as in `system:serviceaccount:voice:reader`.
    pub(in crate::admin) fn name(&self) -> &str {
        self.user.username.as_deref().unwrap_or_default()
    }
}

/// A review that failed.
#[derive(Debug, thiserror::Error)]
enum ReviewError {
    #[error(transparent)]
    Request(#[from] kube::Error),
    #[error("the API server did not respond within {0:?}")]
    TimedOut(Duration),
}

/// Requests reviews from the API server. Cheap to clone; clones share their cache.
#[derive(Clone)]
pub(in crate::admin) struct Authorizer(Arc<Shared>);

struct Shared {
    client: Client,
    timeout: Duration,
    metrics: Metrics,
    users: ReviewCache<Option<Arc<UserInfo>>>,
    permissions: ReviewCache<bool>,
    slots: Semaphore,
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

impl Authorizer {
    pub(in crate::admin) fn new(client: Client, timeout: Duration, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            client,
            timeout,
            metrics,
            users: ReviewCache::new(|user| user.as_deref().map_or(0, size_of_user)),
            permissions: ReviewCache::new(|_| 0),
            slots: Semaphore::new(MAX_REVIEWS),
        }))
    }

    /// Returns the caller whose token the request carries. 401 without a token that the API server accepts.
    pub(in crate::admin) async fn authenticate(&self, headers: &HeaderMap) -> Result<Caller, ApiError> {
        let unauthorized = |message| ApiError::from(ErrorCode::Unauthorized).with_message(message);
        let bearer = bearer(headers).ok_or_else(|| unauthorized("a bearer token must be given"))?;
        let token: Key = Sha256::digest(bearer).into();
        let review = || async {
            let user = self.0.review_token(bearer).await?;
            self.count(Review::Token, user.is_some());
            Ok(user.map(Arc::new))
        };
        match self.0.cached(&self.0.users, token, review).await {
            Ok(Some(user)) => Ok(Caller { token, user }),
            Ok(None) => Err(unauthorized("the token is not valid")),
            Err(error) => {
                self.0.metrics.count_review(Review::Token, ReviewResult::Failed);
                warn!(error = with_causes(&error), "TokenReview failed; request rejected");
                Err(unauthorized("token review failed"))
            }
        }
    }

    /// Succeeds if the caller has the permission. 403 if not.
    pub(in crate::admin) async fn authorize(
        &self,
        caller: &Caller,
        verb: &'static str,
        path: &str,
    ) -> Result<(), ApiError> {
        let forbidden = |message: String| ApiError::from(ErrorCode::Forbidden).with_message(message);
        let review = || async {
            let allowed = self.0.review_access(caller, verb, path).await?;
            self.count(Review::Access, allowed);
            Ok(allowed)
        };
        match self.0.cached(&self.0.permissions, access_key(caller, verb, path), review).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(forbidden(format!("{:?} must be allowed to {verb} {path}", caller.name()))),
            Err(error) => {
                self.0.metrics.count_review(Review::Access, ReviewResult::Failed);
                warn!(error = with_causes(&error), "SubjectAccessReview failed; request rejected");
                Err(forbidden("access review failed".to_owned()))
            }
        }
    }

    fn count(&self, review: Review, allowed: bool) {
        let result = if allowed { ReviewResult::Allowed } else { ReviewResult::Denied };
        self.0.metrics.count_review(review, result);
    }
}

impl Shared {
    /// Returns the cached value, or that of a review. A failed review is not cached.
    async fn cached<V, F>(
        &self,
        cache: &ReviewCache<V>,
        key: Key,
        review: impl Fn() -> F,
    ) -> Result<V, ReviewError>
    where
        V: Clone + Send + Sync + 'static,
        F: Future<Output = Result<V, kube::Error>>,
    {
        if let Some(value) = cache.get(&key) {
            return Ok(value);
        }
        let reviewed = async {
            let _slot = self.slots.acquire().await;
            // Another request may have got the same review while this one waited.
            if let Some(value) = cache.get(&key) {
                return Ok(value);
            }
            let since = Instant::now();
            let value = review().await?;
            cache.put(key, value.clone(), since);
            Ok(value)
        };
        timeout(self.timeout, reviewed).await.unwrap_or(Err(ReviewError::TimedOut(self.timeout)))
    }

    /// Returns the user of a token, which may be meant for the API server or for [`AUDIENCE`].
    async fn review_token(&self, bearer: &str) -> Result<Option<UserInfo>, kube::Error> {
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        for audience in [None, Some(AUDIENCE)] {
            let audiences = audience.map(|audience| vec![audience.to_owned()]);
            let spec = TokenReviewSpec { token: Some(bearer.to_owned()), audiences };
            let review = TokenReview { spec, ..TokenReview::default() };
            let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
            // An API server that ignores audiences returns none, and must not be trusted with one
            // (TokenReviewStatus.audiences).
            let returned = status.audiences.unwrap_or_default();
            let for_audience = audience.is_none_or(|audience| returned.iter().any(|name| name == audience));
            if status.authenticated == Some(true) && for_audience {
                return Ok(status.user);
            }
        }
        Ok(None)
    }

    async fn review_access(&self, caller: &Caller, verb: &str, path: &str) -> Result<bool, kube::Error> {
        let UserInfo { username, uid, groups, extra } = caller.user.as_ref().clone();
        let attributes = NonResourceAttributes { path: Some(path.to_owned()), verb: Some(verb.to_owned()) };
        let spec = SubjectAccessReviewSpec {
            user: username,
            uid,
            groups,
            extra,
            non_resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }
}

/// Returns the key of an access review: of the token and all that is asked for. The caller bounds the path.
fn access_key(caller: &Caller, verb: &str, path: &str) -> Key {
    let mut hash = Sha256::new();
    for part in [&caller.token[..], verb.as_bytes(), b" ", path.as_bytes()] {
        hash.update(part);
    }
    hash.finalize().into()
}

/// Returns about how many bytes a user needs in memory.
fn size_of_user(user: &UserInfo) -> usize {
    let of_list =
        |list: &Vec<String>| list.iter().map(|item| size_of::<String>() + item.len()).sum::<usize>();
    let extra = user.extra.iter().flatten().map(|(name, values)| 64 + name.len() + of_list(values));
    let texts = [&user.username, &user.uid].into_iter().flatten().map(String::len).sum::<usize>();
    size_of::<UserInfo>() + texts + user.groups.as_ref().map_or(0, of_list) + extra.sum::<usize>()
}

/// The token of `Authorization: Bearer` (RFC 6750, 2.1), if there is exactly one such header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let valid = (1..=MAX_TOKEN_BYTES).contains(&token.len())
        && token.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c));
    (scheme.eq_ignore_ascii_case("bearer") && valid).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers).map(str::to_owned)
    }

    #[test]
    fn a_token_is_read_from_exactly_one_bearer_header() {
        assert_eq!(token(&["Bearer abc.d-e_f~"]).as_deref(), Some("abc.d-e_f~"));
        assert_eq!(token(&["bearer  abc=="]).as_deref(), Some("abc=="));
        for wrong in [
            &[][..],
            &["abc"],
            &["Basic abc"],
            &["Bearer"],
            &["Bearer "],
            &["Bearer a b"],
            &["Bearer a", "Bearer a"],
        ] {
            assert_eq!(token(wrong), None, "{wrong:?}");
        }
    }
}
