//! One watch of resources and one of Secrets for each namespace, or for all of them, each decoded in a task of its own.

use std::pin::pin;

use futures::Stream;
use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use kube::runtime::watcher::Event;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::decode::{SecretMeta, WatchedTenant};
use super::resilient;

/// The events that are decoded ahead: a page of a list and a bit.
const READ_AHEAD: usize = 600;

/// An event of one of the watches, with the number of its scope.
pub enum WatchEvent {
    /// An event of resources.
    Tenant(usize, Box<Event<WatchedTenant>>),
    /// An event of Secrets.
    Secret(usize, Box<Event<SecretMeta>>),
}

/// Starts the watches. Each of `namespaces` is a scope; without any, the cluster is the only one.
pub fn streams(client: &Client, namespaces: &[String]) -> SelectAll<BoxStream<'static, WatchEvent>> {
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
        let tenants = resilient::watch(tenants, "RuntimeTenants");
        streams.push(spawn_decoder(tenants.map(move |event| WatchEvent::Tenant(scope, Box::new(event)))));
        let secrets = resilient::watch(secrets, "Secrets");
        streams.push(spawn_decoder(secrets.map(move |event| WatchEvent::Secret(scope, Box::new(event)))));
    }
    streams
}

/// Decodes a watch in its own task, so that the next page is decoded while this one is applied.
fn spawn_decoder(watch: impl Stream<Item = WatchEvent> + Send + 'static) -> BoxStream<'static, WatchEvent> {
    let (sender, events) = mpsc::channel(READ_AHEAD);
    let decoding = async move {
        let mut watch = pin!(watch);
        while let Some(event) = watch.next().await {
            if sender.send(event).await.is_err() {
                return;
            }
        }
    };
    // Dropped with the stream, the set ends the task.
    let mut task = JoinSet::new();
    task.spawn(decoding);
    stream::unfold((events, task), |(mut events, task)| async move {
        Some((events.recv().await?, (events, task)))
    })
    .boxed()
}
