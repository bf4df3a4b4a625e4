//! A broken neighbour: what the proxy answers on chosen paths, while everything else is forwarded.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::Method;

use super::kube::ErrorResponse;

/// What becomes of the requests to a path.
#[derive(Clone, Debug)]
pub enum PathFault {
    /// An error of the API server itself.
    Error(ErrorResponse),
    /// A refusal of the API server: the code, reason and message of its `Status`.
    Refusal(u16, &'static str, &'static str),
    /// The page of some HTTP proxy on the way, with this code.
    Html(u16),
    /// The request is forwarded after this time.
    Slow(Duration),
    /// There is never an answer.
    Never,
}

impl From<ErrorResponse> for PathFault {
    fn from(response: ErrorResponse) -> Self {
        Self::Error(response)
    }
}

#[derive(Clone)]
struct Rule {
    method: Option<Method>,
    end: String,
    fault: PathFault,
}

/// The broken paths of a proxy.
#[derive(Default)]
pub(super) struct Paths {
    rules: Mutex<Vec<Rule>>,
    met: AtomicU64,
}

impl Paths {
    /// Breaks the requests with this method, or any, to paths that end like this. Replaces an earlier fault of the same
    /// requests.
    pub(super) fn set(&self, method: Option<Method>, end: &str, fault: PathFault) {
        let mut rules = self.rules.lock().unwrap();
        rules.retain(|rule| (&rule.method, &*rule.end) != (&method, end));
        rules.push(Rule { method, end: end.to_owned(), fault });
    }

    pub(super) fn clear(&self) {
        self.rules.lock().unwrap().clear();
    }

    /// The fault that this request meets, if any.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<PathFault> {
        let rules = self.rules.lock().unwrap();
        let applies =
            |rule: &&Rule| path.ends_with(&rule.end) && rule.method.as_ref().is_none_or(|is| is == method);
        let found = rules.iter().find(applies)?;
        self.met.fetch_add(1, Ordering::SeqCst);
        Some(found.fault.clone())
    }

    /// The number of requests that met a fault.
    pub(super) fn met(&self) -> u64 {
        self.met.load(Ordering::SeqCst)
    }
}
