//! Events: what a person would want to know, told in a place of its own, so that neither a publish nor a status ever
//! waits for one. What was told already is told again as a series of the same event, as the API means it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::{Event, EventSeries};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::timeout;
use tracing::debug;

use super::context::Context;
use super::state::Note;
use crate::domain::status::truncate_message;
use crate::domain::{ResourceName, Uid};

/// Who says so, whichever replica it is.
const CONTROLLER: &str = "runtime-operator";
/// The longest note that the events API takes, in bytes.
const LONGEST_NOTE: usize = 1000;
/// How many wait to be written at most: where more happens for long than the API server takes, the rest is not told.
pub const PENDING: usize = 16_384;
/// How many are written at once; one while statuses wait, which need the same API server.
const AT_ONCE: usize = 8;
/// For how long the same is told again as a series.
const SERIES: Duration = Duration::from_secs(360);
/// How long a clean stop writes what is left: whoever takes over waits for it.
const REST_WITHIN: Duration = Duration::from_millis(500);
/// Of how many events it is remembered that they were told.
const REMEMBERED: usize = 1024;

/// Which object an event is about. Most of it is shared with the index: many events may wait.
#[derive(Clone, Debug)]
pub struct About {
    /// As in `v1`, with its group.
    pub api_version: Cow<'static, str>,
    /// `CamelCase`.
    pub kind: Cow<'static, str>,
    /// The event is in the same namespace.
    pub name: ResourceName,
    /// None where it isn't known.
    pub uid: Option<Uid>,
    /// `metadata.resourceVersion` of what was looked at, if it was.
    pub version: Option<Box<str>>,
}

impl From<&About> for ObjectReference {
    fn from(about: &About) -> Self {
        Self {
            api_version: Some(about.api_version.to_string()),
            kind: Some(about.kind.to_string()),
            namespace: Some(about.name.namespace.to_string()),
            name: Some(about.name.name.to_string()),
            uid: about.uid.as_ref().map(ToString::to_string),
            resource_version: about.version.as_ref().map(ToString::to_string),
            ..Self::default()
        }
    }
}

/// An event that is to be written.
#[derive(Debug)]
pub struct Told {
    about: About,
    action: &'static str,
    note: Note,
    when: Timestamp,
}

impl Told {
    /// Something that happened just now to `about`, when this was done (`CamelCase`).
    pub fn now(about: About, action: &'static str, note: Note) -> Self {
        Self { about, action, note, when: Timestamp::now() }
    }
}

/// Writes events.
pub struct Events {
    client: Client,
    identity: String,
    recent: Mutex<Recent>,
}

impl Events {
    /// Events from the replica of this name.
    pub fn new(client: Client, identity: String) -> Self {
        Self { client, identity, recent: Mutex::default() }
    }

    /// Writes one.
    pub async fn write(&self, told: &Told) -> Result<(), kube::Error> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), &told.about.name.namespace);
        let now = Instant::now();
        let key = Key::of(told);
        let again = self.recent().again(&key, now);
        if let Some((name, count)) = again {
            let series = EventSeries { count, last_observed_time: MicroTime(told.when) };
            let patch = Patch::Merge(json!({ "series": series }));
            match events.patch(&name, &PatchParams::default(), &patch).await {
                // Events fade.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(drop),
            }
        }
        let event = self.event(told);
        let name = event.metadata.name.clone().unwrap_or_default();
        events.create(&PostParams::default(), &event).await?;
        self.recent().told(key, name, now);
        Ok(())
    }

    fn event(&self, told: &Told) -> Event {
        let Told { about, action, note, when } = told;
        // What was told of one resource in one moment has names of its own.
        let now = Timestamp::now();
        Event {
            action: Some((*action).to_owned()),
            event_time: Some(MicroTime(*when)),
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", about.name.name, now.as_nanosecond())),
                namespace: Some(about.name.namespace.to_string()),
                ..ObjectMeta::default()
            },
            note: Some(truncate_message(note.message.clone(), LONGEST_NOTE)),
            reason: Some(note.reason.to_owned()),
            regarding: Some(about.into()),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.identity.clone()),
            type_: Some(if note.warning { "Warning" } else { "Normal" }.to_owned()),
            ..Event::default()
        }
    }

    fn recent(&self) -> std::sync::MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has one written, unless far too many wait: what it tells of is in the status, too.
pub fn write_later(ctx: &Context, told: Told) {
    // The queue is closed only when the process is about to end.
    if let Err(TrySendError::Full(told)) = ctx.told.try_send(told) {
        debug!(about = %told.about.name, reason = told.note.reason, "event not written, so many wait");
    }
}

/// Writes what is in the queue until `stop` is done.
pub async fn write_all(ctx: &Context, queue: &mut Receiver<Told>, stop: impl Future<Output = ()>) {
    write_each(ctx, stream::poll_fn(|cx| queue.poll_recv(cx)).take_until(stop)).await;
}

/// Writes what is left in the queue, to which nothing is added any more.
pub async fn write_rest(ctx: &Context, queue: &mut Receiver<Told>) {
    queue.close();
    let rest = stream::poll_fn(|cx| queue.poll_recv(cx));
    if timeout(REST_WITHIN, write_each(ctx, rest)).await.is_err() {
        debug!("stopped with events left that nobody will be told");
    }
}

async fn write_each(ctx: &Context, queue: impl Stream<Item = Told>) {
    queue
        .for_each_concurrent(AT_ONCE, |told| {
            async move {
                let _turn = ctx.rush.after_statuses().await;
                if let Err(error) = ctx.events.write(&told).await {
                    // An event is for a person who may never look; nothing else hangs on it.
                    debug!(about = %told.about.name, reason = told.note.reason, %error, "event not written");
                }
            }
            .boxed()
        })
        .await;
}

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: Option<Uid>,
    name: ResourceName,
    reason: &'static str,
    message: String,
}

impl Key {
    fn of(told: &Told) -> Self {
        Self {
            uid: told.about.uid.clone(),
            name: told.about.name.clone(),
            reason: told.note.reason,
            message: told.note.message.clone(),
        }
    }
}

/// What was told lately.
#[derive(Debug, Default)]
struct Recent {
    told: HashMap<Key, (String, i32)>,
    order: VecDeque<(Instant, Key)>,
}

impl Recent {
    /// The name of the same event where it was told lately, and how often it was by now.
    fn again(&mut self, key: &Key, now: Instant) -> Option<(String, i32)> {
        while let Some((when, _)) = self.order.front()
            && (now.duration_since(*when) > SERIES || self.order.len() > REMEMBERED)
        {
            self.forget_oldest();
        }
        let (name, count) = self.told.get_mut(key)?;
        *count += 1;
        Some((name.clone(), *count))
    }

    fn told(&mut self, key: Key, name: String, now: Instant) {
        if self.told.insert(key.clone(), (name, 1)).is_none() {
            self.order.push_back((now, key));
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.order.pop_front() {
            self.told.remove(&key);
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
    fn only_the_same_words_lately_told_make_a_series() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        assert_eq!(recent.again(&key("1 number live"), now), None);
        recent.told(key("1 number live"), "acme.1".to_owned(), now);
        assert_eq!(recent.again(&key("2 numbers live"), now), None, "other words are another event");
        assert_eq!(recent.again(&key("1 number live"), now), Some(("acme.1".to_owned(), 2)));
        assert_eq!(recent.again(&key("1 number live"), now), Some(("acme.1".to_owned(), 3)));
        let later = now + SERIES + Duration::from_secs(1);
        assert_eq!(recent.again(&key("1 number live"), later), None);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        for n in 0..3 * REMEMBERED {
            let key = key(&n.to_string());
            recent.again(&key, now);
            recent.told(key, n.to_string(), now);
        }
        assert!(recent.told.len() <= REMEMBERED + 1, "{}", recent.told.len());
        assert_eq!(recent.order.len(), recent.told.len());
    }
}
