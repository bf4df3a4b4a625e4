//! Watches: everything that Kubernetes says goes through here, at once and in order, into the index.

use std::collections::HashSet;
use std::pin::pin;

use futures::Stream;
use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use kube::runtime::reflector::store::Writer;
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info;

use super::context::Context;
use super::enduring;
use super::secrets::{self, SecretMeta};
use super::tenant::{Tenant, reference};
use crate::domain::claims::Touched;
use crate::domain::{ResourceName, Uid, compile};

/// How much of what a watch says is read before it is taken in: a page and a bit.
const READ_AHEAD: usize = 600;

/// One thing that a watch said.
pub enum Seen {
    /// Of the resources in one scope.
    Tenant(usize, Box<Event<Tenant>>),
    /// Of the Secrets in one scope.
    Secret(usize, Box<Event<SecretMeta>>),
}

/// The watches of resources and Secrets: one of each for a namespace, or for all of them.
pub fn streams(client: &Client, namespaces: &[String]) -> SelectAll<BoxStream<'static, Seen>> {
    let mut streams = SelectAll::new();
    let scopes: Vec<Option<&str>> = match namespaces {
        [] => vec![None],
        some => some.iter().map(|namespace| Some(namespace.as_str())).collect(),
    };
    for (scope, namespace) in scopes.into_iter().enumerate() {
        let tenants = match namespace {
            Some(namespace) => Api::<Tenant>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let secrets = match namespace {
            Some(namespace) => Api::<SecretMeta>::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let tenants = enduring::watch(tenants, "RuntimeTenants");
        streams.push(beside(tenants.map(move |event| Seen::Tenant(scope, Box::new(event)))));
        let secrets = enduring::watch(secrets, "Secrets");
        streams.push(beside(secrets.map(move |event| Seen::Secret(scope, Box::new(event)))));
    }
    streams
}

/// Has a watch read and decoded in a task of its own: one page is while the one before it is taken in.
fn beside(watch: impl Stream<Item = Seen> + Send + 'static) -> BoxStream<'static, Seen> {
    let (sender, seen) = mpsc::channel(READ_AHEAD);
    let reading = async move {
        let mut watch = pin!(watch);
        while let Some(seen) = watch.next().await {
            if sender.send(seen).await.is_err() {
                return;
            }
        }
    };
    // Dropped with the stream, it ends the task.
    let mut task = JoinSet::new();
    task.spawn(reading);
    stream::unfold((seen, task), |(mut seen, task)| async move { Some((seen.recv().await?, (seen, task))) })
        .boxed()
}

/// Takes in what the watches say.
pub struct Intake<'a> {
    ctx: &'a Context,
    writer: Writer<Tenant>,
    tenants: Vec<Listing<(ResourceName, Uid)>>,
    secrets: Vec<Listing<ResourceName>>,
    listed: bool,
}

/// What one watch has listed, to find out what is gone since.
struct Listing<T> {
    /// What was there when the last list began, or came since.
    known: HashSet<T>,
    /// What the list that is under way has shown so far.
    fresh: Option<HashSet<T>>,
    /// Whether it was ever complete.
    complete: bool,
}

impl<T> Default for Listing<T> {
    fn default() -> Self {
        Self { known: HashSet::new(), fresh: None, complete: false }
    }
}

impl<'a> Intake<'a> {
    /// An intake for the watches of [`streams`], which writes to the store of which `ctx` has the reader.
    pub fn new(ctx: &'a Context, mut writer: Writer<Tenant>) -> Self {
        let scopes = ctx.namespaces.len().max(1);
        // Nothing is looked at before every watch has listed; the store itself is filled from the start.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        Self {
            ctx,
            writer,
            tenants: (0..scopes).map(|_| Listing::default()).collect(),
            secrets: (0..scopes).map(|_| Listing::default()).collect(),
            listed: false,
        }
    }

    /// Takes one event in. True when by it every watch has listed for the first time.
    pub fn take(&mut self, seen: Seen) -> bool {
        match seen {
            Seen::Tenant(scope, event) => self.take_tenant(scope, *event),
            Seen::Secret(scope, event) => self.take_secret(scope, *event),
        }
        let complete = self.tenants.iter().all(|listing| listing.complete)
            && self.secrets.iter().all(|listing| listing.complete);
        if complete && !self.listed {
            self.listed = true;
            return true;
        }
        false
    }

    fn take_tenant(&mut self, scope: usize, event: Event<Tenant>) {
        match event {
            Event::Init => self.tenants[scope].fresh = Some(HashSet::new()),
            Event::InitApply(tenant) => {
                if let Some(fresh) = &mut self.tenants[scope].fresh {
                    fresh.insert((tenant.name(), tenant.uid()));
                }
                let uid = tenant.uid();
                self.see(tenant, true);
                if let Some(entry) = self.ctx.state().entry_mut(&uid) {
                    entry.listed();
                }
            }
            Event::Apply(tenant) => {
                self.tenants[scope].known.insert((tenant.name(), tenant.uid()));
                self.see(tenant, false);
            }
            Event::Delete(tenant) => {
                let uid = tenant.uid();
                self.tenants[scope].known.remove(&(tenant.name(), uid.clone()));
                self.drop_tenant(&tenant.name(), &uid);
                // It was seen to go: what is left of it is removed now, and not when the sweep finds it.
                drop(self.ctx.gone.unbounded_send(uid));
            }
            Event::InitDone => {
                let listing = &mut self.tenants[scope];
                let fresh = listing.fresh.take().unwrap_or_default();
                let gone: Vec<_> = listing.known.difference(&fresh).cloned().collect();
                listing.known = fresh;
                listing.complete = true;
                for (name, uid) in gone {
                    self.drop_tenant(&name, &uid);
                }
            }
        }
    }

    fn see(&mut self, mut tenant: Tenant, listed: bool) {
        tenant.slim();
        let (uid, name) = (tenant.uid(), tenant.name());
        let before = self.ctx.tenants.get(&reference(&name));
        // A resource that was deleted and made again between two lists.
        if let Some(other) = before.as_ref().map(|before| before.uid()).filter(|before| *before != uid) {
            self.drop_tenant(&name, &other);
        }
        let before = before.filter(|before| before.uid() == uid);
        let same = before.as_ref().is_some_and(|before| before.spec() == tenant.spec());
        // Most of what is seen of a resource is its own finalizer and status coming back.
        let told = !listed && before.is_some_and(|before| before.asks_for_the_same(&tenant));
        let again = if same { self.ctx.state().see_again(&tenant) } else { None };
        let told =
            told && again.is_some() && self.ctx.state().entry(&uid).is_some_and(|it| it.outcome.is_some());
        let touched = again.unwrap_or_else(|| {
            let claimed = compile::claimed(tenant.spec());
            self.ctx.state().see(&tenant, claimed)
        });
        self.writer.apply_watcher_event(&Event::Apply(tenant));
        if told && self.listed {
            self.look_at(touched, None);
            self.ctx.tell(&uid, &name);
        } else {
            self.look_at(touched, Some(uid));
        }
    }

    fn drop_tenant(&mut self, name: &ResourceName, uid: &Uid) {
        let touched = self.ctx.state().forget(uid);
        self.ctx.feel_refusals();
        let stored = self.ctx.tenants.get(&reference(name)).filter(|stored| stored.uid() == *uid);
        if let Some(stored) = stored {
            self.writer.apply_watcher_event(&Event::Delete((*stored).clone()));
        }
        self.look_at(touched, None);
    }

    fn take_secret(&mut self, scope: usize, event: Event<SecretMeta>) {
        match event {
            Event::Init => self.secrets[scope].fresh = Some(HashSet::new()),
            Event::InitApply(secret) => {
                if let Some(fresh) = &mut self.secrets[scope].fresh {
                    fresh.insert(name_of(&secret));
                }
                self.see_secret(&secret, true);
            }
            Event::Apply(secret) => {
                self.secrets[scope].known.insert(name_of(&secret));
                self.see_secret(&secret, true);
            }
            Event::Delete(secret) => {
                self.secrets[scope].known.remove(&name_of(&secret));
                self.see_secret(&secret, false);
            }
            Event::InitDone => {
                let listing = &mut self.secrets[scope];
                let fresh = listing.fresh.take().unwrap_or_default();
                let gone: Vec<_> = listing.known.difference(&fresh).cloned().collect();
                listing.known = fresh;
                listing.complete = true;
                for name in gone {
                    let users = self.ctx.state().secrets.see(&name, None);
                    self.look_at(users.into_iter().collect(), None);
                }
            }
        }
    }

    fn see_secret(&mut self, secret: &SecretMeta, there: bool) {
        let meta = secret.meta();
        let version = there.then(|| secrets::version(meta.uid.as_deref(), meta.resource_version.as_deref()));
        let users = self.ctx.state().secrets.see(&name_of(secret), version);
        self.look_at(users.into_iter().collect(), None);
    }

    /// Until everything is listed nobody is looked at: who holds what can't be decided before.
    fn look_at(&self, mut touched: Touched, seen: Option<Uid>) {
        if self.listed {
            touched.extend(seen);
            self.ctx.look_at(&touched);
        }
    }
}

fn name_of(secret: &SecretMeta) -> ResourceName {
    ResourceName::new(&secret.namespace().unwrap_or_default(), &secret.name_any())
}

/// Says that everything is listed, for whoever reads the log.
pub fn announce(ctx: &Context) {
    info!(resources = ctx.tenants.len(), "every watch has listed");
}
