//! Watches: everything that Kubernetes says goes through here, at once and in order, into the index.

use std::pin::pin;

use futures::Stream;
use futures::stream::{self, BoxStream, SelectAll, StreamExt};
use kube::runtime::watcher::Event;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::info;

use super::context::Context;
use super::enduring;
use super::kept::Pools;
use super::secrets::{self, SecretMeta, Version};
use super::state::Entry;
use super::tenant::{Shown, Tenant};
use crate::domain::claims::Affected;
use crate::domain::{ResourceName, Uid, compile};

/// How much of what a watch says is read before it is taken in: a page and a bit.
const READ_AHEAD: usize = 600;

/// One thing that a watch said.
pub enum Seen {
    /// Of the resources in one scope.
    Tenant(usize, Box<Event<Shown>>),
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
            Some(namespace) => Api::<Shown>::namespaced(client.clone(), namespace),
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
    pools: Pools,
    tenants: Vec<Listing>,
    secrets: Vec<Listing>,
    listed: bool,
}

/// How far one watch is. What it showed last before the list that is complete began is gone.
#[derive(Clone, Copy, Default)]
struct Listing {
    /// How many lists began.
    round: u32,
    /// Whether one was ever complete.
    complete: bool,
}

impl<'a> Intake<'a> {
    /// An intake for the watches of [`streams`].
    pub fn new(ctx: &'a Context) -> Self {
        let scopes = ctx.namespaces.len().max(1);
        Self {
            ctx,
            pools: Pools::default(),
            tenants: vec![Listing::default(); scopes],
            secrets: vec![Listing::default(); scopes],
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

    fn take_tenant(&mut self, scope: usize, event: Event<Shown>) {
        match event {
            Event::Init => self.tenants[scope].round += 1,
            Event::InitApply(shown) => {
                let uid = shown.uid();
                self.see(shown, self.tenants[scope].round, true);
                if let Some(entry) = self.ctx.state().entry_mut(&uid) {
                    entry.listed();
                }
            }
            Event::Apply(shown) => {
                self.see(shown, self.tenants[scope].round, false);
            }
            Event::Delete(shown) => {
                let (uid, name) = (shown.uid(), shown.name());
                self.drop_tenant(&name, &uid);
                // It was seen to go: what is left of it is removed now, and not when the sweep finds it.
                drop(self.ctx.gone.unbounded_send(uid));
            }
            Event::InitDone => {
                let round = self.tenants[scope].round;
                self.tenants[scope].complete = true;
                for tenant in self.ctx.tenants.all() {
                    if tenant.round() != round && self.is_in(scope, &tenant.name()) {
                        self.drop_tenant(&tenant.name(), &tenant.uid());
                    }
                }
            }
        }
    }

    fn see(&mut self, shown: Shown, round: u32, listed: bool) {
        let before = self.ctx.tenants.get(&shown.name());
        let tenant = Tenant::new(shown, round, before.as_deref(), &mut self.pools);
        let (uid, name) = (tenant.uid(), tenant.name());
        // A resource that was deleted and made again between two lists.
        if let Some(other) = before.as_ref().map(|before| before.uid()).filter(|before| *before != uid) {
            self.drop_tenant(&name, &other);
        }
        let before = before.filter(|before| before.uid() == uid);
        let same = before.as_ref().is_some_and(|before| before.spec() == tenant.spec());
        // Most of what is seen of a resource is its own finalizer and status coming back.
        let told = !listed && before.is_some_and(|before| before.asks_for_the_same(&tenant));
        let again = if same { self.ctx.state().see_again(&tenant) } else { None };
        let told = told && again.is_some() && self.ctx.state().entry(&uid).is_some_and(Entry::has_outcome);
        let touched = again.unwrap_or_else(|| {
            let claimed = compile::claimed(tenant.spec());
            self.ctx.state().see(&tenant, claimed)
        });
        self.ctx.tenants.put(tenant);
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
        self.ctx.tenants.drop(name, uid);
        self.look_at(touched, None);
    }

    fn take_secret(&mut self, scope: usize, event: Event<SecretMeta>) {
        match event {
            Event::Init => self.secrets[scope].round += 1,
            Event::InitApply(secret) | Event::Apply(secret) => {
                let meta = secret.meta();
                let version = secrets::version(meta.uid.as_deref(), meta.resource_version.as_deref());
                let mut name = name_of(&secret);
                name.namespace = self.pools.namespaces.share(name.namespace);
                self.see_secret(&name, Some((version, self.secrets[scope].round)));
            }
            Event::Delete(secret) => self.see_secret(&name_of(&secret), None),
            Event::InitDone => {
                let round = self.secrets[scope].round;
                self.secrets[scope].complete = true;
                let mut gone = self.ctx.state().secrets.not_seen_in(round);
                gone.retain(|name| self.is_in(scope, name));
                for name in gone {
                    self.see_secret(&name, None);
                }
            }
        }
    }

    fn see_secret(&self, name: &ResourceName, version: Option<(Version, u32)>) {
        let users = self.ctx.state().secrets.see(name, version);
        self.look_at(users.into_iter().collect(), None);
    }

    /// Whether this is what the watches of one scope show.
    fn is_in(&self, scope: usize, name: &ResourceName) -> bool {
        self.ctx.namespaces.get(scope).is_none_or(|namespace| **namespace == *name.namespace)
    }

    /// Until everything is listed nobody is looked at: who holds what can't be decided before.
    fn look_at(&self, mut touched: Affected, seen: Option<Uid>) {
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
