//! A watch that never ends: it lists again when it may have missed changes, and says whether it works.
//!
//! It stands for kube-runtime's `watcher`, whose events it has. That one does not report that a watch is open again, waits for up
//! to 45 s after the API server is back, counts an expired version (410) as a failure, and can't be given other pages.
//!
//! After a restore from a snapshot the revision of etcd moves backwards. A watch that is resumed from a later revision receives
//! nothing until etcd has caught up, since the API server drops what is not newer; and no one notices. So the present revision is
//! checked now and then, and soon after each interruption.

use std::fmt::Debug;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::runtime::watcher::Event;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout, timeout_at};
use tracing::{debug, info, warn};

use super::super::error::http_code;
use super::super::intervals::jittered;
use super::super::refusal::is_from_api_server;
use super::list::Pages;
use super::state::{Verb, WatchFailure, WatchReporter};
use crate::telemetry::api_server_cause;

/// The seconds after which the API server ends a watch; it is resumed then.
const WATCH_SECONDS: u32 = 30;
/// The time without any event after which a watch is dead: it did not end in time.
const DEAD_AFTER: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// The time for which a connection of a watch may be silent: longer than a watch lasts.
pub const WATCH_SILENCE: Duration = Duration::from_secs(40);
/// The timeout of the response that opens a watch, which API servers send immediately.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a page of a list.
const PAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// The delay after a first failure. It doubles with each that follows ...
const FIRST_DELAY: Duration = Duration::from_millis(100);
/// ... up to this, give or take a half: an API server that is back is noticed soon, and an idle request a second costs it
/// nothing.
const LONGEST_DELAY: Duration = Duration::from_millis(1500);
/// A watch that ends sooner than this without an event is no success: the next one would end as soon.
const SHORTEST_WATCH: Duration = Duration::from_secs(1);
/// The interval at which the revision is checked ...
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// ... and the delay after an interruption: no etcd is restored under running API servers.
const CHECK_SOON: Duration = Duration::from_secs(1);
/// The interval at which a failure that lasts is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(300);

/// A report of a watch, in order.
#[derive(Debug)]
pub enum Report<K> {
    /// A change, or a part of a list.
    Event(Event<K>),
    /// The watch is open again after an interruption.
    Restored,
}

/// Lists and watches all objects of a kind until its reports are no longer taken.
pub async fn watch<K>(api: Api<K>, reporter: WatchReporter, reports: mpsc::Sender<Report<K>>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let check = delay(CHECK_INTERVAL);
    let watch = ResilientWatch {
        api,
        reporter,
        reports,
        version: None,
        highest: 0,
        check,
        failures: 0,
        worked_at: None,
        logged_at: None,
        is_announced: false,
    };
    let Stopped = watch.run().await;
}

struct ResilientWatch<K> {
    api: Api<K>,
    reporter: WatchReporter,
    reports: mpsc::Sender<Report<K>>,
    /// The version from which the watch is resumed; none: everything must be listed.
    version: Option<String>,
    /// The highest revision that was seen.
    highest: u64,
    check: BoxFuture<'static, Check>,
    /// The failures since the last success.
    failures: u32,
    /// The last sign that the watch worked.
    worked_at: Option<Instant>,
    /// The last log line about failures that follow each other.
    logged_at: Option<Instant>,
    /// True once the log has a line about the present interruption.
    is_announced: bool,
}

/// The state of the revision check.
enum Check {
    Due,
    /// The present revision, requested when `highest` was the highest that was seen.
    Revision {
        revision: u64,
        highest: u64,
    },
    Failed,
}

/// The reports are no longer taken.
struct Stopped;

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum Interruption {
    #[error("{}", api_server_cause(.1))]
    Request(Verb, #[source] kube::Error),
    #[error("no response within {} s", .1.as_secs())]
    TimedOut(Verb, Duration),
    #[error("the list has no resourceVersion")]
    NoVersion,
    #[error("watches end as soon as they are open")]
    TooShort,
    #[error("the events are no longer taken")]
    Stopped,
}

impl Interruption {
    fn failure(&self) -> WatchFailure {
        let (verb, code) = match self {
            // The code of a proxy's page says nothing about the request.
            Self::Request(verb, error) => (*verb, http_code(error).filter(|_| is_answered(error))),
            Self::TimedOut(verb, _) => (*verb, None),
            Self::NoVersion => (Verb::List, None),
            Self::TooShort | Self::Stopped => (Verb::Watch, None),
        };
        WatchFailure { verb, code, message: self.to_string() }
    }

    /// True where the version, or the page of a list, is too old: everything must be listed.
    fn is_expired(&self) -> bool {
        matches!(self, Self::Request(_, error) if http_code(error) == Some(410))
    }
}

/// True where the API server itself has answered.
fn is_answered(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if is_from_api_server(status))
}

/// The time of tokio's clock, which tests advance.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn delay(time: Duration) -> BoxFuture<'static, Check> {
    sleep(time).map(|()| Check::Due).boxed()
}

/// Reads the present revision: every API server answers a list without a version from etcd.
async fn check<K: Clone + DeserializeOwned + Debug>(api: Api<K>, highest: u64) -> Check {
    let list = timeout(OPEN_TIMEOUT, api.list(&ListParams::default().limit(1))).await;
    let list = list.ok().and_then(Result::ok);
    let revision = list.and_then(|list| list.metadata.resource_version?.parse().ok());
    revision.map_or(Check::Failed, |revision| Check::Revision { revision, highest })
}

impl<K> ResilientWatch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn run(mut self) -> Stopped {
        loop {
            let interruption = match self.list_and_watch().await {
                Ok(()) => continue,
                Err(Interruption::Stopped) => return Stopped,
                Err(interruption) => interruption,
            };
            self.check = delay(CHECK_SOON);
            if interruption.is_expired() {
                self.version = None;
                // A version that expires again right after a list is a failure like any other.
                if self.failures == 0 {
                    debug!(watch = %self.name(), "resourceVersion expired; relisting");
                    self.failures = 1;
                    continue;
                }
            }
            self.report_failure(&interruption);
            let time = FIRST_DELAY.saturating_mul(1 << self.failures.min(10)).min(LONGEST_DELAY);
            self.failures = self.failures.saturating_add(1);
            sleep(jittered(time)).await;
        }
    }

    /// Lists everything if that is due, and watches until the API server ends the watch in time.
    async fn list_and_watch(&mut self) -> Result<(), Interruption> {
        let version = match self.version.take() {
            Some(version) => version,
            None => self.list().await?,
        };
        // Resumed from there, whatever happens to this watch.
        self.version = Some(version.clone());
        let params = WatchParams::default().timeout(WATCH_SECONDS);
        let api = self.api.clone();
        let opened = timeout(OPEN_TIMEOUT, api.watch(&params, &version)).await;
        let opened = opened.map_err(|_| Interruption::TimedOut(Verb::Watch, OPEN_TIMEOUT))?;
        let mut stream = pin!(opened.map_err(|error| Interruption::Request(Verb::Watch, error))?);
        let opened_at = now();
        self.report_works(opened_at).await?;
        loop {
            let dead_at = self.worked_at.unwrap_or(opened_at) + DEAD_AFTER;
            tokio::select! {
                next = timeout_at(dead_at.into(), stream.try_next()) => match next {
                    Ok(Ok(Some(event))) => {
                        self.worked_at = Some(now());
                        self.on_event(event).await?;
                    }
                    Ok(Ok(None)) if now().duration_since(opened_at) < SHORTEST_WATCH && self.failures > 0 => {
                        return Err(Interruption::TooShort);
                    }
                    Ok(Ok(None)) => {
                        self.succeed();
                        self.failures = u32::from(now().duration_since(opened_at) < SHORTEST_WATCH);
                        return Ok(());
                    }
                    Ok(Err(error)) => return Err(Interruption::Request(Verb::Watch, error)),
                    Err(_) => {
                        debug!(watch = %self.name(), "watch is dead; opening it again");
                        return Ok(());
                    }
                },
                check = &mut self.check => if self.on_check(&check) {
                    return Ok(());
                },
            }
        }
    }

    /// Lists everything, and returns the version from which to watch.
    async fn list(&mut self) -> Result<String, Interruption> {
        self.report(Event::Init).await?;
        let mut pages = Pages::new(&self.api);
        let mut version = None;
        loop {
            let page = timeout(PAGE_TIMEOUT, pages.next()).await;
            let page = page.map_err(|_| Interruption::TimedOut(Verb::List, PAGE_TIMEOUT))?;
            let Some(page) = page.map_err(|error| Interruption::Request(Verb::List, error))? else { break };
            version = page.metadata.resource_version.or(version);
            for object in page.items {
                self.see_revision(&object);
                self.report(Event::InitApply(object)).await?;
            }
        }
        let version = version.filter(|version| !version.is_empty()).ok_or(Interruption::NoVersion)?;
        self.report(Event::InitDone).await?;
        self.reporter.listed();
        Ok(version)
    }

    async fn on_event(&mut self, event: WatchEvent<K>) -> Result<(), Interruption> {
        let event = match event {
            WatchEvent::Added(object) | WatchEvent::Modified(object) => Event::Apply(object),
            WatchEvent::Deleted(object) => Event::Delete(object),
            WatchEvent::Bookmark(bookmark) => {
                self.version = Some(bookmark.metadata.resource_version);
                self.succeed();
                return Ok(());
            }
            WatchEvent::Error(status) => {
                return Err(Interruption::Request(Verb::Watch, kube::Error::Api(status)));
            }
        };
        if let Event::Apply(object) | Event::Delete(object) = &event {
            self.see_revision(object);
            // Objects of an API server always have a version; without one, everything is listed.
            self.version = object.resource_version().filter(|version| !version.is_empty());
        }
        self.succeed();
        self.report(event).await
    }

    /// Ends a row of failures.
    fn succeed(&mut self) {
        self.failures = 0;
        self.logged_at = None;
    }

    fn see_revision(&mut self, object: &K) {
        let revision = object.resource_version().and_then(|version| version.parse().ok());
        self.highest = self.highest.max(revision.unwrap_or_default());
    }

    /// Returns true when everything must be listed.
    fn on_check(&mut self, result: &Check) -> bool {
        let mut restored = false;
        self.check = match *result {
            Check::Due => check(self.api.clone(), self.highest).boxed(),
            Check::Failed => delay(CHECK_SOON),
            Check::Revision { revision, highest } => {
                restored = revision < highest;
                if restored {
                    let watch = self.name();
                    warn!(%watch, revision, highest, "resourceVersion moved backwards (etcd restored?); relisting");
                    self.version = None;
                    self.highest = 0;
                }
                self.highest = self.highest.max(revision);
                delay(CHECK_INTERVAL)
            }
        };
        restored
    }

    async fn report_works(&mut self, now: Instant) -> Result<(), Interruption> {
        self.worked_at = Some(now);
        let Some(interrupted) = self.reporter.works(now) else { return Ok(()) };
        if std::mem::take(&mut self.is_announced) {
            info!(watch = %self.name(), seconds = interrupted.as_secs(), "watch works again");
        }
        self.reports.send(Report::Restored).await.map_err(|_| Interruption::Stopped)
    }

    fn report_failure(&mut self, interruption: &Interruption) {
        self.reporter.failed(interruption.failure(), self.worked_at);
        let now = now();
        if self.logged_at.is_none_or(|logged| now.duration_since(logged) >= LOG_INTERVAL) {
            self.logged_at = Some(now);
            self.is_announced = true;
            // A person may have to know why changes are not seen.
            warn!(watch = %self.name(), error = %interruption, "watch interrupted; retrying");
        }
    }

    async fn report(&mut self, event: Event<K>) -> Result<(), Interruption> {
        self.reports.send(Report::Event(event)).await.map_err(|_| Interruption::Stopped)
    }

    /// The resource and the namespace, for the log.
    fn name(&self) -> String {
        let state = self.reporter.state();
        let namespace = state.as_ref().and_then(|state| state.namespace.as_deref()).unwrap_or("*");
        format!("{} in {namespace}", state.as_ref().map_or("", |state| state.resource))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::StreamExt;
    use http_body_util::StreamBody;
    use hyper::body::{Bytes, Frame};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::Client;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::super::state::WatchStates;
    use super::*;

    /// An API server that answers as `responses` says, each time with the request's time and whether it is a watch.
    #[derive(Clone)]
    struct Server {
        started: tokio::time::Instant,
        requests: Arc<Mutex<Vec<(Duration, Verb)>>>,
    }

    /// A status code and the lines of the body.
    type Response = (u16, Vec<Value>);

    impl Server {
        fn new() -> Self {
            Self { started: tokio::time::Instant::now(), requests: Arc::default() }
        }

        fn client(
            &self,
            respond: impl Fn(Duration, Verb) -> Response + Clone + Send + Sync + 'static,
        ) -> Client {
            let server = self.clone();
            let service = service_fn(move |request: hyper::Request<Body>| {
                let (server, respond) = (server.clone(), respond.clone());
                async move {
                    let query = request.uri().query().unwrap_or_default();
                    let verb = if query.contains("watch=true") { Verb::Watch } else { Verb::List };
                    let time = server.started.elapsed();
                    let is_check = query.contains("limit=1&") || query.ends_with("limit=1");
                    if !is_check {
                        server.requests.lock().unwrap().push((time, verb));
                    }
                    let (code, lines) = respond(time, verb);
                    let lines: Vec<_> = lines.iter().map(Value::to_string).collect();
                    let text = lines.join("\n");
                    let is_open = verb == Verb::Watch && code == 200;
                    // The API server ends a watch after its time.
                    let open = if is_open { u64::from(WATCH_SECONDS) } else { 0 };
                    let end = sleep(Duration::from_secs(open));
                    let frame = move |()| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(text)));
                    let body = StreamBody::new(end.map(frame).into_stream().boxed());
                    let mut response = hyper::Response::new(body);
                    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap();
                    Ok::<_, std::convert::Infallible>(response)
                }
            });
            Client::new(service, "voice")
        }

        fn requests(&self, verb: Verb) -> Vec<Duration> {
            let requests = self.requests.lock().unwrap();
            requests.iter().filter(|(_, of)| *of == verb).map(|(time, _)| *time).collect()
        }
    }

    fn list() -> Response {
        (200, vec![json!({ "metadata": { "resourceVersion": "7" }, "items": [] })])
    }

    fn refused(code: u16) -> Response {
        (code, vec![json!({ "status": "Failure", "code": code, "reason": "Test", "message": "no" })])
    }

    /// Runs a watch for this long, in virtual time.
    async fn run(client: Client, states: &WatchStates, time: Duration) {
        let (sender, mut reports) = mpsc::channel(8);
        let watch = watch(Api::<ConfigMap>::all(client), states.add("configmaps", None), sender);
        let taking = async { while reports.recv().await.is_some() {} };
        tokio::select! {
            () = watch => {}
            () = taking => {}
            () = sleep(time) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_api_server_that_is_back_after_minutes_is_noticed_within_three_seconds() {
        let back = Duration::from_secs(600);
        let server = Server::new();
        let client = server.client(move |time, verb| match verb {
            _ if time < back => refused(503),
            Verb::List => list(),
            Verb::Watch => (200, Vec::new()),
        });
        let states = WatchStates::default();

        run(client, &states, back + Duration::from_secs(5)).await;

        let noticed = server.requests(Verb::Watch)[0].abs_diff(back);
        assert!(noticed < Duration::from_secs(3), "{noticed:?}");
        assert!(states.all()[0].is_working());
        assert!(server.requests(Verb::List).len() < 1000, "it is not asked in a hot loop");
    }

    #[tokio::test(start_paused = true)]
    async fn an_expired_version_is_followed_by_a_list_at_once_and_a_second_one_after_a_delay() {
        let server = Server::new();
        let client = server.client(|_, verb| match verb {
            Verb::List => list(),
            Verb::Watch => refused(410),
        });

        run(client, &WatchStates::default(), Duration::from_secs(60)).await;

        let lists = server.requests(Verb::List);
        assert_eq!(lists[1].abs_diff(lists[0]), Duration::ZERO);
        assert!(lists[2].abs_diff(lists[1]) >= FIRST_DELAY / 2, "{lists:?}");
        assert!(lists.len() < 200, "{}", lists.len());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_ends_the_backoff() {
        let server = Server::new();
        let up = Duration::from_secs(60)..Duration::from_secs(90);
        let client = server.client(move |time, verb| match verb {
            Verb::List if up.contains(&time) => list(),
            Verb::Watch if up.contains(&time) => (200, Vec::new()),
            _ => refused(500),
        });

        run(client, &WatchStates::default(), Duration::from_secs(100)).await;

        // The watch ends after its time, in which the API server went away.
        let watches = server.requests(Verb::Watch);
        assert!(watches[2].abs_diff(watches[1]) <= FIRST_DELAY * 3 / 2, "{watches:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_of_a_proxy_in_place_of_a_list_is_no_empty_list() {
        let server = Server::new();
        let client = server.client(|_, _| (404, vec![json!("<html>nothing here</html>")]));
        let states = WatchStates::default();
        let (sender, mut reports) = mpsc::channel(8);
        let watch = watch(Api::<ConfigMap>::all(client), states.add("configmaps", None), sender);
        let taking = async {
            while let Some(report) = reports.recv().await {
                assert!(matches!(report, Report::Event(Event::Init)), "{report:?}");
            }
        };
        tokio::select! {
            () = watch => {}
            () = taking => {}
            () = sleep(Duration::from_secs(60)) => {}
        }
        let failure = states.all()[0].failure.clone().unwrap();
        assert!(!failure.is_refusal(), "the page of a proxy says nothing about the request");
        assert!(!failure.message.contains('<'), "{}", failure.message);
    }
}
