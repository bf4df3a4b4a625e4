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
use crate::domain::{Owner, Uid};
use crate::domain::assessment::{NotPublished, SecretFault, SecretFaultKind};
use crate::domain::claims::Published;
use crate::domain::plan::{
    self, Desired, Outcome, Plan, PlanInput, PublicationDraft, PublishedVersion, Rejections, RemovalPlan,
    Snapshot,
};
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
    pub after: Option<(Published, PublishedVersion)>,
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
pub async fn prepare(
    ctx: &Context,
    uid: &Uid,
    snapshot: Snapshot,
    rejections: &Rejections,
) -> Result<Prepared, Error> {
    let name = ctx.state().entry(uid).map(|entry| entry.name.clone());
    let tenant = name.as_ref().and_then(|name| ctx.tenant(uid, name));
    let part = |removal: Option<RemovalPlan>| {
        removal.map_or(Prepared::Settled(Outcome::FinalizerRemovable), |removal| {
            remove(uid, removal, snapshot.invalidations)
        })
    };
    let Some(tenant) = tenant else {
        let removal = plan::plan_orphan(&snapshot);
        if let Some(removal) = &removal {
            ask::recorded_owner_is_gone(ctx, uid, &removal.tenant).await?;
        }
        return Ok(part(removal));
    };
    if tenant.is_deleting() {
        return Ok(part(plan::plan_deletion(tenant.spec(), told(tenant.status()), &snapshot)));
    }
    if let Some(outcome) = unchanged(ctx, uid, &tenant, &snapshot) {
        return Ok(Prepared::Settled(outcome));
    }
    let rejections = Some(rejections).filter(|rejections| rejections.generation == tenant.generation());
    let rejections = rejections.cloned().unwrap_or_default();
    let input = PlanInput {
        spec: tenant.spec(),
        generation: tenant.generation(),
        snapshot: &snapshot,
        rejections: &rejections,
    };
    match input.plan() {
        Plan::Done(outcome) => Ok(Prepared::Settled(outcome)),
        Plan::Remove(removal) => Ok(remove(uid, removal, snapshot.invalidations)),
        Plan::Publish(wanted) => Publish { ctx, tenant: &tenant, input, wanted: &wanted }.prepare().await,
    }
}

/// Nearly all that are looked at after a start are live as they are wanted.
fn unchanged(ctx: &Context, uid: &Uid, tenant: &Tenant, snapshot: &Snapshot) -> Option<Outcome> {
    let (hash, secret) = {
        let state = ctx.state();
        (state.hash(uid)?, state.secrets.version_for(uid)?.clone())
    };
    plan::unchanged(snapshot, tenant.generation(), hash, ctx.recorded(secret))
}

fn remove(uid: &Uid, removal: RemovalPlan, doubts: u64) -> Prepared {
    let RemovalPlan { tenant, previously_listed, retain, outcome } = removal;
    let step = Operation::Remove(Removal { tenant, uid: uid.clone(), previously_listed, retain });
    Prepared::Todo(Box::new(Todo { step, after: None, outcome, doubts, rotation: false, repair: false }))
}

/// A resource that is to be published, unless it is.
struct Publish<'a> {
    ctx: &'a Context,
    tenant: &'a Tenant,
    input: PlanInput<'a>,
    wanted: &'a Desired,
}

impl Publish<'_> {
    async fn prepare(self) -> Result<Prepared, Error> {
        let wanted = secret_key(&self.tenant.name(), &self.wanted.spec);
        let Some(version) = self.ctx.state().secret_version(&wanted) else {
            return Ok(self.without(secrets::fault(&wanted, SecretFaultKind::NotFound)));
        };
        let published_version = self.input.published_version(self.wanted, self.ctx.recorded(version.clone()));
        let settled = || Ok(Prepared::Settled(Outcome::Assessed(self.input.assess_published(self.wanted))));
        let mut secret = None;
        if self.input.is_recorded(self.wanted, &published_version) {
            if self.input.snapshot.verified {
                return settled();
            }
            // Who says that Redis does not hold it any more is mostly right.
            let (intact, read) = join(self.verify(&published_version), self.read(&wanted, &version)).await;
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
        for uid in self.input.snapshot.yielding_owners.keys() {
            let live = self.ctx.state().claims.published(uid).map(|live| live.tenant.clone());
            if let Some(tenant) = live {
                ask::recorded_owner_is_gone(self.ctx, uid, &tenant).await?;
            }
        }
        Ok(())
    }

    fn without(&self, fault: SecretFault) -> Prepared {
        Prepared::Settled(self.input.blocked(self.wanted, NotPublished::Secret(fault)))
    }

    /// Whether Redis holds exactly what its record says, and the record says this.
    async fn verify(&self, published_version: &PublishedVersion) -> Result<bool, Error> {
        let draft = &self.wanted.config;
        let found = self.ctx.store.inspect(std::slice::from_ref(draft.tenant_id())).await?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        let uid = self.tenant.uid();
        let ours = found.record.as_ref().is_some_and(|record| {
            record.owner.uid == uid
                && record.cluster == self.ctx.cluster
                && PublishedVersion::of(record) == *published_version
                // Another cluster may have taken a number out of it, whereby the rest stays as it was.
                && record.dids == draft.dids()
        });
        let good = ours && found.intact;
        let mut state = self.ctx.state();
        if let Some(entry) = state.entry_mut(&uid)
            && entry.doubts == self.input.snapshot.invalidations
        {
            entry.verified = good;
        }
        Ok(good)
    }

    fn step(&self, secret: Resolved) -> Prepared {
        let value = self.ctx.publish_secret.then_some(&secret.value);
        let version = self.ctx.recorded(secret.version);
        let ready =
            match self.input.draft_publication(self.wanted, version, value, told(self.tenant.status())) {
                Ok(ready) => ready,
                Err(not_published) => {
                    return Prepared::Settled(self.input.blocked(self.wanted, not_published));
                }
            };
        let PublicationDraft {
            config,
            version: published_version,
            previously_listed,
            yielding_owners,
            rotation,
        } = ready;
        // Where the record is lost too, the status still tells what was published.
        let told_hash = self.tenant.status().and_then(KeptStatus::published_hash);
        let recorded = self.input.snapshot.record.as_ref() == Some(&published_version);
        let repair =
            recorded || (self.input.snapshot.record.is_none() && told_hash == Some(&*published_version.hash));
        let name = self.tenant.name();
        let (tenant, dids) = (config.tenant_id().clone(), config.dids().to_vec());
        let publication = Publication {
            tenant: tenant.clone(),
            owner: Owner {
                namespace: name.namespace.to_string(),
                name: name.name.to_string(),
                uid: self.tenant.uid(),
            },
            generation: published_version.generation,
            secret: published_version.secret.clone(),
            hash: published_version.hash.clone(),
            dids: dids.clone(),
            previously_listed,
            yielding_owners,
            take_over: self.tenant.takes_over(),
            config: config.to_json(),
        };
        Prepared::Todo(Box::new(Todo {
            step: Operation::Publish(publication),
            after: Some((Published { tenant, dids }, published_version)),
            outcome: Some(Outcome::Assessed(self.input.assess_published(self.wanted))),
            doubts: self.input.snapshot.invalidations,
            rotation,
            repair,
        }))
    }
}
