//! What one resource calls for, from one consistent reading of everything that is known. Reads at most its Secret and
//! its ownership record; writes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::error::Error;
use super::secrets::{self, Resolved};
use super::state::{Fingerprint, Outcome, View, secret_key, told};
use super::tenant::Tenant;
use crate::api::{self, RuntimeTenantSpec};
use crate::contract::{Did, RuntimeTenantConfig};
use crate::domain::claims::Live;
use crate::domain::compile;
use crate::domain::verdict::{Blocker, Holder, Lacking, Published, SecretFaultKind, Verdict};
use crate::domain::{ResourceName, Uid};
use crate::store::{Owner, Publication, Removal, Step};

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
    pub step: Step,
    /// What is live afterwards, with what the record says; none: nothing.
    pub after: Option<(Live, Fingerprint)>,
    /// What is to be told then; none for a resource that is gone.
    pub outcome: Option<Outcome>,
    /// The count of doubts from before.
    pub doubts: u64,
    /// Whether the Secret's version is the only news.
    pub rotation: bool,
}

/// What Redis refused so far in this look: numbers and tenant ids that resources of this cluster don't decide about.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The generation of the resource that was refused: of another one, nothing here may be true.
    pub generation: i64,
    /// What stops it altogether.
    pub blocker: Option<Blocker>,
    /// Numbers that somebody outside has.
    pub lacking: Vec<Lacking>,
    /// Owners by record of which no resource is left.
    pub predecessors: BTreeSet<Uid>,
}

impl Findings {
    /// Forgets what was found of another generation.
    pub fn of_generation(&mut self, generation: i64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }
}

/// Says what `uid` calls for.
pub async fn prepare(ctx: &Context, uid: &Uid, findings: &Findings) -> Result<Prepared, Error> {
    let (view, name) = {
        let state = ctx.state();
        (state.view(uid), state.entry(uid).map(|entry| entry.name.clone()))
    };
    let tenant = name.as_ref().and_then(|name| ctx.tenant(uid, name));
    match tenant {
        None => Ok(remove_what_is_left(uid, &view)),
        Some(tenant) if tenant.is_deleting() => Ok(release(&tenant, &view)),
        Some(tenant) => {
            let findings = Some(findings).filter(|findings| findings.generation == tenant.generation());
            let findings = findings.cloned().unwrap_or_default();
            Look { ctx, tenant, view, findings }.prepare().await
        }
    }
}

/// A resource that vanished without passing through its finalizer: what its record lists goes too.
fn remove_what_is_left(uid: &Uid, view: &View) -> Prepared {
    let Some(live) = &view.live else { return Prepared::Settled(Outcome::Released) };
    let removal =
        Removal { tenant: live.tenant.clone(), uid: uid.clone(), known: Vec::new(), retain: view.retain };
    let step = Step::Remove(removal);
    Prepared::Todo(Box::new(Todo { step, after: None, outcome: None, doubts: view.doubts, rotation: false }))
}

/// A resource that is being deleted: only what is its own goes, and never a Secret is needed.
fn release(tenant: &Tenant, view: &View) -> Prepared {
    let claimed = compile::claimed(tenant.spec()).tenant;
    let live = view.live.as_ref().map(|live| live.tenant.clone());
    let Some(tenant_id) = live.or(claimed) else { return Prepared::Settled(Outcome::Released) };
    let known = told(tenant.status());
    let step = Step::Remove(Removal { tenant: tenant_id, uid: tenant.uid(), known, retain: view.retain });
    let outcome = Some(Outcome::Released);
    Prepared::Todo(Box::new(Todo { step, after: None, outcome, doubts: view.doubts, rotation: false }))
}

/// A look at a resource that stays.
struct Look<'a> {
    ctx: &'a Context,
    tenant: Arc<Tenant>,
    view: View,
    findings: Findings,
}

impl Look<'_> {
    async fn prepare(self) -> Result<Prepared, Error> {
        let spec = match compile::read(self.tenant.spec()) {
            Ok(spec) => spec,
            Err(why) => return Ok(self.blocked(Blocker::Unreadable(why), None)),
        };
        let faults = compile::check(&spec);
        if !faults.is_empty() {
            return Ok(self.blocked(Blocker::Invalid(faults), None));
        }
        let (dids, lacking) = self.numbers();
        if spec.suspend {
            return Ok(self.suspended(&spec, lacking));
        }
        if let Some(blocker) = self.lost_tenant() {
            return Ok(self.blocked(blocker, None));
        }
        if let Some(blocker) = self.findings.blocker.clone() {
            let verdict = self.verdict(Some(blocker), None);
            return Ok(Prepared::Settled(Outcome::Seen(Verdict { lacking, ..verdict })));
        }
        if dids.is_empty() {
            return Ok(self.without_numbers(lacking));
        }
        let draft = match compile::compile(&spec, &dids, None) {
            Ok(draft) => draft,
            Err(faults) => return Ok(self.blocked(Blocker::Invalid(faults), None)),
        };
        self.publish(&spec, &draft, lacking).await
    }

    /// The numbers that it has, and those that it lacks, in the order of the spec.
    fn numbers(&self) -> (Vec<Did>, Vec<Lacking>) {
        let Some(holdings) = &self.view.holdings else { return (Vec::new(), Vec::new()) };
        let elsewhere = |did: &Did| self.findings.lacking.iter().any(|lacking| lacking.did == *did);
        let dids = holdings.dids.iter().filter(|did| !elsewhere(did)).cloned().collect();
        let mut lacking: Vec<Lacking> = holdings
            .lost
            .iter()
            .map(|(did, holder)| Lacking { did: did.clone(), holder: self.resource(holder) })
            .collect();
        lacking.extend(self.findings.lacking.iter().cloned());
        (dids, lacking)
    }

    fn resource(&self, uid: &Uid) -> Holder {
        let name = self.view.names.get(uid).cloned();
        Holder::Resource(name.unwrap_or_else(|| ResourceName::new("?", uid.as_str())))
    }

    fn lost_tenant(&self) -> Option<Blocker> {
        let holder = self.view.holdings.as_ref()?.tenant_lost_to.as_ref()?;
        Some(Blocker::Tenant(self.resource(holder)))
    }

    /// What stays live while something stops a publish.
    fn live(&self) -> Option<Published> {
        let live = self.view.live.as_ref()?;
        let hash = self.view.record.as_ref().map(|record| record.hash.clone()).unwrap_or_default();
        Some(Published { dids: live.dids.clone(), hash })
    }

    fn verdict(&self, blocker: Option<Blocker>, draft: Option<&RuntimeTenantConfig>) -> Verdict {
        let live = self.live();
        let wanted = draft.map(RuntimeTenantConfig::hash_without_secret);
        let current = live.as_ref().is_some_and(|live| Some(&live.hash) == wanted.as_ref());
        Verdict { generation: self.tenant.generation(), blocker, live, current, lacking: Vec::new() }
    }

    fn blocked(&self, blocker: Blocker, draft: Option<&RuntimeTenantConfig>) -> Prepared {
        Prepared::Settled(Outcome::Seen(self.verdict(Some(blocker), draft)))
    }

    fn suspended(&self, spec: &RuntimeTenantSpec, lacking: Vec<Lacking>) -> Prepared {
        let live = self.view.live.as_ref().map_or(&[][..], |live| &live.dids);
        let draft = compile::compile(spec, live, None).ok();
        let verdict = self.verdict(Some(Blocker::Suspended), draft.as_ref());
        Prepared::Settled(Outcome::Seen(Verdict { lacking, ..verdict }))
    }

    /// Every number that it claims is another's. Numbers that it had before it let go of itself: they, and its config
    /// with them, go.
    fn without_numbers(&self, lacking: Vec<Lacking>) -> Prepared {
        let verdict = Verdict {
            generation: self.tenant.generation(),
            blocker: Some(Blocker::NoNumbers),
            live: None,
            current: false,
            lacking,
        };
        let outcome = Outcome::Seen(verdict);
        let Some(live) = &self.view.live else { return Prepared::Settled(outcome) };
        let step = Step::Remove(Removal {
            tenant: live.tenant.clone(),
            uid: self.tenant.uid(),
            known: Vec::new(),
            retain: false,
        });
        let doubts = self.view.doubts;
        Prepared::Todo(Box::new(Todo { step, after: None, outcome: Some(outcome), doubts, rotation: false }))
    }

    async fn publish(
        self,
        spec: &RuntimeTenantSpec,
        draft: &RuntimeTenantConfig,
        lacking: Vec<Lacking>,
    ) -> Result<Prepared, Error> {
        let wanted = secret_key(&self.tenant.name(), spec);
        let Some(version) = self.ctx.state().secret_version(&wanted) else {
            let fault = secrets::fault(&wanted, SecretFaultKind::NotFound);
            return Ok(self.without_secret(Blocker::Secret(fault), draft, lacking));
        };
        let fingerprint = self.fingerprint(draft, &version);
        let after = Verdict {
            generation: self.tenant.generation(),
            blocker: None,
            live: Some(Published { dids: draft.dids().to_vec(), hash: fingerprint.hash.clone() }),
            current: true,
            lacking: lacking.clone(),
        };
        if self.view.record.as_ref() == Some(&fingerprint)
            && self.view.live.as_ref().is_some_and(|live| live.dids == draft.dids())
            && (self.view.verified || self.verify(draft, &fingerprint).await?)
        {
            return Ok(Prepared::Settled(Outcome::Seen(after)));
        }
        let read = secrets::read(&self.ctx.client, &wanted).await;
        let secret = match read.map_err(|error| Error::ReadSecret(self.tenant.name().to_string(), error))? {
            Ok(secret) => secret,
            Err(fault) => return Ok(self.without_secret(Blocker::Secret(fault), draft, lacking)),
        };
        Ok(self.step(spec, draft, &secret, after))
    }

    fn without_secret(
        &self,
        blocker: Blocker,
        draft: &RuntimeTenantConfig,
        lacking: Vec<Lacking>,
    ) -> Prepared {
        let verdict = self.verdict(Some(blocker), Some(draft));
        Prepared::Settled(Outcome::Seen(Verdict { lacking, ..verdict }))
    }

    /// What the record must say for nothing to be written.
    fn fingerprint(&self, draft: &RuntimeTenantConfig, version: &str) -> Fingerprint {
        let secret =
            if self.ctx.publish_secret { version.to_owned() } else { format!("reference:{version}") };
        Fingerprint { generation: self.tenant.generation(), secret, hash: draft.hash_without_secret() }
    }

    /// Whether Redis holds exactly what its record says, and the record says this.
    async fn verify(&self, draft: &RuntimeTenantConfig, wanted: &Fingerprint) -> Result<bool, Error> {
        let found = self.ctx.store.inspect(std::slice::from_ref(draft.tenant_id())).await?;
        let Some(found) = found.into_iter().next() else { return Ok(false) };
        let uid = self.tenant.uid();
        let ours = found.record.as_ref().is_some_and(|record| {
            record.owner.uid == uid
                && record.cluster == self.ctx.cluster
                && Fingerprint::of(record) == *wanted
                // Another cluster may have taken a number out of it, whereby the rest stays as it was.
                && record.dids == draft.dids()
        });
        let good = ours && found.intact;
        let mut state = self.ctx.state();
        if let Some(entry) = state.entry_mut(&uid)
            && entry.doubts == self.view.doubts
        {
            entry.verified = good;
        }
        Ok(good)
    }

    fn step(
        &self,
        spec: &RuntimeTenantSpec,
        draft: &RuntimeTenantConfig,
        secret: &Resolved,
        after: Verdict,
    ) -> Prepared {
        let value = self.ctx.publish_secret.then_some(&secret.value);
        let config = match compile::compile(spec, draft.dids(), value) {
            Ok(config) => config,
            Err(faults) => return self.blocked(Blocker::Invalid(faults), Some(draft)),
        };
        let fingerprint = self.fingerprint(draft, &secret.version);
        let mut known = told(self.tenant.status());
        known.extend(self.view.live.iter().flat_map(|live| live.dids.iter().cloned()));
        let name = self.tenant.name();
        let publication = Publication {
            tenant: draft.tenant_id().clone(),
            owner: Owner {
                namespace: name.namespace.to_string(),
                name: name.name.to_string(),
                uid: self.tenant.uid(),
            },
            generation: fingerprint.generation,
            secret: fingerprint.secret.clone(),
            hash: fingerprint.hash.clone(),
            dids: draft.dids().to_vec(),
            known,
            predecessors: self.view.predecessors.union(&self.findings.predecessors).cloned().collect(),
            take_over: self.tenant.is_annotated(api::TAKE_OVER),
            config: config.to_json(),
        };
        let rotation = self
            .view
            .record
            .as_ref()
            .is_some_and(|before| before.hash == fingerprint.hash && before.secret != fingerprint.secret);
        let live = Live { tenant: draft.tenant_id().clone(), dids: draft.dids().to_vec() };
        Prepared::Todo(Box::new(Todo {
            step: Step::Publish(publication),
            after: Some((live, fingerprint)),
            outcome: Some(Outcome::Seen(after)),
            doubts: self.view.doubts,
            rotation,
        }))
    }
}
