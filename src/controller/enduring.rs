//! A watch that begins anew when the store behind the API server went back in time.
//!
//! An etcd that was restored from a snapshot counts on from an older revision. A watch that is taken up from a later one
//! is answered with silence until the store has come so far again, since the API server drops what is not newer; neither
//! it nor kube notices. So the store's revision is asked for now and then, and soon after each interruption.

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

use super::error::with_causes;

/// How long the API server keeps a watch before it ends it, in seconds; then it is taken up where it ended. A watch
/// that does not end in time is dead, and is noticed [5 s later](watcher::Config::timeout): the default of 290 s would
/// leave changes unseen for as long.
const WATCH_FOR: u32 = 30;
/// How long a connection of a watch may say nothing: longer than a watch lasts.
pub const WATCH_SILENCE: Duration = Duration::from_secs(40);
/// How often the store's revision is asked for ...
const ASK_EVERY: Duration = Duration::from_secs(60);
/// ... and how soon after an interruption: a store is not restored under API servers that run.
const ASK_SOON: Duration = Duration::from_secs(1);

/// Everything of a kind, listed and then followed; listed again whenever what was followed may not be true any more.
pub fn watch<K>(api: Api<K>, what: &'static str) -> impl Stream<Item = Event<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let enduring = Enduring { watch: begin(&api), api, what, highest: 0, check: wait(ASK_EVERY) };
    stream::unfold(enduring, |mut enduring| async move { Some((enduring.next().await?, enduring)) })
}

struct Enduring<K> {
    api: Api<K>,
    what: &'static str,
    watch: BoxStream<'static, Result<Event<K>, watcher::Error>>,
    /// The highest revision that was seen.
    highest: u64,
    check: BoxFuture<'static, Checked>,
}

/// What came of waiting for the next question, or of asking it.
enum Checked {
    Due,
    /// The store is at this revision, asked for when that was the highest seen.
    Is {
        revision: u64,
        highest: u64,
    },
    NoAnswer,
}

fn begin<K>(api: &Api<K>) -> BoxStream<'static, Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let config = watcher::Config::default().timeout(WATCH_FOR);
    watcher::watcher(api.clone(), config).default_backoff().boxed()
}

fn wait(time: Duration) -> BoxFuture<'static, Checked> {
    sleep(time).map(|()| Checked::Due).boxed()
}

/// A list without a version is answered from what is stored now, by any API server.
async fn ask<K: Clone + DeserializeOwned + Debug>(api: Api<K>, highest: u64) -> Checked {
    let list = api.list(&ListParams::default().limit(1)).await;
    let revision = list.ok().and_then(|list| list.metadata.resource_version?.parse().ok());
    revision.map_or(Checked::NoAnswer, |revision| Checked::Is { revision, highest })
}

impl<K> Enduring<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn next(&mut self) -> Option<Event<K>> {
        loop {
            tokio::select! {
                event = self.watch.next() => match event? {
                    Ok(event) => {
                        self.note(&event);
                        return Some(event);
                    }
                    Err(error) => {
                        // It repairs itself; a person may have to know why it had to.
                        let error = with_causes(&error);
                        warn!(what = self.what, error, "the watch is interrupted, and is tried again");
                        self.check = wait(ASK_SOON);
                    }
                },
                checked = &mut self.check => self.heed(&checked),
            }
        }
    }

    fn note(&mut self, event: &Event<K>) {
        if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = event {
            let revision = object.resource_version().and_then(|version| version.parse().ok());
            self.highest = self.highest.max(revision.unwrap_or_default());
        }
    }

    fn heed(&mut self, checked: &Checked) {
        self.check = match *checked {
            Checked::Due => ask(self.api.clone(), self.highest).boxed(),
            Checked::NoAnswer => wait(ASK_SOON),
            Checked::Is { revision, highest } => {
                if revision < highest {
                    warn!(
                        what = self.what,
                        revision, highest, "the store went back in time: all is listed again"
                    );
                    self.watch = begin(&self.api);
                    self.highest = 0;
                }
                self.highest = self.highest.max(revision);
                wait(ASK_EVERY)
            }
        };
    }
}
