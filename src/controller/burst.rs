//! Many Secrets wanted at once (Redis lost everything, or is new) are listed in pages, not read one by one. Each page says
//! whose turn it is: those are looked at whose Secrets it brought, and what it brought lives only as long as their looks.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{AsyncReadExt, Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::{ListMeta, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{debug, info};

use super::context::Context;
use super::secrets::{SecretValue, Version};
use crate::domain::{ResourceName, Uid};

/// So many Secrets of one namespace have to be wanted ...
const MANY: usize = 16;
/// ... which are at least this share of all that are there: those of others come along with a list.
const SHARE: usize = 2;
/// How many Secrets the first page has; the size of these says how many the next ones may have.
const FIRST_PAGE: u32 = 100;
/// How many a page has at most.
const LARGEST_PAGE: usize = 500;
/// How many bytes a page is meant to have ...
const PAGE_BYTES: usize = 1 << 20;
/// ... and has at most. Secrets that are so large are read one by one.
const MOST_BYTES: u64 = 8 << 20;
/// How many namespaces are listed at once.
const NAMESPACES: usize = 4;
/// How long a page may take. What is not listed is read.
const PAGE_WITHIN: Duration = Duration::from_secs(10);
/// How long what was listed waits for the looks that it is for, while none of them comes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those of one namespace who wait for a Secret, by its name.
type Users = HashMap<String, Vec<Uid>>;

/// Who waits for a Secret, by namespace.
pub struct Wanted(HashMap<String, Users>);

/// Secrets that were listed for looks which are about to begin.
#[derive(Default)]
pub struct Hand {
    held: Mutex<HashMap<Uid, Arc<SecretValue>>>,
    taken: Notify,
}

impl Hand {
    fn held(&self) -> MutexGuard<'_, HashMap<Uid, Arc<SecretValue>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was listed for a look at `uid`, if it is this version of this Secret.
    pub fn take(&self, uid: &Uid, secret: &ResourceName, version: &Version) -> Option<Arc<SecretValue>> {
        let held = self.held().remove(uid)?;
        self.taken.notify_waiters();
        Some(held).filter(|held| held.is(&secret.name, version))
    }

    /// A look at `uid` is over: nothing is kept for it.
    pub fn done(&self, uid: &Uid) {
        if self.held().remove(uid).is_some() {
            self.taken.notify_waiters();
        }
    }

    fn give(&self, uid: Uid, secret: Arc<SecretValue>) {
        self.held().insert(uid, secret);
    }

    /// Waits until no more than `most` are held, and gives up what nobody came for.
    async fn wait_for_room(&self, most: usize) {
        loop {
            let mut taken = pin!(self.taken.notified());
            // What is taken from here on is noticed.
            taken.as_mut().enable();
            if self.held().len() <= most {
                return;
            }
            if timeout(PATIENCE, taken).await.is_err() {
                self.held().clear();
            }
        }
    }
}

/// Has everything looked at: at once, but for those whose Secrets are listed before.
pub fn look_at_all(ctx: &Context) {
    let (now, wanted) = split(ctx);
    ctx.look_at(&now);
    // The queue is closed only when the process is about to end.
    drop(ctx.bursts.unbounded_send(wanted));
}

/// Tells those who can be looked at now from those for whom a list is worth it.
fn split(ctx: &Context) -> (Vec<Uid>, Wanted) {
    let state = ctx.state();
    let (mut now, mut by_namespace) = (Vec::new(), HashMap::<String, Users>::new());
    for (uid, entry) in state.entries() {
        let secret = state.secrets.used_by(uid).filter(|_| !entry.gone);
        let version = secret.and_then(|secret| state.secrets.version(secret));
        let published = |version: &Version| {
            let record = entry.record.as_ref().filter(|_| entry.verified);
            record.is_some_and(|record| record.secret == ctx.recorded(version.clone()))
        };
        match secret.filter(|_| version.is_some_and(|version| !published(version))) {
            Some(secret) => {
                let users = by_namespace.entry(secret.namespace.to_string()).or_default();
                users.entry(secret.name.to_string()).or_default().push(uid.clone());
            }
            None => now.push(uid.clone()),
        }
    }
    let there = state.secrets.count_by_namespace();
    let worth_it = |namespace: &String, wanted: usize| {
        wanted >= MANY && wanted * SHARE >= there.get(namespace.as_str()).copied().unwrap_or_default()
    };
    let (listed, read): (HashMap<_, _>, HashMap<_, _>) =
        by_namespace.into_iter().partition(|(namespace, users)| worth_it(namespace, users.len()));
    now.extend(read.into_values().flat_map(HashMap::into_values).flatten());
    (now, Wanted(listed))
}

/// Lists what is wanted, as long as nothing else is: whoever asks anew knows better who wants what.
pub async fn run(ctx: &Context, queue: impl Stream<Item = Wanted>) {
    let mut queue = pin!(queue);
    let mut next = queue.next().await;
    while let Some(Wanted(namespaces)) = next.take() {
        let bursts = stream::iter(namespaces).map(|(namespace, users)| Burst { ctx, namespace, users });
        let listing = async {
            bursts.for_each_concurrent(NAMESPACES, Burst::run).await;
            ctx.hand.wait_for_room(0).await;
        };
        next = tokio::select! {
            () = listing => queue.next().await,
            newer = queue.next() => newer,
        };
    }
}

struct Burst<'a> {
    ctx: &'a Context,
    namespace: String,
    users: Users,
}

impl Burst<'_> {
    async fn run(mut self) {
        info!(
            namespace = self.namespace,
            wanted = self.users.len(),
            "Secrets are listed, so many are wanted"
        );
        let mut params = ListParams::default().limit(FIRST_PAGE);
        loop {
            let page = read_page(&self.ctx.client, &self.namespace, &params);
            let page = match timeout(PAGE_WITHIN, page).await.unwrap_or(Err(ListError::TooSlow)) {
                Ok(page) => page,
                Err(error) => {
                    debug!(namespace = self.namespace, %error, "Secrets are not listed");
                    break;
                }
            };
            let Page { metadata, items, bytes } = page;
            let size = bytes / items.len().max(1) + 1;
            self.hand_out(items);
            match metadata.continue_.filter(|token| !token.is_empty()) {
                // When it leads again, everything is looked at.
                Some(_) if self.ctx.epoch().is_err() => return,
                Some(token) if !self.users.is_empty() => {
                    let limit = u32::try_from((PAGE_BYTES / size).clamp(1, LARGEST_PAGE)).unwrap_or(1);
                    params = ListParams::default().limit(limit).continue_token(&token);
                }
                _ => break,
            }
            self.ctx.hand.wait_for_room(LARGEST_PAGE).await;
        }
        // Who is not among them reads what is there by now.
        self.ctx.look_at(self.users.values().flatten());
    }

    /// Has those looked at who wait for these.
    fn hand_out(&mut self, secrets: Vec<SecretValue>) {
        let mut turn = Vec::new();
        for secret in secrets {
            let Some(users) = self.users.remove(secret.name()) else { continue };
            let secret = Arc::new(secret);
            for uid in users {
                self.ctx.hand.give(uid.clone(), Arc::clone(&secret));
                turn.push(uid);
            }
        }
        self.ctx.look_at(&turn);
    }
}

/// A page of a list. Never printed: it holds values.
#[derive(Deserialize)]
struct Page {
    metadata: ListMeta,
    items: Vec<SecretValue>,
    #[serde(skip)]
    bytes: usize,
}

/// Why Secrets are not listed.
#[derive(Debug, Error)]
enum ListError {
    #[error(transparent)]
    Refused(#[from] kube::Error),
    #[error(transparent)]
    Read(#[from] std::io::Error),
    #[error("they are too large")]
    TooLarge,
    #[error("it takes too long")]
    TooSlow,
}

async fn read_page(client: &Client, namespace: &str, params: &ListParams) -> Result<Page, ListError> {
    let url = Secret::url_path(&(), Some(namespace));
    let request = Request::new(url).list(params).map_err(kube::Error::BuildRequest)?;
    let mut text = Vec::new();
    let read = client.request_stream(request).await?.take(MOST_BYTES + 1).read_to_end(&mut text).await?;
    if u64::try_from(read).unwrap_or(u64::MAX) > MOST_BYTES {
        return Err(ListError::TooLarge);
    }
    let page: Page = serde_json::from_slice(&text).map_err(kube::Error::SerdeError)?;
    Ok(Page { bytes: read, ..page })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use serde_json::json;

    use super::*;

    fn listed(version: &str) -> Arc<SecretValue> {
        let metadata =
            json!({ "name": "hook", "uid": "s", "resourceVersion": version, "managedFields": [{}] });
        Arc::new(serde_json::from_value(json!({ "metadata": metadata, "data": { "key": "djE=" } })).unwrap())
    }

    #[test]
    fn only_the_version_that_is_known_to_be_the_newest_is_handed_over_and_once() {
        let (hand, uid, hook) = (Hand::default(), Uid::from("u"), ResourceName::new("ns", "hook"));
        hand.give(uid.clone(), listed("1"));
        assert!(hand.take(&uid, &hook, &"s/2".to_owned()).is_none(), "it was rotated since it was listed");
        assert!(hand.take(&uid, &hook, &"s/1".to_owned()).is_none(), "what was no use is not kept");
        hand.give(uid.clone(), listed("2"));
        assert!(hand.take(&uid, &ResourceName::new("ns", "other"), &"s/2".to_owned()).is_none());
        hand.give(uid.clone(), listed("2"));
        assert!(hand.take(&uid, &hook, &"s/2".to_owned()).is_some());
        assert!(hand.take(&uid, &hook, &"s/2".to_owned()).is_none());
    }

    #[test]
    fn nothing_is_kept_for_a_look_that_is_over() {
        let (hand, uid) = (Hand::default(), Uid::from("u"));
        hand.give(uid.clone(), listed("1"));
        let mut room = pin!(hand.wait_for_room(0));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _inside = runtime.enter();
        assert!(room.as_mut().now_or_never().is_none());
        hand.done(&uid);
        assert!(room.now_or_never().is_some());
        assert!(hand.held().is_empty());
    }
}
