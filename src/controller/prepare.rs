//! What one resource calls for, from one consistent reading of everything that is known. Reads at most its Secret and
//! its ownership record, and whether an owner whom no watch shows is gone; writes nothing.

use futures::future::join;
use tracing::{Instrument, debug, trace_span};

use super::ask;
use super::context::Context;
use super::error::Error;
use super::kept::KeptStatus;
use super::secrets::{self, Resolved, SecretKey, Version};
use super::state::{secret_key, told};
use super::tenant::Tenant;
use crate::domain::claims::Live;
use crate::domain::plan::{self, Farewell, Findings, Fingerprint, Look, Outcome, Plan, Ready, View, Wanted};
use crate::domain::verdict::{Blocker, SecretFault, SecretFaultKind};
use crate::domain::{Owner, Uid};
use crate::store::{Operation, Publication, Removal};
use crate::telemetry::TRACES;

/// What a resource calls for.
pub enum Prepared {
    /// Nothing is to be written: this is how it is.
    Settled(Outcome),
    /// This step; when it is done, this is how it is.
    Todo(Box<Todo>),
}

/// A step to be taken.
pub struct Todo {
    /// What Redis is to be told.
    pub step: Operation,
    /// What is live afterwards, with what the record says; none: nothing.
    pub after: Option<(Live, Fingerprint)>,
    /// What is to be told then; none for a resource that is gone.
    pub outcome: Option<Outcome>,
    /// The count of doubts from before.
    pub doubts: u64,
    /// Whether the Secret's version is the only news.
    pub rotation: bool,
    /// Whether there is no news: Redis is to hold again what it held.
    pub repair: bool,
}

/// Says what `uid` calls for, of which this is known.
pub async fn prepare(ctx: &Context, uid: &Uid, view: View, findings: &Findings) -> Result<Prepared, Error> {
    let name = ctx.state().entry(uid).map(|entry| entry.name.clone());
    let tenant = name.as_ref().and_then(|name| ctx.tenant(uid, name));
    let part = |farewell: Option<Farewell>| {
        farewell.map_or(Prepared::Settled(Outcome::Released), |farewell| remove(uid, farewell, view.doubts))
    };
    let Some(tenant) = tenant else {
        let farewell = plan::vanished(&view);
        if let Some(farewell) = &farewell {
            ask::recorded_owner_is_gone(ctx, uid, &farewell.tenant).await?;
        }
        return Ok(part(farewell));
    };
    if tenant.is_deleting() {
        return Ok(part(plan::deleted(tenant.spec(), told(tenant.status()), &view)));
    }
    if let Some(outcome) = unchanged(ctx, uid, &tenant, &view) {
        return Ok(Prepared::Settled(outcome));
    }
    let findings = Some(findings).filter(|findings| findings.generation == tenant.generation());
    let findings = findings.cloned().unwrap_or_default();
    let look =
        Look { spec: tenant.spec(), generation: tenant.generation(), view: &view, findings: &findings };
    match look.plan() {
        Plan::Settled(outcome) => Ok(Prepared::Settled(outcome)),
        Plan::Remove(farewell) => Ok(remove(uid, farewell, view.doubts)),
        Plan::Publish(wanted) => Publish { ctx, tenant: &tenant, look, wanted: &wanted }.prepare().await,
    }
}

/// Nearly all that are looked at after a start are live as they are wanted.
fn unchanged(ctx: &Context, uid: &Uid, tenant: &Tenant, view: &View) -> Option<Outcome> {
    let (hash, secret) = {
        let state = ctx.state();
        (state.hash(uid)?, state.secrets.version_for(uid)?.clone())
    };
    plan::unchanged(view, tenant.generation(), hash, ctx.recorded(secret))
}

fn remove(uid: &Uid, farewell: Farewell, doubts: u64) -> Prepared {
    let Farewell { tenant, known, retain, outcome } = farewell;
    let step = Operation::Remove(Removal { tenant, uid: uid.clone(), previously_listed: known, retain });
    Prepared::Todo(Box::new(Todo { step, after: None, outcome, doubts, rotation: false, repair: false }))
}

/// A resource that is to be published, unless it is.
struct Publish<'a> {
    ctx: &'a Context,
    tenant: &'a Tenant,
    look: Look<'a>,
    wanted: &'a Wanted,
}

impl Publish<'_> {
    async fn prepare(self) -> Result<Prepared, Error> {
        let wanted = secret_key(&self.tenant.name(), &self.wanted.spec);
        let Some(version) = self.ctx.state().secret_version(&wanted) else {
            return Ok(self.without(secrets::fault(&wanted, SecretFaultKind::NotFound)));
        };
        let fingerprint = self.look.fingerprint(self.wanted, self.ctx.recorded(version.clone()));
        let settled = || Ok(Prepared::Settled(Outcome::Seen(self.look.published(self.wanted))));
        let mut secret = None;
        if self.look.is_recorded(self.wanted, &fingerprint) {
            if self.look.view.verified {
                return settled();
            }
            // Who says that Redis does not hold it any more is mostly right.
            let (intact, read) = join(self.verify(&fingerprint), self.read(&wanted, &version)).await;
            if intact? {
                return settled();
            }
            secret = Some(read?);
        }
        self.predecessors_are_gone().await?;
        let secret = match secret {
            Some(read) => read,
            None => self.read(&wanted, &version).await?,
        };
        match secret {
            Ok(secret) => Ok(self.step(secret)),
            Err(fault) => Ok(self.without(fault)),
        }
    }

    /// The Secret, which is in this version by all that is known.
    async fn read(
        &self,
        wanted: &SecretKey,
        version: &Version,
    ) -> Result<Result<Resolved, SecretFault>, Error> {
        if let Some(listed) = self.ctx.hand.take(&self.tenant.uid(), &wanted.secret, version) {
            return Ok(listed.resolve(wanted));
        }
        debug!(secret = %wanted.secret, "a Secret is read by itself");
        let span = trace_span!(target: TRACES, "secret", otel.kind = "client");
        let read = secrets::read(&self.ctx.client, wanted, version).instrument(span).await;
        read.map_err(|error| Error::ReadSecret(self.tenant.name().to_string(), error))
    }

    /// Owners by record that no watch shows yield to it, if that is so because they are gone.
    async fn predecessors_are_gone(&self) -> Result<(), Error> {
        for uid in self.look.view.predecessors.keys() {
            let live = self.ctx.state().claims.live(uid).map(|live| live.tenant.clone());
            if let Some(tenant) = live {
                ask::recorded_owner_is_gone(self.ctx, uid, &tenant).await?;
            }
        }
        Ok(())
    }

    fn without(&self, fault: SecretFault) -> Prepared {
        Prepared::Settled(self.look.kept(self.wanted, Blocker::Secret(fault)))
    }

    /// Whether Redis holds exactly what its record says, and the record says this.
    async fn verify(&self, fingerprint: &Fingerprint) -> Result<bool, Error> {
        let draft = &self.wanted.draft;
        let found = self.ctx.store.inspect(std::slice::from_ref(draft.tenant_id())).await?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        let uid = self.tenant.uid();
        let ours = found.record.as_ref().is_some_and(|record| {
            record.owner.uid == uid
                && record.cluster == self.ctx.cluster
                && Fingerprint::of(record) == *fingerprint
                // Another cluster may have taken a number out of it, whereby the rest stays as it was.
                && record.dids == draft.dids()
        });
        let good = ours && found.intact;
        let mut state = self.ctx.state();
        if let Some(entry) = state.entry_mut(&uid)
            && entry.doubts == self.look.view.doubts
        {
            entry.verified = good;
        }
        Ok(good)
    }

    fn step(&self, secret: Resolved) -> Prepared {
        let value = self.ctx.publish_secret.then_some(&secret.value);
        let version = self.ctx.recorded(secret.version);
        let ready = match self.look.ready(self.wanted, version, value, told(self.tenant.status())) {
            Ok(ready) => ready,
            Err(blocker) => return Prepared::Settled(self.look.kept(self.wanted, blocker)),
        };
        let Ready { config, fingerprint, known, predecessors, rotation } = ready;
        // Where the record is lost too, the status still tells what was published.
        let told_hash = self.tenant.status().and_then(KeptStatus::published_hash);
        let recorded = self.look.view.record.as_ref() == Some(&fingerprint);
        let repair = recorded || (self.look.view.record.is_none() && told_hash == Some(&*fingerprint.hash));
        let name = self.tenant.name();
        let (tenant, dids) = (config.tenant_id().clone(), config.dids().to_vec());
        let publication = Publication {
            tenant: tenant.clone(),
            owner: Owner {
                namespace: name.namespace.to_string(),
                name: name.name.to_string(),
                uid: self.tenant.uid(),
            },
            generation: fingerprint.generation,
            secret: fingerprint.secret.clone(),
            hash: fingerprint.hash.clone(),
            dids: dids.clone(),
            previously_listed: known,
            yielding_owners: predecessors,
            take_over: self.tenant.takes_over(),
            config: config.to_json(),
        };
        Prepared::Todo(Box::new(Todo {
            step: Operation::Publish(publication),
            after: Some((Live { tenant, dids }, fingerprint)),
            outcome: Some(Outcome::Seen(self.look.published(self.wanted))),
            doubts: self.look.view.doubts,
            rotation,
            repair,
        }))
    }
}
