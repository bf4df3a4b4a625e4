//! Writes Kubernetes Events from a queue of their own, so that no publish or status waits for one. Equal events within six
//! minutes become one event with a `series`.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;
use tracing::debug;

use super::super::queue::{WritePriority, hold_while};
use super::super::refusal::is_not_found;
use crate::domain::event::EventDraft;
use crate::domain::status::truncate_message;
use crate::domain::{ResourceName, Uid};
use crate::leader::Writer;
use crate::telemetry::api_server_cause;

/// `reportingController`, the same for every replica.
const CONTROLLER: &str = "runtime-operator";
/// The longest note that the events API accepts, in bytes.
const MAX_NOTE_BYTES: usize = 1000;
/// The longest name of an object, in bytes.
const MAX_NAME_BYTES: usize = 253;
/// The longest `reportingInstance` that the events API accepts, in bytes.
const MAX_INSTANCE_BYTES: usize = 128;
/// The hexadecimal digits that distinguish names that are cut.
const HASH_DIGITS: usize = 10;
/// The capacity of the queue: beyond it events are dropped.
pub const QUEUE_CAPACITY: usize = 16_384;
/// The events that are written concurrently; one while statuses are written, which need the same API server.
pub const CONCURRENCY: usize = 8;
/// The time for which equal events become a series.
const SERIES_WINDOW: Duration = Duration::from_secs(360);
/// The time that a clean stop spends on the rest of the queue: the next leader waits for it.
const SHUTDOWN_FLUSH_TIMEOUT: Duration = Duration::from_millis(500);
/// Capacity of the cache of recent events.
const RECENT_EVENTS: usize = 1024;

/// The object that an event regards. Most of it is shared with the index, since many events may be queued.
#[derive(Clone, Debug)]
pub struct Regarding {
    /// The group and version, or the version alone as in `v1`.
    pub api_version: Cow<'static, str>,
    /// The kind, in `CamelCase`.
    pub kind: Cow<'static, str>,
    /// Namespace and name; the event is in the same namespace.
    pub name: ResourceName,
    /// `metadata.uid`, where it is known.
    pub uid: Option<Uid>,
    /// `metadata.resourceVersion` of the reconciled version, if there is one.
    pub resource_version: Option<Box<str>>,
}

impl From<&Regarding> for ObjectReference {
    fn from(regarding: &Regarding) -> Self {
        Self {
            api_version: Some(regarding.api_version.to_string()),
            kind: Some(regarding.kind.to_string()),
            namespace: Some(regarding.name.namespace.to_string()),
            name: Some(regarding.name.name.to_string()),
            uid: regarding.uid.as_ref().map(ToString::to_string),
            resource_version: regarding.resource_version.as_ref().map(ToString::to_string),
            ..Self::default()
        }
    }
}

/// An event that must be written.
#[derive(Debug)]
pub struct PendingEvent {
    regarding: Regarding,
    action: &'static str,
    draft: EventDraft,
    time: Timestamp,
}

impl PendingEvent {
    /// An event of this moment. `action` is what was done, in `CamelCase`.
    #[must_use]
    pub fn now(regarding: Regarding, action: &'static str, draft: EventDraft) -> Self {
        Self { regarding, action, draft, time: Timestamp::now() }
    }
}

/// Takes events for the writer. Enqueueing never waits.
#[derive(Clone, Debug)]
pub struct EventQueue(mpsc::Sender<PendingEvent>);

impl EventQueue {
    /// Enqueues an event; drops it when the queue is full, since the status says the same.
    pub fn enqueue(&self, event: PendingEvent) {
        // The queue is closed only when the process is about to end.
        if let Err(TrySendError::Full(event)) = self.0.try_send(event) {
            let reason = event.draft.reason.as_str();
            debug!(regarding = %event.regarding.name, reason, "event queue full, event dropped");
        }
    }
}

/// Writes the events of a queue.
pub struct EventWriter {
    client: Client,
    /// `reportingInstance`: the replica's name.
    instance: String,
    priority: Arc<WritePriority>,
    /// Says whether this replica may write.
    writer: Writer,
    queue: mpsc::Receiver<PendingEvent>,
    recent: Mutex<RecentEvents>,
}

impl EventWriter {
    /// A writer for the replica of this name, and the queue that feeds it.
    #[must_use]
    pub fn new(
        client: Client,
        instance: String,
        priority: Arc<WritePriority>,
        writer: &Writer,
    ) -> (Self, EventQueue) {
        let writer = writer.clone();
        let (sender, queue) = mpsc::channel(QUEUE_CAPACITY);
        (Self { client, instance, priority, writer, queue, recent: Mutex::default() }, EventQueue(sender))
    }

    /// Writes the queued events until `stop` is done.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) {
        let Self { client, instance, priority, writer, queue, recent } = self;
        let events = stream::poll_fn(|cx| queue.poll_recv(cx)).take_until(stop);
        Sink { client, instance, priority, writer, recent }.write_each(events).await;
    }

    /// Writes the rest of the queue, which takes no more events.
    pub async fn flush(&mut self) {
        let Self { client, instance, priority, writer, queue, recent } = self;
        queue.close();
        let rest = stream::poll_fn(|cx| queue.poll_recv(cx));
        let sink = Sink { client, instance, priority, writer, recent };
        if timeout(SHUTDOWN_FLUSH_TIMEOUT, sink.write_each(rest)).await.is_err() {
            debug!("shutdown: pending events dropped");
        }
    }
}

/// The client, the replica's name and the recent events, with which events are written.
struct Sink<'a> {
    client: &'a Client,
    instance: &'a str,
    priority: &'a WritePriority,
    writer: &'a Writer,
    recent: &'a Mutex<RecentEvents>,
}

impl Sink<'_> {
    async fn write_each(&self, events: impl Stream<Item = PendingEvent>) {
        events
            .for_each_concurrent(CONCURRENCY, |event| {
                async move {
                    let permit = self.priority.event_permit().await;
                    // Right before it is sent: another replica may lead by now, and report the same.
                    if !self.writer.may_write_kubernetes() {
                        return;
                    }
                    if let Err(error) = hold_while(permit, self.write(&event)).await {
                        // Nothing depends on an event.
                        let reason = event.draft.reason.as_str();
                        debug!(regarding = %event.regarding.name, reason, error = api_server_cause(&error), "failed to write event");
                    }
                }
                .boxed()
            })
            .await;
    }

    async fn write(&self, event: &PendingEvent) -> Result<(), kube::Error> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &event.regarding.name.namespace);
        let now = Instant::now();
        let key = Key::of(event);
        let again = self.recent().again(&key, now);
        if let Some((name, count)) = again {
            let series = EventSeries { count, last_observed_time: MicroTime(event.time) };
            let patch = Patch::Merge(json!({ "series": series }));
            match events.patch(&name, &PatchParams::default(), &patch).await {
                // Events expire.
                Err(error) if is_not_found(&error) => {}
                other => return other.map(drop),
            }
        }
        let object = self.object(event);
        let name = object.metadata.name.clone().unwrap_or_default();
        events.create(&PostParams::default(), &object).await?;
        self.recent().insert(key, name, now);
        Ok(())
    }

    fn object(&self, event: &PendingEvent) -> Event {
        let PendingEvent { regarding, action, draft, time } = event;
        // Several events of one resource and moment need names of their own.
        let moment = format!("{:x}", Timestamp::now().as_nanosecond());
        let longest = MAX_NAME_BYTES - 1 - moment.len();
        Event {
            action: Some((*action).to_owned()),
            event_time: Some(MicroTime(*time)),
            metadata: ObjectMeta {
                name: Some(format!("{}.{moment}", shortened(&regarding.name.name, longest))),
                namespace: Some(regarding.name.namespace.to_string()),
                ..ObjectMeta::default()
            },
            note: Some(truncate_message(draft.message.clone(), MAX_NOTE_BYTES)),
            reason: Some(draft.reason.as_str().to_owned()),
            regarding: Some(regarding.into()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(shortened(self.instance, MAX_INSTANCE_BYTES)),
            type_: Some(draft.reason.event_type().as_str().to_owned()),
            ..Event::default()
        }
    }

    fn recent(&self) -> MutexGuard<'_, RecentEvents> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name of at most `longest` bytes: a longer one is cut, and ends with a hash of the whole. Names of objects are ASCII.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let hash = format!("{:x}", Sha256::digest(name));
    let hash = &hash[..HASH_DIGITS];
    let end = (0..=longest - 1 - HASH_DIGITS).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    // A name ends with a letter or a digit, and so must each of its parts between dots.
    let cut = name[..end].trim_end_matches(['.', '-', '_']);
    format!("{cut}-{hash}")
}

/// The fields in which equal events agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: Option<Uid>,
    name: ResourceName,
    reason: &'static str,
    message: String,
}

impl Key {
    fn of(event: &PendingEvent) -> Self {
        Self {
            uid: event.regarding.uid.clone(),
            name: event.regarding.name.clone(),
            reason: event.draft.reason.as_str(),
            message: event.draft.message.clone(),
        }
    }
}

/// The names and counts of recent events.
#[derive(Debug, Default)]
struct RecentEvents {
    written: HashMap<Key, (String, i32)>,
    order: VecDeque<(Instant, Key)>,
}

impl RecentEvents {
    /// The name of an equal recent event, and the number of its occurrences with this one.
    fn again(&mut self, key: &Key, now: Instant) -> Option<(String, i32)> {
        while let Some((time, _)) = self.order.front()
            && (now.duration_since(*time) > SERIES_WINDOW || self.order.len() > RECENT_EVENTS)
        {
            self.remove_oldest();
        }
        let (name, count) = self.written.get_mut(key)?;
        *count += 1;
        Some((name.clone(), *count))
    }

    fn insert(&mut self, key: Key, name: String, now: Instant) {
        if self.written.insert(key.clone(), (name, 1)).is_none() {
            self.order.push_back((now, key));
        }
    }

    fn remove_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.written.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(message: &str) -> Key {
        let (uid, name) = (Some(Uid::from("u")), ResourceName::new("default", "acme"));
        Key { uid, name, reason: "Published", message: message.to_owned() }
    }

    #[test]
    fn equal_recent_events_become_a_series() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        assert_eq!(recent.again(&key("1 number live"), now), None);
        recent.insert(key("1 number live"), "acme.1".to_owned(), now);
        assert_eq!(recent.again(&key("2 numbers live"), now), None, "another message is another event");
        assert_eq!(recent.again(&key("1 number live"), now), Some(("acme.1".to_owned(), 2)));
        assert_eq!(recent.again(&key("1 number live"), now), Some(("acme.1".to_owned(), 3)));
        let later = now + SERIES_WINDOW + Duration::from_secs(1);
        assert_eq!(recent.again(&key("1 number live"), later), None);
    }

    #[test]
    fn a_long_name_is_cut_and_keeps_its_difference() {
        assert_eq!(shortened("acme", 253), "acme");
        let [one, two] = ["a", "b"].map(|end| shortened(&format!("{}.{end}", "x".repeat(240)), 128));
        assert!(one.len() <= 128 && one != two, "{one} {two}");
        let cut = shortened(&format!("{}.{}", "x".repeat(20), "y".repeat(20)), 32);
        assert!(cut.starts_with("xxxxxxxxxxxxxxxxxxxx-") && !cut.contains('.'), "{cut}");
    }

    #[test]
    fn the_cache_of_recent_events_is_bounded() {
        let (mut recent, now) = (RecentEvents::default(), Instant::now());
        for n in 0..3 * RECENT_EVENTS {
            let key = key(&n.to_string());
            recent.again(&key, now);
            recent.insert(key, n.to_string(), now);
        }
        assert!(recent.written.len() <= RECENT_EVENTS + 1, "{}", recent.written.len());
        assert_eq!(recent.order.len(), recent.written.len());
    }
}
