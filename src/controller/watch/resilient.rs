//! A watch that relists after etcd was restored.
//!
//! After a restore from a snapshot the revision moves backwards. A watch that is resumed from a later revision receives
//! nothing until etcd has caught up, since the API server drops what is not newer; neither it nor kube notices. So the
//! present revision is checked now and then, and soon after each interruption.

use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use kube::api::ListParams;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::warn;

use crate::telemetry::with_causes;

/// The seconds after which the API server ends a watch; it is resumed then. A watch that does not end in time is dead, and
/// is noticed [5 s later](watcher::Config::timeout): the default of 290 s would hide changes for that long.
const WATCH_SECONDS: u32 = 30;
/// The time for which a connection of a watch may be silent: longer than a watch lasts.
pub const WATCH_SILENCE: Duration = Duration::from_secs(40);
/// The interval at which the revision is checked ...
const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// ... and the delay after an interruption: no etcd is restored under running API servers.
const CHECK_SOON: Duration = Duration::from_secs(1);

/// Lists and watches all objects of a kind, and lists them again whenever the watch may miss changes.
pub fn watch<K>(api: Api<K>, kind: &'static str) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let watch = ResilientWatch { watch: start(&api), api, kind, highest: 0, check: delay(CHECK_INTERVAL) };
    stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) })
}

struct ResilientWatch<K> {
    api: Api<K>,
    kind: &'static str,
    watch: BoxStream<'static, Result<Event<K>, watcher::Error>>,
    /// The highest revision that was seen.
    highest: u64,
    check: BoxFuture<'static, Check>,
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

fn start<K>(api: &Api<K>) -> BoxStream<'static, Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    watcher::watcher(api.clone(), config).default_backoff().boxed()
}

fn delay(time: Duration) -> BoxFuture<'static, Check> {
    sleep(time).map(|()| Check::Due).boxed()
}

/// Reads the present revision: every API server answers a list without a version from etcd.
async fn check<K: Clone + DeserializeOwned + Debug>(api: Api<K>, highest: u64) -> Check {
    let list = api.list(&ListParams::default().limit(1)).await;
    let revision = list.ok().and_then(|list| list.metadata.resource_version?.parse().ok());
    revision.map_or(Check::Failed, |revision| Check::Revision { revision, highest })
}

impl<K> ResilientWatch<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(&mut self) -> Option<Event<K>> {
        loop {
            tokio::select! {
                event = self.watch.next() => match event? {
                    Ok(event) => {
                        self.see_revision(&event);
                        return Some(event);
                    }
                    Err(error) => {
                        // The watcher retries; a person may have to know why it had to.
                        warn!(kind = self.kind, error = with_causes(&error), "watch failed, retrying");
                        self.check = delay(CHECK_SOON);
                    }
                },
                check = &mut self.check => self.on_check(&check),
            }
        }
    }

    fn see_revision(&mut self, event: &Event<K>) {
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = event {
            let revision = object.resource_version().and_then(|version| version.parse().ok());
            self.highest = self.highest.max(revision.unwrap_or_default());
        }
    }

    fn on_check(&mut self, result: &Check) {
        self.check = match *result {
            Check::Due => check(self.api.clone(), self.highest).boxed(),
            Check::Failed => delay(CHECK_SOON),
            Check::Revision { revision, highest } => {
                if revision < highest {
                    warn!(
                        kind = self.kind,
                        revision, highest, "resourceVersion moved backwards (etcd restored?); relisting"
                    );
                    self.watch = start(&self.api);
                    self.highest = 0;
                }
                self.highest = self.highest.max(revision);
                delay(CHECK_INTERVAL)
            }
        };
    }
}
