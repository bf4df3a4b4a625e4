//! Prefetches Secrets with paged lists when many tenants need theirs together: Redis lost everything, or is new. Each page
//! enqueues the tenants whose Secrets it contains; a value is dropped once its tenant was reconciled.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::{ListMeta, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use thiserror::Error;
use tokio::time::timeout;
use tracing::{debug, info};

use super::super::bounded::{self, Bounded};
use super::read::SecretValue;
use super::reader::SecretReader;
use crate::controller::queue::{Namespace, WorkQueue, change_span};
use crate::domain::Uid;
use crate::domain::index::SecretUsers;
use crate::leader::Writer;

/// The Secrets of the first page; their size determines how many the next ones may have.
const FIRST_PAGE: u32 = 100;
/// The maximum number of Secrets of a page.
const LARGEST_PAGE: usize = 500;
/// The intended bytes of a page. Secrets of one that is cut off are read one by one.
const PAGE_BYTES: usize = 1 << 20;
/// The longest values of a Secret that are held until its tenants are reconciled.
pub const MAX_HELD_VALUES: usize = 64 << 10;
/// The namespaces that are listed concurrently.
const NAMESPACE_CONCURRENCY: usize = 4;
/// The timeout of a page. Secrets that are not listed are read.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The tenants that wait for a Secret, by namespace.
pub struct PrefetchPlan(pub HashMap<String, SecretUsers>);

/// Lists Secrets as plans say, one plan at a time.
pub struct SecretPrefetch {
    /// The client for the lists.
    pub client: Client,
    /// The reader that takes the listed values.
    pub reader: SecretReader,
    /// The queue of the tenants whose Secrets were listed.
    pub reconciles: Arc<WorkQueue<Uid>>,
    /// The writer state: when this replica stops writing, nothing is listed any more.
    pub writer: Writer,
}

impl SecretPrefetch {
    /// Runs one plan at a time; a newer plan replaces the one under way.
    pub async fn run(&self, plans: impl Stream<Item = PrefetchPlan>) {
        let mut plans = pin!(plans);
        let mut next = plans.next().await;
        while let Some(PrefetchPlan(namespaces)) = next.take() {
            let prefetches = stream::iter(namespaces).map(|(namespace, users)| NamespacePrefetch {
                prefetch: self,
                namespace,
                users,
            });
            let listing = async {
                prefetches.for_each_concurrent(NAMESPACE_CONCURRENCY, NamespacePrefetch::run).await;
                self.reader.prefetched.wait_until_at_most(0).await;
            };
            next = tokio::select! {
                () = listing => plans.next().await,
                newer = plans.next() => newer,
            };
        }
    }

    fn enqueue(&self, namespace: &str, uids: impl IntoIterator<Item = Uid>) {
        let namespace: Namespace = namespace.into();
        self.reconciles.enqueue_all(uids.into_iter().map(|uid| (Arc::clone(&namespace), uid)), change_span);
    }
}

/// The prefetch of one namespace, with the tenants whose Secret no page has contained yet.
struct NamespacePrefetch<'a> {
    prefetch: &'a SecretPrefetch,
    namespace: String,
    users: SecretUsers,
}

impl NamespacePrefetch<'_> {
    async fn run(mut self) {
        let prefetched = &self.prefetch.reader.prefetched;
        info!(namespace = self.namespace, wanted = self.users.len(), "prefetching Secrets with a list");
        let mut params = ListParams::default().limit(FIRST_PAGE);
        loop {
            let page = read_page(&self.prefetch.client, &self.namespace, &params);
            let page = match timeout(PAGE_TIMEOUT, page).await.unwrap_or(Err(ListError::TimedOut)) {
                Ok(page) => page,
                Err(error) => {
                    debug!(namespace = self.namespace, %error, "Secret list failed; falling back to single reads");
                    break;
                }
            };
            let (Page { metadata, items }, bytes) = page;
            let size = bytes / items.len().max(1) + 1;
            self.deliver(items);
            match metadata.continue_.filter(|token| !token.is_empty()) {
                // When this replica writes again, every tenant is reconciled.
                Some(_) if self.prefetch.writer.epoch().is_err() => return,
                Some(token) if !self.users.is_empty() => {
                    let limit = u32::try_from((PAGE_BYTES / size).clamp(1, LARGEST_PAGE)).unwrap_or(1);
                    params = ListParams::default().limit(limit).continue_token(&token);
                }
                _ => break,
            }
            prefetched.wait_until_at_most(LARGEST_PAGE).await;
        }
        // Secrets that no page contained are read one by one.
        self.prefetch.enqueue(&self.namespace, self.users.into_values().flatten());
    }

    /// Holds each Secret for the tenants that wait for it, and enqueues them.
    fn deliver(&mut self, secrets: Vec<SecretValue>) {
        let mut ready = Vec::new();
        for secret in secrets {
            let Some(users) = self.users.remove(secret.name()) else { continue };
            if secret.bytes() > MAX_HELD_VALUES {
                // Read when it is needed.
                ready.extend(users);
                continue;
            }
            let secret = Arc::new(secret);
            for uid in users {
                self.prefetch.reader.prefetched.insert(uid.clone(), Arc::clone(&secret));
                ready.push(uid);
            }
        }
        self.prefetch.enqueue(&self.namespace, ready);
    }
}

/// A page of a list. Never printed: it holds values.
#[derive(Deserialize)]
struct Page {
    metadata: ListMeta,
    items: Vec<SecretValue>,
}

/// Why Secrets could not be listed.
#[derive(Debug, Error)]
enum ListError {
    #[error(transparent)]
    Request(#[from] kube::Error),
    #[error("a page took longer than {} s", PAGE_TIMEOUT.as_secs())]
    TimedOut,
}

/// Reads a page; returns its length too.
async fn read_page(
    client: &Client,
    namespace: &str,
    params: &ListParams,
) -> Result<(Page, usize), ListError> {
    let url = Secret::url_path(&(), Some(namespace));
    let request = Request::new(url).list(params).map_err(kube::Error::BuildRequest)?;
    match bounded::read(client, request).await? {
        Bounded::Read(page, bytes) => Ok((page, bytes)),
        Bounded::TooLarge => Err(bounded::too_large().into()),
    }
}
