//! The state of each watch: readiness, a metric and the election read it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The failures of a watch that are over within this time are not worth a failed probe: an API server that restarts behind
/// others.
const GRACE: Duration = Duration::from_secs(2);

/// The states of all watches of this replica. Clones share them.
#[derive(Clone, Debug)]
pub struct WatchStates(watch::Sender<Vec<WatchState>>);

/// The state of one watch.
#[derive(Clone, Debug)]
pub struct WatchState {
    /// The plural of the watched resource, as in RBAC rules.
    pub resource: &'static str,
    /// The watched namespace; none: all.
    pub namespace: Option<Arc<str>>,
    /// True once it has listed everything.
    pub listed: bool,
    /// The last sign that it worked; its start, before the first one.
    pub worked_at: Instant,
    /// Why it does not work, if it failed since it last worked.
    pub failure: Option<WatchFailure>,
}

/// Why a watch does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFailure {
    /// The verb of the request that failed.
    pub verb: Verb,
    /// The code of the response; none without a response.
    pub code: Option<u16>,
    /// The cause, for a person to read.
    pub message: String,
}

/// The verb of a request, as in RBAC rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Lists all objects.
    List,
    /// Watches for changes.
    Watch,
}

impl Default for WatchStates {
    fn default() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }
}

impl WatchStates {
    /// Adds a watch. Its state is reported through what this returns.
    #[must_use]
    pub fn add(&self, resource: &'static str, namespace: Option<&str>) -> WatchReporter {
        let mut place = 0;
        let worked_at = Instant::now();
        let namespace = namespace.map(Arc::from);
        self.0.send_modify(|states| {
            place = states.len();
            states.push(WatchState { resource, namespace, listed: false, worked_at, failure: None });
        });
        WatchReporter { states: self.clone(), place }
    }

    /// The present states.
    #[must_use]
    pub fn all(&self) -> Vec<WatchState> {
        self.0.borrow().clone()
    }

    /// Names every watch that is refused, or has been interrupted for longer than a moment.
    #[must_use]
    pub fn broken(&self, now: Instant) -> Vec<String> {
        self.0.borrow().iter().filter_map(|state| state.broken(now)).collect()
    }
}

impl WatchState {
    /// True while it shows every change.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.listed && self.failure.is_none()
    }

    /// The time since it last worked; zero while it does.
    #[must_use]
    pub fn interrupted_for(&self, now: Instant) -> Duration {
        if self.is_working() { Duration::ZERO } else { now.saturating_duration_since(self.worked_at) }
    }

    fn broken(&self, now: Instant) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let lasts = failure.is_refusal() || self.interrupted_for(now) >= GRACE;
        lasts.then(|| format!("{self}: {}", failure.message))
    }
}

impl WatchFailure {
    /// True where the API server refuses the request, as it does without a Role or a CRD: it will do so until a person
    /// changes that.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.code, Some(401 | 403 | 404))
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Watch => "watch",
        })
    }
}

/// The request that fails, as in `can't list secrets in the namespace voice`.
impl fmt::Display for WatchState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.failure.as_ref().map_or(Verb::Watch, |failure| failure.verb);
        write!(f, "can't {verb} {}", self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in the namespace {namespace}"),
            None => f.write_str(" in all namespaces"),
        }
    }
}

/// Reports the state of one watch.
#[derive(Debug)]
pub struct WatchReporter {
    states: WatchStates,
    place: usize,
}

impl WatchReporter {
    /// Reports that all objects were listed.
    pub fn listed(&self) {
        self.change(|state| {
            let news = !state.listed;
            state.listed = true;
            news
        });
    }

    /// Reports that the watch is open. Returns for how long it was interrupted, if it was.
    pub fn works(&self, now: Instant) -> Option<Duration> {
        let mut interrupted = None;
        self.change(|state| {
            interrupted = state.failure.take().map(|_| now.saturating_duration_since(state.worked_at));
            state.worked_at = now;
            interrupted.is_some()
        });
        interrupted
    }

    /// Reports why the watch does not work. `worked_at` is the last sign that it did, if there was any.
    pub fn failed(&self, failure: WatchFailure, worked_at: Option<Instant>) {
        self.change(|state| {
            if let Some(worked_at) = worked_at.filter(|_| state.failure.is_none()) {
                state.worked_at = worked_at;
            }
            state.failure.replace(failure).as_ref() != state.failure.as_ref()
        });
    }

    /// The watch, as texts name it.
    #[must_use]
    pub fn state(&self) -> Option<WatchState> {
        self.states.0.borrow().get(self.place).cloned()
    }

    fn change(&self, change: impl FnOnce(&mut WatchState) -> bool) {
        self.states.0.send_if_modified(|states| states.get_mut(self.place).is_some_and(change));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: u16) -> WatchFailure {
        WatchFailure { verb: Verb::List, code: Some(code), message: "no".to_owned() }
    }

    #[test]
    fn a_refused_watch_is_broken_at_once_and_an_interrupted_one_after_a_moment() {
        let states = WatchStates::default();
        let secrets = states.add("secrets", Some("voice"));
        let tenants = states.add("runtimetenants", None);
        let now = Instant::now();
        assert!(states.broken(now + 10 * GRACE).is_empty(), "it has only begun");
        secrets.failed(failure(403), None);
        tenants.failed(failure(500), Some(now));
        let refused = "can't list secrets in the namespace voice: no".to_owned();
        assert_eq!(states.broken(now), std::slice::from_ref(&refused));
        let interrupted = "can't list runtimetenants in all namespaces: no".to_owned();
        assert_eq!(states.broken(now + GRACE), [refused, interrupted]);

        tenants.listed();
        assert_eq!(tenants.works(now + GRACE), Some(GRACE));
        assert_eq!(states.broken(now + 10 * GRACE).len(), 1);
    }

    #[test]
    fn the_time_since_a_watch_worked_counts_from_its_last_sign() {
        let states = WatchStates::default();
        let secrets = states.add("secrets", None);
        secrets.listed();
        let now = Instant::now();
        let later = now + Duration::from_secs(30);
        assert_eq!(secrets.works(now), None);
        assert_eq!(states.all()[0].interrupted_for(later), Duration::ZERO);
        secrets.failed(failure(500), Some(now));
        secrets.failed(failure(502), Some(later));
        assert_eq!(states.all()[0].interrupted_for(later), Duration::from_secs(30));
    }
}
