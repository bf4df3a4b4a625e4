//! Decides what one reconcile of a resource must do: a plan, which is a value that says what to write.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use secrecy::SecretString;

use super::assessment::{Assessment, Holder, NotPublished, PublishedConfig, UnavailableDid};
use super::claims::{Claims, HeldBy, Holdings, Published};
use super::compile;
use super::{ResourceName, Uid};
use crate::api::{DeletionPolicy, RuntimeTenantSpec};
use crate::contract::{Did, RuntimeTenantConfig, TenantId};

/// The version of a tenant's keys, as its ownership record states it. If it is equal to the desired one, nothing must be
/// written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PublishedVersion {
    /// The resource's generation.
    pub generation: i64,
    /// The Secret's version, and whether its value was published.
    pub secret: String,
    /// The hash of the config without the secret; the config contains the DIDs.
    pub hash: String,
}

/// The result of a reconcile, for the resource's status and finalizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The resource stays; its status must say this.
    Assessed(Assessment),
    /// The resource is being deleted and its keys are as its deletion policy wants them: the finalizer can be removed.
    FinalizerRemovable,
}

/// The facts about one resource when its reconcile starts, all read at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The things that the resource holds; `None` while it is being deleted or claims nothing.
    pub holdings: Option<Holdings>,
    /// The names of the resources that hold what it waits for.
    pub names: HashMap<Uid, ResourceName>,
    /// The owners that yield to it, each with the generation that its record is known to have.
    pub yielding_owners: BTreeMap<Uid, Option<i64>>,
    /// The published state, by its ownership record.
    pub published: Option<Published>,
    /// The version that its ownership record states.
    pub record: Option<PublishedVersion>,
    /// True if Redis is known to hold exactly what the record says.
    pub verified: bool,
    /// What it may not take yet, since Redis has lost data.
    pub held_back: HeldBack,
}

/// The things that a resource may not take for a while after a loss in Redis, so that their holders come first: each with the
/// holder that the status names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// The holder of the tenant id.
    pub tenant: Option<Holder>,
    /// The DIDs.
    pub dids: Vec<UnavailableDid>,
    /// True if the DIDs in its status are its own even where its record does not list them: the record may be an older one.
    pub after_loss: bool,
}

impl Snapshot {
    /// Takes the part of a snapshot that follows from the claims. `generation` returns the generation that a resource's
    /// record is known to have.
    #[must_use]
    pub fn of(claims: &Claims, uid: &Uid, generation: impl Fn(&Uid) -> Option<i64>) -> Self {
        let holdings = claims.possible_holdings(uid);
        let holders = holdings.iter().flat_map(|holdings| {
            holdings.contested.iter().map(|(_, holder)| holder).chain(&holdings.tenant_held_by)
        });
        let holders: BTreeSet<&Uid> = holders.filter_map(HeldBy::uid).collect();
        let holders = holders.into_iter();
        let names = holders.filter_map(|uid| Some((uid.clone(), claims.get(uid)?.name.clone()))).collect();
        Self {
            names,
            holdings,
            yielding_owners: claims
                .yielding_owners(uid)
                .into_iter()
                .map(|owner| {
                    let generation = generation(&owner);
                    (owner, generation)
                })
                .collect(),
            published: claims.published(uid).cloned(),
            record: None,
            verified: false,
            held_back: HeldBack::default(),
        }
    }
}

/// The conflicts that Redis reported in this reconcile and that no change of the index resolves: with owners outside of
/// the resources of this operator, or with records of resources that are gone.
#[derive(Clone, Debug, Default)]
pub struct Rejections {
    /// The generation of the resource that was rejected. Another generation may have none of these conflicts.
    pub generation: i64,
    /// The reason for which nothing at all can be published.
    pub not_published: Option<NotPublished>,
    /// DIDs that belong to an owner outside of this cluster's resources.
    pub unavailable: Vec<UnavailableDid>,
    /// Owners by record whose resource is gone. The resource itself, if its record has a generation that does not exist
    /// any more.
    pub yielding_owners: BTreeSet<Uid>,
}

impl Rejections {
    /// Forgets everything that was reported for another generation.
    pub fn reset_for_generation(&mut self, generation: i64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    /// Adds that `holder` has these DIDs, or the tenant id if there are none.
    pub fn add(&mut self, holder: Holder, dids: Vec<Did>) {
        if dids.is_empty() {
            self.not_published = Some(NotPublished::Tenant(holder));
        } else {
            let unavailable = dids.into_iter().map(|did| UnavailableDid { did, holder: holder.clone() });
            self.unavailable.extend(unavailable);
        }
    }
}

/// The task of a reconcile.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Nothing must be written to Redis.
    Done(Outcome),
    /// The resource's keys must be removed.
    Remove(RemovalPlan),
    /// The resource must be published, unless Redis holds this already.
    Publish(Box<Desired>),
}

/// The keys to remove.
#[derive(Clone, Debug)]
pub struct RemovalPlan {
    /// The tenant id.
    pub tenant: TenantId,
    /// The DIDs that the status lists as published: they are removed even if the record is lost.
    pub previously_listed: Vec<Did>,
    /// True if only the ownership record must be removed.
    pub retain: bool,
    /// The outcome once they are removed; `None` for a resource that is gone.
    pub outcome: Option<Outcome>,
}

/// The desired state of a resource that can be published.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The spec, which is valid.
    pub spec: RuntimeTenantSpec,
    /// The config with the DIDs that the resource holds, without the secret's value.
    pub config: RuntimeTenantConfig,
    /// The hash of that config.
    pub hash: String,
    /// The DIDs that the resource does not hold.
    pub unavailable: Vec<UnavailableDid>,
}

/// A publication, all but the name of the resource that it is for.
#[derive(Debug)]
pub struct PublicationDraft {
    /// The config to store, which lists the DIDs to map.
    pub config: RuntimeTenantConfig,
    /// The version that the ownership record will state.
    pub version: PublishedVersion,
    /// The DIDs that were published for the resource before, by all that is known.
    pub previously_listed: Vec<Did>,
    /// The owners that yield to it while their record has this generation; `None`: any generation.
    pub yielding_owners: BTreeMap<Uid, Option<i64>>,
    /// True if only the Secret's version has changed.
    pub rotation: bool,
}

/// Plans the removal of what a resource left that vanished without passing through its finalizer. `None`: nothing is
/// left.
#[must_use]
pub fn plan_orphan(snapshot: &Snapshot, policy: DeletionPolicy) -> Option<RemovalPlan> {
    let tenant = snapshot.published.as_ref()?.tenant.clone();
    let retain = policy == DeletionPolicy::Retain;
    Some(RemovalPlan { tenant, previously_listed: Vec::new(), retain, outcome: None })
}

/// Plans the removal of a resource's keys while it is being deleted: only its own keys, and without its Secret.
/// `status_dids` are the DIDs that its status lists. `None`: it never had keys.
#[must_use]
pub fn plan_deletion(
    spec: &str,
    status_dids: Vec<Did>,
    snapshot: &Snapshot,
    policy: DeletionPolicy,
) -> Option<RemovalPlan> {
    let published = snapshot.published.as_ref().map(|published| published.tenant.clone());
    Some(RemovalPlan {
        tenant: published.or_else(|| compile::claimed(spec).tenant)?,
        previously_listed: status_dids,
        retain: policy == DeletionPolicy::Retain,
        outcome: Some(Outcome::FinalizerRemovable),
    })
}

/// Fast path: returns the outcome if the published version is current and verified, without decoding the spec. `hash` is
/// that of the config with all claimed DIDs, `secret` the Secret's version in the form of the record. `None`: make a
/// full plan.
#[must_use]
pub fn unchanged(snapshot: &Snapshot, generation: i64, hash: String, secret: String) -> Option<Outcome> {
    let holdings = snapshot.holdings.as_ref()?;
    let published = snapshot.published.as_ref()?;
    let holds_everything = holdings.contested.is_empty() && holdings.tenant_held_by.is_none();
    if !holds_everything || !snapshot.verified || published.dids != holdings.dids {
        return None;
    }
    let version = PublishedVersion { generation, secret, hash };
    (snapshot.record.as_ref() == Some(&version)).then(|| {
        let published = PublishedConfig { dids: published.dids.clone(), hash: version.hash };
        Outcome::Assessed(Assessment::published(generation, published))
    })
}

/// Everything from which the plan for a resource that stays is made.
#[derive(Clone, Copy, Debug)]
pub struct PlanInput<'a> {
    /// The spec, JSON.
    pub spec: &'a str,
    /// The resource's generation.
    pub generation: i64,
    /// The facts about the resource.
    pub snapshot: &'a Snapshot,
    /// The conflicts that Redis reported.
    pub rejections: &'a Rejections,
}

impl PlanInput<'_> {
    /// Makes the plan.
    #[must_use]
    pub fn plan(&self) -> Plan {
        if self.spec.len() > compile::MAX_SPEC_BYTES {
            return self.too_large(self.spec.len(), compile::MAX_SPEC_BYTES);
        }
        let spec = match compile::read(self.spec) {
            Ok(spec) => spec,
            Err(why) => return self.not_published(NotPublished::Unreadable(why)),
        };
        let (dids, unavailable) = self.dids();
        let config = match compile::checked(&spec, &dids) {
            Ok(config) => config,
            Err(violations) => return self.not_published(NotPublished::Invalid(violations)),
        };
        if spec.suspend {
            return self.suspended(&spec, unavailable);
        }
        if let Some(conflict) = self.tenant_conflict() {
            return self.not_published(conflict);
        }
        let held_back = self.snapshot.held_back.tenant.clone().map(NotPublished::Tenant);
        if let Some(rejection) = self.rejections.not_published.clone().or(held_back) {
            let assessment = self.assessment(rejection, None);
            return Plan::Done(Outcome::Assessed(Assessment { unavailable, ..assessment }));
        }
        let Some(config) = config else { return self.without_dids(unavailable) };
        let hash = config.hash_without_secret();
        Plan::Publish(Box::new(Desired { spec, config, hash, unavailable }))
    }

    /// The plan for a spec with more bytes than are read: what is live stays.
    #[must_use]
    pub fn too_large(&self, bytes: usize, max_bytes: usize) -> Plan {
        self.not_published(NotPublished::Invalid(vec![compile::too_large(bytes, max_bytes)]))
    }

    /// True if the ownership record states the desired version: then nothing must be written while Redis holds what the
    /// record says.
    #[must_use]
    pub fn is_recorded(&self, desired: &Desired, version: &PublishedVersion) -> bool {
        let published = self.snapshot.published.as_ref();
        self.snapshot.record.as_ref() == Some(version)
            && published.is_some_and(|published| published.dids == desired.config.dids())
    }

    /// The version that the ownership record must state. `secret` is the Secret's version in the form of the record.
    #[must_use]
    pub fn published_version(&self, desired: &Desired, secret: String) -> PublishedVersion {
        PublishedVersion { generation: self.generation, secret, hash: desired.hash.clone() }
    }

    /// The assessment once the resource is published.
    #[must_use]
    pub fn assess_published(&self, desired: &Desired) -> Assessment {
        let published = PublishedConfig { dids: desired.config.dids().to_vec(), hash: desired.hash.clone() };
        Assessment {
            unavailable: desired.unavailable.clone(),
            wanted: published.dids.len() + desired.unavailable.len(),
            ..Assessment::published(self.generation, published)
        }
    }

    /// The outcome while something prevents the desired state from being published.
    #[must_use]
    pub fn blocked(&self, desired: &Desired, why: NotPublished) -> Outcome {
        let assessment = self.assessment(why, Some(&desired.hash));
        Outcome::Assessed(Assessment { unavailable: desired.unavailable.clone(), ..assessment })
    }

    /// Drafts the publication. `secret` is the Secret's version in the form of the record, `value` its value if that
    /// must be published, `status_dids` the DIDs that the status lists.
    pub fn draft_publication(
        &self,
        desired: &Desired,
        secret: String,
        value: Option<&SecretString>,
        mut status_dids: Vec<Did>,
    ) -> Result<PublicationDraft, NotPublished> {
        let config = match value {
            Some(value) => desired
                .config
                .with_secret(value)
                .map_err(|invalid| NotPublished::Invalid(compile::violations(&invalid)))?,
            None => desired.config.clone(),
        };
        let published = self.snapshot.published.iter().flat_map(|published| &published.dids);
        status_dids.extend(published.cloned());
        let version = self.published_version(desired, secret);
        let record = self.snapshot.record.as_ref();
        let rotation =
            record.is_some_and(|before| before.hash == version.hash && before.secret != version.secret);
        let mut yielding_owners = self.snapshot.yielding_owners.clone();
        yielding_owners.extend(self.rejections.yielding_owners.iter().map(|uid| (uid.clone(), None)));
        Ok(PublicationDraft { config, version, previously_listed: status_dids, yielding_owners, rotation })
    }

    /// The DIDs that the resource holds, and those that it does not hold, in the order of the spec.
    fn dids(&self) -> (Vec<Did>, Vec<UnavailableDid>) {
        let Some(holdings) = &self.snapshot.holdings else { return (Vec::new(), Vec::new()) };
        let mut rejected = self.rejections.unavailable.clone();
        let is_in = |rejected: &[UnavailableDid], did: &Did| rejected.iter().any(|other| other.did == *did);
        let held_back = self.snapshot.held_back.dids.iter();
        let is_new =
            |held: &&UnavailableDid| holdings.dids.contains(&held.did) && !is_in(&rejected, &held.did);
        let held_back: Vec<_> = held_back.filter(is_new).cloned().collect();
        rejected.extend(held_back);
        let held = holdings.dids.iter().filter(|did| !is_in(&rejected, did)).cloned().collect();
        let contested = holdings.contested.iter();
        let contested =
            contested.map(|(did, held_by)| UnavailableDid { did: did.clone(), holder: self.holder(held_by) });
        (held, contested.chain(rejected).collect())
    }

    fn holder(&self, held_by: &HeldBy) -> Holder {
        let Some(uid) = held_by.uid() else { return Holder::Unnamed };
        let name = self.snapshot.names.get(uid).cloned();
        Holder::Resource(name.unwrap_or_else(|| ResourceName::new("?", uid.as_str())))
    }

    fn tenant_conflict(&self) -> Option<NotPublished> {
        let holder = self.snapshot.holdings.as_ref()?.tenant_held_by.as_ref()?;
        Some(NotPublished::Tenant(self.holder(holder)))
    }

    /// The config that stays published while something prevents a publish.
    #[must_use]
    pub fn published_config(&self) -> Option<PublishedConfig> {
        let published = self.snapshot.published.as_ref()?;
        let hash = self.snapshot.record.as_ref().map(|record| record.hash.clone()).unwrap_or_default();
        Some(PublishedConfig { dids: published.dids.clone(), hash })
    }

    fn assessment(&self, why: NotPublished, desired_hash: Option<&String>) -> Assessment {
        let published = self.published_config();
        let current = published.as_ref().is_some_and(|published| Some(&published.hash) == desired_hash);
        let (wanted, live) = self.count(published.as_ref());
        Assessment { published, current, wanted, live, ..Assessment::not_published(self.generation, why) }
    }

    /// The number of DIDs of the spec, and how many of them are in this config.
    #[must_use]
    pub fn count(&self, published: Option<&PublishedConfig>) -> (usize, usize) {
        let Some(holdings) = &self.snapshot.holdings else { return (0, 0) };
        let wanted = || holdings.dids.iter().chain(holdings.contested.iter().map(|(did, _)| did));
        let is_live = |did: &&Did| published.is_some_and(|published| published.dids.contains(did));
        (wanted().count(), wanted().filter(is_live).count())
    }

    fn not_published(&self, why: NotPublished) -> Plan {
        Plan::Done(Outcome::Assessed(self.assessment(why, None)))
    }

    /// Redis matches the spec where it holds the same numbers in the same config, and nothing says that it was changed.
    fn suspended(&self, spec: &RuntimeTenantSpec, unavailable: Vec<UnavailableDid>) -> Plan {
        let published = self.snapshot.published.as_ref().map_or(&[][..], |published| &published.dids);
        let same_dids = self.snapshot.holdings.as_ref().is_some_and(|holdings| holdings.dids == published);
        let config = (same_dids && self.snapshot.verified).then(|| compile::compile(spec, published).ok());
        let hash = config.flatten().map(|config| config.hash_without_secret());
        let assessment = self.assessment(NotPublished::Suspended, hash.as_ref());
        Plan::Done(Outcome::Assessed(Assessment { unavailable, ..assessment }))
    }

    /// All claimed DIDs belong to others: the config must be removed, with the DIDs that the tenant has released.
    fn without_dids(&self, unavailable: Vec<UnavailableDid>) -> Plan {
        let assessment = Assessment::not_published(self.generation, NotPublished::NoDids);
        let wanted = unavailable.len();
        let outcome = Outcome::Assessed(Assessment { unavailable, wanted, ..assessment });
        let Some(published) = &self.snapshot.published else { return Plan::Done(outcome) };
        Plan::Remove(RemovalPlan {
            tenant: published.tenant.clone(),
            previously_listed: Vec::new(),
            retain: false,
            outcome: Some(outcome),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::claims::Claim;

    const SPEC: &str = r#"{
        "tenantId": "acme", "dids": ["+15551234567", "+1 555 765 4321"], "webhookSecretRef": { "name": "hook" },
        "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" }
    }"#;

    fn claim(name: &str, claimed: compile::Claimed) -> Claim {
        Claim {
            uid: Uid::from(name),
            name: ResourceName::new("ns", name),
            created: 0,
            tenant: claimed.tenant.unwrap(),
            dids: claimed.dids,
            eligibility: claimed.eligibility,
            status_dids: Vec::new(),
            refused_outside: false,
        }
    }

    #[test]
    fn the_fast_path_agrees_with_a_full_plan() {
        let (uid, claimed) = (Uid::from("acme"), compile::claimed(SPEC));
        let (dids, hash, secret) = (claimed.dids.clone(), claimed.hash.clone().unwrap(), "s/1".to_owned());
        let mut claims = Claims::default();
        claims.upsert(claim("acme", claimed.clone()));
        claims.set_published(&uid, Some(Published { tenant: claimed.tenant.clone().unwrap(), dids }));
        let record = PublishedVersion { generation: 1, secret: secret.clone(), hash: hash.clone() };
        let snapshot =
            Snapshot { record: Some(record), verified: true, ..Snapshot::of(&claims, &uid, |_| None) };
        let rejections = Rejections::default();
        let input = PlanInput { spec: SPEC, generation: 1, snapshot: &snapshot, rejections: &rejections };
        let Plan::Publish(desired) = input.plan() else { panic!("it must be published") };
        assert!(input.is_recorded(&desired, &input.published_version(&desired, secret.clone())));

        let fast = |snapshot: &Snapshot, generation, hash: &str, secret: &str| {
            unchanged(snapshot, generation, hash.to_owned(), secret.to_owned())
        };
        let expected = Some(Outcome::Assessed(input.assess_published(&desired)));
        assert_eq!(fast(&snapshot, 1, &hash, &secret), expected);
        let invalidated = Snapshot { verified: false, ..snapshot.clone() };
        assert_eq!(fast(&invalidated, 1, &hash, &secret), None);
        assert_eq!(fast(&snapshot, 2, &hash, &secret), None, "the spec was edited");
        assert_eq!(fast(&snapshot, 1, &hash, "s/2"), None, "the Secret was rotated");
        assert_eq!(fast(&snapshot, 1, "other", &secret), None, "the config is compiled differently");

        let mut other = claim("other", claimed);
        (other.created, other.dids) = (-1, vec![Did::parse("+15551234567").unwrap()]);
        claims.set_published(&Uid::from("acme"), None);
        claims.upsert(other);
        let record = snapshot.record.clone();
        let contested = Snapshot { record, verified: true, ..Snapshot::of(&claims, &uid, |_| None) };
        assert_eq!(fast(&contested, 1, &hash, &secret), None, "another tenant holds the tenant id");
    }
}
