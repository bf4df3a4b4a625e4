//! What the controller knows between two events: an index, never the only copy of anything.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tracing::{Span, trace_span};

use super::kept::KeptStatus;
use super::secrets::{SecretIndex, SecretKey, Version};
use super::tenant::Tenant;
use crate::api::RuntimeTenantSpec;
use crate::contract::{Did, TenantId};
use crate::domain::assessment::{Assessment, PublishedConfig};
use crate::domain::claims::{Affected, Claim, Claims, Eligibility, Published};
use crate::domain::compile::Claimed;
use crate::domain::plan::Snapshot;
pub use crate::domain::plan::{Outcome, PublishedVersion};
use crate::domain::{OwnershipRecord, ResourceName, Uid};
use crate::telemetry::TRACES;

/// Everything that is known, kept by increments.
#[derive(Debug, Default)]
pub struct State {
    /// Who holds what.
    pub claims: Claims,
    /// Which Secrets there are.
    pub secrets: SecretIndex,
    /// Who could not be dealt with at the last try: when one of them can be again, so may the others.
    pub failing: BTreeSet<Uid>,
    /// What Redis refused last, until it takes a write again.
    pub refusal: Option<String>,
    entries: HashMap<Uid, Box<Entry>>,
}

/// What is known of one resource beside its claims.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and all go together")]
#[derive(Debug)]
pub struct Entry {
    /// What a person calls it.
    pub name: ResourceName,
    /// What its ownership record says, as last written or read.
    pub record: Option<PublishedVersion>,
    /// The hash of its config while it has all the numbers that it claims; none while it is not to be published.
    hash: Known<Box<str>>,
    /// Whether Redis was seen to hold exactly what the record says since the last sign that it might not.
    pub verified: bool,
    /// How often there was such a sign.
    pub doubts: u64,
    /// What is to be told of it.
    outcome: Known<Box<Outcome>>,
    /// What happened that a person would want to know, not told yet.
    pub notes: Vec<Note>,
    /// Whether Redis was written to since its status was.
    pub wrote: bool,
    /// The resourceVersion that the watch showed last; 0: none.
    seen: u64,
    /// The resourceVersion of our own last write to it; 0: none.
    written: u64,
    /// How often in a row it could not be dealt with.
    pub failures: u32,
    /// What it was told to wait for since it could last be dealt with: the event's reason.
    pub waits: Option<&'static str>,
    /// Why it can't be read, as it was told.
    pub unreadable: Option<Box<str>>,
    /// Whether its keys outlive it.
    pub retain: bool,
    /// Whether it vanished and only its keys are left.
    pub gone: bool,
    /// Since when it waits for its turn, in the order of [`Queue::ALL`](crate::telemetry::Queue::ALL).
    pub waits_since: [Option<Instant>; 2],
    /// The span of the change that is under way, where somebody collects them.
    pub trace: Option<Box<Span>>,
}

/// Something that nearly always follows from the ownership record, and is held only where it does not.
#[derive(Debug, PartialEq, Eq)]
enum Known<T> {
    Nothing,
    AsRecorded,
    This(T),
}

/// Those whose turn has come already, with what they claimed then: they took what they could, and what they still hold
/// that is live for another is not to be had for them.
#[derive(Debug, Default)]
pub struct Passed(HashMap<Uid, Option<Arc<Claim>>>);

/// A record that was read, as far as it is needed.
#[derive(Debug)]
pub struct Found {
    owner: Uid,
    record: (Published, PublishedVersion),
    /// Whether Redis was seen to hold exactly what it says.
    pub intact: bool,
}

impl Found {
    /// What this record says.
    #[must_use]
    pub fn new(record: OwnershipRecord, intact: bool) -> Self {
        let OwnershipRecord { tenant, owner, generation, secret, dids, hash, .. } = record;
        Self {
            owner: owner.uid,
            record: (Published { tenant, dids }, PublishedVersion { generation, secret, hash }),
            intact,
        }
    }
}

/// Something that happened once, for an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Whether a person should do something.
    pub warning: bool,
    /// `CamelCase`.
    pub reason: &'static str,
    /// For a person to read.
    pub message: String,
}

impl State {
    /// A resource was seen, asking for this. Says whose holdings are others now.
    pub fn see(&mut self, tenant: &Tenant, claimed: Claimed) -> Affected {
        let (uid, name) = (tenant.uid(), tenant.name());
        let secret = claimed.secret.map(|secret| ResourceName { name: secret.into(), ..name.clone() });
        self.secrets.refer(&uid, secret);
        let entry = self.entries.entry(uid.clone()).or_insert_with(|| Box::new(Entry::new(name.clone())));
        entry.retain = claimed.retain;
        entry.hash = claimed.hash.map_or(Known::Nothing, |hash| Known::This(hash.into()));
        entry.fold_hash();
        entry.gone = false;
        entry.seen = tenant.resource_version().unwrap_or_default();
        // A spec that can't be read claims the tenant id under which it is live, if any.
        let live = self.claims.published(&uid).map(|live| live.tenant.clone());
        match claimed.tenant.or(live).filter(|_| !tenant.is_deleting()) {
            Some(tenant_id) => self.claims.upsert(Claim {
                uid,
                name,
                created: tenant.created(),
                tenant: tenant_id,
                dids: claimed.dids,
                eligibility: claimed.eligibility,
                status_dids: told(tenant.status()),
            }),
            None => self.claims.remove(&uid),
        }
    }

    /// A resource was seen again with the spec that it had. None: what it claims has to be made out anew.
    pub fn see_again(&mut self, tenant: &Tenant) -> Option<Affected> {
        let uid = tenant.uid();
        let claim = self.claims.get(&uid)?;
        if tenant.is_deleting() || claim.eligibility == Eligibility::Unreadable {
            return None;
        }
        let told = told(tenant.status());
        let claim = (claim.status_dids != told).then(|| Claim { status_dids: told, ..Claim::clone(claim) });
        self.entries.get_mut(&uid)?.seen = tenant.resource_version().unwrap_or_default();
        Some(claim.map_or_else(Affected::new, |claim| self.claims.upsert(claim)))
    }

    /// A resource is gone. What is known of it stays until its keys are gone too. Says whose holdings are others now.
    pub fn forget(&mut self, uid: &Uid) -> Affected {
        self.secrets.refer(uid, None);
        self.failing.remove(uid);
        if self.claims.published(uid).is_none() {
            self.entries.remove(uid);
        } else if let Some(entry) = self.entries.get_mut(uid) {
            entry.gone = true;
        }
        self.claims.remove(uid)
    }

    /// What is known of a resource.
    #[must_use]
    pub fn entry(&self, uid: &Uid) -> Option<&Entry> {
        self.entries.get(uid).map(|entry| &**entry)
    }

    /// What is known of a resource, to be changed.
    pub fn entry_mut(&mut self, uid: &Uid) -> Option<&mut Entry> {
        self.entries.get_mut(uid).map(|entry| &mut **entry)
    }

    /// The hash of its config while it has all the numbers that it claims; none while it is not to be published.
    #[must_use]
    pub fn hash(&self, uid: &Uid) -> Option<String> {
        let entry = self.entries.get(uid)?;
        match &entry.hash {
            Known::Nothing => None,
            Known::AsRecorded => Some(entry.record.as_ref()?.hash.clone()),
            Known::This(hash) => Some(hash.to_string()),
        }
    }

    /// What is to be told of a resource.
    #[must_use]
    pub fn outcome(&self, uid: &Uid) -> Option<Outcome> {
        match &self.entries.get(uid)?.outcome {
            Known::Nothing => None,
            Known::AsRecorded => self.as_recorded(uid),
            Known::This(outcome) => Some(Outcome::clone(outcome)),
        }
    }

    /// What came of a look: this is to be told.
    pub fn conclude(&mut self, uid: &Uid, outcome: Option<Outcome>) {
        let as_recorded = outcome.is_some() && self.as_recorded(uid) == outcome;
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.outcome = match outcome {
                None => Known::Nothing,
                Some(_) if as_recorded => Known::AsRecorded,
                Some(outcome) => Known::This(Box::new(outcome)),
            };
        }
    }

    /// How a resource is that is live as its record says while nothing is wrong.
    fn as_recorded(&self, uid: &Uid) -> Option<Outcome> {
        let record = self.entries.get(uid)?.record.as_ref()?;
        let live =
            PublishedConfig { dids: self.claims.published(uid)?.dids.clone(), hash: record.hash.clone() };
        let generation = record.generation;
        let assessment = Assessment {
            generation,
            not_published: None,
            published: Some(live),
            current: true,
            unavailable: Vec::new(),
        };
        Some(Outcome::Assessed(assessment))
    }

    /// What was known as the record has it stays as it is while the record changes.
    fn unfold(&mut self, uid: &Uid) {
        let (hash, outcome) = (self.hash(uid), self.outcome(uid));
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.hash = hash.map_or(Known::Nothing, |hash| Known::This(hash.into()));
            entry.outcome = outcome.map_or(Known::Nothing, |outcome| Known::This(Box::new(outcome)));
        }
    }

    /// Every resource that is known.
    pub fn entries(&self) -> impl Iterator<Item = (&Uid, &Entry)> {
        self.entries.iter().map(|(uid, entry)| (uid, &**entry))
    }

    /// What a look at these starts from, who are to be published in one step: one reading of everything. None where
    /// somebody takes something from them who is neither among them nor has `passed`: who takes comes first, or a number
    /// would be nobody's in between.
    #[must_use]
    pub fn views(&self, members: &[Uid], passed: &mut Passed) -> Option<Vec<Snapshot>> {
        let takers = members.iter().flat_map(|uid| self.claims.taking_owners(uid));
        let in_order = |taker: &Uid| {
            members.contains(taker)
                || passed.0.get(taker).is_some_and(|claim| claim.as_ref() == self.claims.get(taker))
        };
        if !takers.into_iter().all(|taker| in_order(&taker)) {
            return None;
        }
        passed.0.extend(members.iter().map(|uid| (uid.clone(), self.claims.get(uid).cloned())));
        Some(members.iter().map(|uid| self.view(uid)).collect())
    }

    fn view(&self, uid: &Uid) -> Snapshot {
        let entry = self.entries.get(uid);
        Snapshot {
            record: entry.and_then(|entry| entry.record.clone()),
            verified: entry.is_some_and(|entry| entry.verified),
            invalidations: entry.map_or(0, |entry| entry.doubts),
            retain: entry.is_some_and(|entry| entry.retain),
            ..Snapshot::of(&self.claims, uid, |owner| {
                Some(self.entries.get(owner)?.record.as_ref()?.generation)
            })
        }
    }

    /// All ownership records of this cluster were read. It may concern everybody.
    pub fn load(&mut self, records: Vec<Found>) {
        // What was asked of Redis before it was read may be answered after: by then it may not hold it any more.
        for entry in self.entries.values_mut() {
            entry.doubts += 1;
        }
        let present: HashSet<&Uid> = records.iter().map(|found| &found.owner).collect();
        let known = self.entries.keys().chain(self.claims.orphans().map(|(uid, _)| uid));
        let lost: Vec<Uid> = known.filter(|uid| !present.contains(*uid)).cloned().collect();
        for uid in lost {
            self.record(&uid, None, false);
        }
        for Found { owner, record, intact } in records {
            self.record(&owner, Some(record), intact);
        }
    }

    /// What a record says, as [`Self::record`] takes it.
    #[must_use]
    pub fn of_record(record: &OwnershipRecord) -> (Published, PublishedVersion) {
        let live = Published { tenant: record.tenant.clone(), dids: record.dids.clone() };
        (live, PublishedVersion::of(record))
    }

    /// A resource's ownership record is this from now on; `intact` says that Redis holds what it says. Says whose
    /// holdings are others now.
    pub fn record(
        &mut self,
        uid: &Uid,
        record: Option<(Published, PublishedVersion)>,
        intact: bool,
    ) -> Affected {
        let (live, published_version) = record.unzip();
        let same =
            |entry: &Entry| entry.record == published_version && self.claims.published(uid) == live.as_ref();
        if !self.entry(uid).is_some_and(same) {
            self.unfold(uid);
        }
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.record = published_version;
            entry.fold_hash();
            entry.verified = intact;
            if entry.gone && live.is_none() {
                self.entries.remove(uid);
            }
        }
        self.claims.set_published(uid, live)
    }

    /// Somebody touched a key of this resource: what Redis holds for it is not known until it is looked at.
    pub fn doubt(&mut self, uid: &Uid) {
        if let Some(entry) = self.entries.get_mut(uid) {
            entry.verified = false;
            entry.doubts += 1;
        }
    }

    /// Who is concerned when a number's mapping changes in Redis.
    #[must_use]
    pub fn concerned_by_did(&self, did: &Did) -> Option<Uid> {
        self.claims.holder(did).cloned()
    }

    /// Who is concerned when a tenant's config changes in Redis.
    #[must_use]
    pub fn concerned_by_tenant(&self, tenant: &TenantId) -> Option<Uid> {
        self.claims.tenant_holder(tenant).cloned()
    }

    /// The Secret's version, if it exists.
    #[must_use]
    pub fn secret_version(&self, wanted: &SecretKey) -> Option<Version> {
        self.secrets.version(&wanted.secret).cloned()
    }
}

impl Entry {
    fn new(name: ResourceName) -> Self {
        Self {
            name,
            record: None,
            hash: Known::Nothing,
            verified: false,
            doubts: 0,
            outcome: Known::Nothing,
            notes: Vec::new(),
            wrote: false,
            seen: 0,
            written: 0,
            failures: 0,
            waits: None,
            unreadable: None,
            retain: false,
            gone: false,
            waits_since: [None; 2],
            trace: None,
        }
    }

    /// Whether something is to be told of it.
    #[must_use]
    pub fn has_outcome(&self) -> bool {
        self.outcome != Known::Nothing
    }

    /// What is to be told of it where not all is well.
    #[must_use]
    pub fn assessment(&self) -> Option<&Assessment> {
        match &self.outcome {
            Known::This(outcome) => match &**outcome {
                Outcome::Assessed(assessment) => Some(assessment),
                Outcome::FinalizerRemovable => None,
            },
            Known::Nothing | Known::AsRecorded => None,
        }
    }

    fn fold_hash(&mut self) {
        if let (Known::This(hash), Some(record)) = (&self.hash, &self.record)
            && **hash == *record.hash
        {
            self.hash = Known::AsRecorded;
        }
    }

    /// Something called for a look; what follows belongs to one trace until its status is told.
    pub fn begin_trace(&mut self) {
        if self.trace.is_none() {
            let span = trace_span!(target: TRACES, parent: None, "change", resource = %self.name);
            self.trace = Some(span).filter(|span| !span.is_disabled()).map(Box::new);
        }
    }

    /// This resourceVersion is our own doing. The watch may show it before the answer to the write does.
    pub fn wrote_version(&mut self, version: Option<u64>) {
        self.written = version.unwrap_or_default();
    }

    /// A list shows what is there now. Our own last write may be undone: by an etcd that was restored.
    pub fn listed(&mut self) {
        self.written = 0;
    }

    /// Whether the watch still shows the resource as it was before our own last write.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.written > self.seen
    }
}

impl PublishedVersion {
    /// What a record says.
    #[must_use]
    pub fn of(record: &OwnershipRecord) -> Self {
        Self { generation: record.generation, secret: record.secret.clone(), hash: record.hash.clone() }
    }
}

impl Note {
    /// Something good to know.
    #[must_use]
    pub fn normal(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into() }
    }

    /// Something that a person should see to.
    #[must_use]
    pub fn warning(reason: &'static str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into() }
    }
}

/// The Secret that a spec refers to.
#[must_use]
pub fn secret_key(name: &ResourceName, spec: &RuntimeTenantSpec) -> SecretKey {
    let reference = &spec.webhook_secret_ref;
    SecretKey { secret: ResourceName::new(&name.namespace, &reference.name), key: reference.key.clone() }
}

/// The numbers that a status says are live.
#[must_use]
pub fn told(status: Option<&KeptStatus>) -> Vec<Did> {
    status.map(KeptStatus::published_dids).unwrap_or_default()
}
