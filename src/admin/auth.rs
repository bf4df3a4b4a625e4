//! Who calls, and what they may: asked of the API server, remembered for a moment, refused in doubt.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
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

use super::answer::Refusal;
use crate::contract::routes::ErrorCode;
use crate::telemetry::{Metrics, Review};

/// The audience of a token that is for this product alone.
pub const AUDIENCE: &str = "runtime-operator";
/// For how long an answer of the API server counts, yes or no.
const REMEMBERED: Duration = Duration::from_secs(10);
/// How many answers of a kind are remembered at once.
const MOST_REMEMBERED: usize = 4096;
/// How many reviews the API server is asked for at once.
const REVIEWS: usize = 16;

/// A token's hash: what is remembered in place of the token.
type TokenHash = [u8; 32];

/// A caller whose token was found good.
#[derive(Clone)]
pub(super) struct Caller {
    token: TokenHash,
    user: Arc<UserInfo>,
}

impl Caller {
    /// The user's name, as `system:serviceaccount:voice:reader`.
    pub(super) fn name(&self) -> &str {
        self.user.username.as_deref().unwrap_or_default()
    }
}

/// Asks the API server. Cheap to clone; clones remember the same.
#[derive(Clone)]
pub(super) struct Reviewer(Arc<Shared>);

struct Shared {
    client: Client,
    patience: Duration,
    metrics: Metrics,
    tokens: Memory<TokenHash, Option<Arc<UserInfo>>>,
    rights: Memory<(TokenHash, &'static str, String), bool>,
    slots: Semaphore,
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviewer").finish_non_exhaustive()
    }
}

impl Reviewer {
    pub(super) fn new(client: Client, patience: Duration, metrics: Metrics) -> Self {
        let (tokens, rights, slots) = (Memory::default(), Memory::default(), Semaphore::new(REVIEWS));
        Self(Arc::new(Shared { client, patience, metrics, tokens, rights, slots }))
    }

    /// Whose token it is; 401 without one that the API server knows.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Refusal> {
        let bearer = bearer(headers)
            .ok_or_else(|| Refusal::from(ErrorCode::Unauthorized).saying("a bearer token must be given"))?;
        let token: TokenHash = Sha256::digest(bearer).into();
        let ask = || async {
            let user = self.authenticate(bearer).await?;
            self.0.metrics.reviewed(Review::Token, Some(user.is_some()));
            Ok(user.map(Arc::new))
        };
        match self.remembered(&self.0.tokens, token, ask).await {
            Ok(Some(user)) => Ok(Caller { token, user }),
            Ok(None) => Err(Refusal::from(ErrorCode::Unauthorized).saying("the token is not valid here")),
            Err(why) => {
                self.0.metrics.reviewed(Review::Token, None);
                warn!(%why, "a token could not be reviewed: its request is refused");
                Err(Refusal::from(ErrorCode::Unauthorized).saying("the token could not be reviewed"))
            }
        }
    }

    /// Whether the caller may; 403 when not.
    pub(super) async fn permit(
        &self,
        caller: &Caller,
        verb: &'static str,
        path: &str,
    ) -> Result<(), Refusal> {
        let ask = || async {
            let allowed = self.authorise(caller, verb, path).await?;
            self.0.metrics.reviewed(Review::Access, Some(allowed));
            Ok(allowed)
        };
        match self.remembered(&self.0.rights, (caller.token, verb, path.to_owned()), ask).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                let message = format!("{:?} must be allowed to {verb} {path}", caller.name());
                Err(Refusal::from(ErrorCode::Forbidden).saying(message))
            }
            Err(why) => {
                self.0.metrics.reviewed(Review::Access, None);
                warn!(%why, "a right could not be reviewed: its request is refused");
                Err(Refusal::from(ErrorCode::Forbidden).saying("the right could not be reviewed"))
            }
        }
    }

    /// What is remembered, else what the API server answers in time. What failed is not remembered.
    async fn remembered<K, V, F>(
        &self,
        memory: &Memory<K, V>,
        key: K,
        ask: impl Fn() -> F,
    ) -> Result<V, String>
    where
        K: Eq + Hash + Clone,
        V: Clone,
        F: Future<Output = Result<V, kube::Error>>,
    {
        if let Some(known) = memory.get(&key) {
            return Ok(known);
        }
        let review = async {
            let _slot = self.0.slots.acquire().await;
            // Somebody else may have asked while this one waited.
            if let Some(known) = memory.get(&key) {
                return Ok(known);
            }
            let asked = Instant::now();
            let answer = ask().await?;
            memory.put(key, answer.clone(), asked);
            Ok::<V, kube::Error>(answer)
        };
        match timeout(self.0.patience, review).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("the API server did not answer within {:?}", self.0.patience)),
        }
    }

    /// A token for the API server itself, or for this product.
    async fn authenticate(&self, bearer: &str) -> Result<Option<UserInfo>, kube::Error> {
        let reviews: Api<TokenReview> = Api::all(self.0.client.clone());
        for audience in [None, Some(AUDIENCE)] {
            let audiences = audience.map(|audience| vec![audience.to_owned()]);
            let spec = TokenReviewSpec { token: Some(bearer.to_owned()), audiences };
            let review = TokenReview { spec, ..TokenReview::default() };
            let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
            // A reviewer that knows nothing of audiences names none: not to be trusted with one
            // (TokenReviewStatus.audiences).
            let named = status.audiences.unwrap_or_default();
            let meant = audience.is_none_or(|audience| named.iter().any(|name| name == audience));
            if status.authenticated == Some(true) && meant {
                return Ok(status.user);
            }
        }
        Ok(None)
    }

    async fn authorise(&self, caller: &Caller, verb: &str, path: &str) -> Result<bool, kube::Error> {
        let UserInfo { username, uid, groups, extra } = caller.user.as_ref().clone();
        let asked = NonResourceAttributes { path: Some(path.to_owned()), verb: Some(verb.to_owned()) };
        let spec = SubjectAccessReviewSpec {
            user: username,
            uid,
            groups,
            extra,
            non_resource_attributes: Some(asked),
            ..SubjectAccessReviewSpec::default()
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.0.client.clone());
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let status = reviews.create(&PostParams::default(), &review).await?.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }
}

/// The token of `Authorization: Bearer` (RFC 6750, 2.1), when there is exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (given.next(), given.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    let shaped =
        !token.is_empty() && token.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c));
    (scheme.eq_ignore_ascii_case("bearer") && shaped).then_some(token)
}

/// Answers that count for a while; never more than [`MOST_REMEMBERED`].
struct Memory<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Memory<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Memory<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(asked, _)| asked.elapsed() < REMEMBERED).map(|(_, value)| value.clone())
    }

    fn put(&self, key: K, value: V, asked: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.retain(|_, (asked, _)| asked.elapsed() < REMEMBERED);
        }
        if known.len() >= MOST_REMEMBERED {
            // A flood of tokens or paths: the flood itself pays by being asked for again.
            known.clear();
        }
        known.insert(key, (asked, value));
    }
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
    fn a_token_is_taken_of_one_bearer_header_only() {
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

    #[test]
    fn a_memory_forgets_after_a_while_and_never_grows_beyond_its_bound() {
        let memory = Memory::default();
        let now = Instant::now();
        memory.put(0, true, now);
        memory.put(1, true, now.checked_sub(REMEMBERED).unwrap());
        assert_eq!((memory.get(&0), memory.get(&1), memory.get(&2)), (Some(true), None, None));
        (0..3 * MOST_REMEMBERED).for_each(|key| memory.put(key, true, now));
        assert!(memory.0.lock().unwrap().len() <= MOST_REMEMBERED);
    }
}
