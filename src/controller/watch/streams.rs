//! One watch of resources and one of Secrets for each namespace, or for all of them, each decoded in a task of its own.

use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::decode::{SecretMeta, WatchedTenant};
use super::state::WatchStates;
use super::watcher::{self, Report};

/// The events that are decoded ahead: a page of a list and a bit.
pub const READ_AHEAD: usize = 600;

/// An event of one of the watches, with the number of its scope.
pub enum WatchEvent {
    /// An event of resources.
    Tenant(usize, Box<Event<WatchedTenant>>),
    /// An event of Secrets.
    Secret(usize, Box<Event<SecretMeta>>),
    /// A watch is open again after an interruption.
    Restored,
}

/// Starts the watches, which report to `states`. Each of `namespaces` is a scope; without any, the cluster is the only one.
pub fn streams(
    client: &Client,
    namespaces: &[String],
    states: &WatchStates,
) -> SelectAll<BoxStream<'static, WatchEvent>> {
    let mut streams = SelectAll::new();
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    for (scope, namespace) in scopes.into_iter().enumerate() {
        let tenants = match namespace {
            Some(namespace) => Api::<WatchedTenant>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let secrets = match namespace {
            Some(namespace) => Api::<SecretMeta>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let (sender, tenants_seen) = mpsc::channel(READ_AHEAD);
        let watch = watcher::watch(tenants, states.add("runtimetenants", namespace), sender);
        streams.push(decoded(watch, tenants_seen, move |event| WatchEvent::Tenant(scope, Box::new(event))));
        let (sender, secrets_seen) = mpsc::channel(READ_AHEAD);
        let watch = watcher::watch(secrets, states.add("secrets", namespace), sender);
        streams.push(decoded(watch, secrets_seen, move |event| WatchEvent::Secret(scope, Box::new(event))));
    }
    streams
}

/// Runs a watch in its own task, so that the next page is decoded while this one is applied. `event` wraps its events.
fn decoded<K: Send + 'static>(
    watch: impl Future<Output = ()> + Send + 'static,
    reports: mpsc::Receiver<Report<K>>,
    event: impl Fn(Event<K>) -> WatchEvent + Send + 'static,
) -> BoxStream<'static, WatchEvent> {
    // Dropped with the stream, the set ends the task.
    let mut task = JoinSet::new();
    task.spawn(watch);
    stream::unfold((reports, task, event), |(mut reports, task, event)| async move {
        let next = match reports.recv().await? {
            Report::Event(seen) => event(seen),
            Report::Restored => WatchEvent::Restored,
        };
        Some((next, (reports, task, event)))
    })
    .boxed()
}
