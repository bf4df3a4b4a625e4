//! What one resource calls for, decided from one consistent reading of what is known: a value, before anything is done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use secrecy::SecretString;

use super::claims::{Claims, Holdings, Live};
use super::compile;
use super::verdict::{Blocker, Holder, Lacking, Published, Verdict};
use super::{ResourceName, Uid};
use crate::api::RuntimeTenantSpec;
use crate::contract::{Did, RuntimeTenantConfig, TenantId};

/// What an ownership record says of what is published: equal ones mean that nothing is to be written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The resource's generation.
    pub generation: i64,
    /// The Secret's version, and whether its value was published.
    pub secret: String,
    /// The hash of the config without the secret; it covers the numbers too.
    pub hash: String,
}

/// What came of a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays: this is how it is.
    Seen(Verdict),
    /// It is being deleted, and its keys are as its policy wants them: the finalizer can go.
    Released,
}

/// What one look at a resource starts from: one consistent reading of the state.
#[derive(Clone, Debug)]
pub struct View {
    /// What it holds; none while it is deleted or claims nothing.
    pub holdings: Option<Holdings>,
    /// Names of the holders of what it lost.
    pub names: HashMap<Uid, ResourceName>,
    /// Owners that yield to it, with the generation that their record is known to carry.
    pub predecessors: BTreeMap<Uid, Option<i64>>,
    /// What is live by record.
    pub live: Option<Live>,
    /// What the record says.
    pub record: Option<Fingerprint>,
    /// Whether Redis was seen to hold it.
    pub verified: bool,
    /// How often there was a sign that it might not.
    pub doubts: u64,
    /// Whether its keys outlive it.
    pub retain: bool,
}

impl View {
    /// What the claims say of `uid`; nothing is known of its record beside what is live. `generation` is what another
    /// one's record carries.
    #[must_use]
    pub fn of(claims: &Claims, uid: &Uid, generation: impl Fn(&Uid) -> Option<i64>) -> Self {
        let holdings = claims.holdings(uid);
        let holders = holdings.iter().flat_map(|holdings| {
            holdings.lost.iter().map(|(_, holder)| holder).chain(&holdings.tenant_lost_to)
        });
        let names = holders.filter_map(|uid| Some((uid.clone(), claims.get(uid)?.name.clone()))).collect();
        Self {
            names,
            holdings,
            predecessors: claims
                .predecessors(uid)
                .into_iter()
                .map(|owner| {
                    let generation = generation(&owner);
                    (owner, generation)
                })
                .collect(),
            live: claims.live(uid).cloned(),
            record: None,
            verified: false,
            doubts: 0,
            retain: false,
        }
    }
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
    /// Owners by record of which no resource is left; the resource itself, where the record is of a generation that
    /// is none any more.
    pub predecessors: BTreeSet<Uid>,
}

impl Findings {
    /// Forgets what was found of another generation.
    pub fn of_generation(&mut self, generation: i64) {
        if self.generation != generation {
            *self = Self { generation, ..Self::default() };
        }
    }

    /// Somebody whom no resource decides about has these numbers, or the tenant id where there are none.
    pub fn lost(&mut self, holder: Holder, dids: Vec<Did>) {
        if dids.is_empty() {
            self.blocker = Some(Blocker::Tenant(holder));
        } else {
            self.lacking.extend(dids.into_iter().map(|did| Lacking { did, holder: holder.clone() }));
        }
    }
}

/// What a resource calls for.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Nothing is to be written: this is how it is.
    Settled(Outcome),
    /// What Redis holds for it is to go.
    Remove(Farewell),
    /// It is to be published, unless it is.
    Publish(Box<Wanted>),
}

/// What is to go.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// The tenant id.
    pub tenant: TenantId,
    /// The numbers that the status lists as live: they go even when the record is lost.
    pub known: Vec<Did>,
    /// Only the ownership record goes.
    pub retain: bool,
    /// How it is then; none for a resource that is gone.
    pub outcome: Option<Outcome>,
}

/// What is to be live.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The spec, which is valid.
    pub spec: RuntimeTenantSpec,
    /// The config with the numbers that it holds, without a secret.
    pub draft: RuntimeTenantConfig,
    /// The draft's hash.
    pub hash: String,
    /// The numbers that it lacks.
    pub lacking: Vec<Lacking>,
}

/// A publication, all but the names of who wants it.
#[derive(Debug)]
pub struct Ready {
    /// What is stored, with its numbers.
    pub config: RuntimeTenantConfig,
    /// What its record will say.
    pub fingerprint: Fingerprint,
    /// The numbers that were its own, as far as anyone knows.
    pub known: Vec<Did>,
    /// Owners that yield to it while their record carries this generation; none: any.
    pub predecessors: BTreeMap<Uid, Option<i64>>,
    /// Whether the Secret's version is the only news.
    pub rotation: bool,
}

/// A resource that vanished without passing through its finalizer: what its record lists goes too. None: nothing is left.
#[must_use]
pub fn vanished(view: &View) -> Option<Farewell> {
    let tenant = view.live.as_ref()?.tenant.clone();
    Some(Farewell { tenant, known: Vec::new(), retain: view.retain, outcome: None })
}

/// A resource that is being deleted: only what is its own goes, and never a Secret is needed. `told` are the numbers
/// that its status lists. None: nothing was ever its own.
#[must_use]
pub fn deleted(spec: &str, told: Vec<Did>, view: &View) -> Option<Farewell> {
    let live = view.live.as_ref().map(|live| live.tenant.clone());
    let tenant = live.or_else(|| compile::claimed(spec).tenant)?;
    Some(Farewell { tenant, known: told, retain: view.retain, outcome: Some(Outcome::Released) })
}

/// How one is that is live as it is wanted and of which nothing is in doubt, made out without reading its spec. `hash`
/// is that of its config with all its numbers, `secret` the Secret's version as it is recorded. None: it has to be
/// looked at.
#[must_use]
pub fn unchanged(view: &View, generation: i64, hash: String, secret: String) -> Option<Outcome> {
    let holdings = view.holdings.as_ref()?;
    let whole = holdings.lost.is_empty() && holdings.tenant_lost_to.is_none();
    let live = view.live.as_ref().filter(|live| whole && view.verified && live.dids == holdings.dids)?;
    let fingerprint = Fingerprint { generation, secret, hash };
    (view.record.as_ref() == Some(&fingerprint)).then(|| {
        let live = Some(Published { dids: live.dids.clone(), hash: fingerprint.hash });
        Outcome::Seen(Verdict { generation, blocker: None, live, current: true, lacking: Vec::new() })
    })
}

/// A look at a resource that stays.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Its spec, JSON.
    pub spec: &'a str,
    /// Its generation.
    pub generation: i64,
    /// What is known of it.
    pub view: &'a View,
    /// What Redis knew better.
    pub findings: &'a Findings,
}

impl Look<'_> {
    /// Says what it calls for.
    #[must_use]
    pub fn plan(&self) -> Plan {
        let spec = match compile::read(self.spec) {
            Ok(spec) => spec,
            Err(why) => return self.blocked(Blocker::Unreadable(why)),
        };
        let (dids, lacking) = self.numbers();
        let draft = match compile::checked(&spec, &dids) {
            Ok(draft) => draft,
            Err(faults) => return self.blocked(Blocker::Invalid(faults)),
        };
        if spec.suspend {
            return self.suspended(&spec, lacking);
        }
        if let Some(blocker) = self.lost_tenant() {
            return self.blocked(blocker);
        }
        if let Some(blocker) = self.findings.blocker.clone() {
            let verdict = self.verdict(Some(blocker), None);
            return Plan::Settled(Outcome::Seen(Verdict { lacking, ..verdict }));
        }
        let Some(draft) = draft else { return self.without_numbers(lacking) };
        let hash = draft.hash_without_secret();
        Plan::Publish(Box::new(Wanted { spec, draft, hash, lacking }))
    }

    /// Whether the record says what is wanted with this Secret: then nothing is to be written while Redis still holds
    /// what the record says.
    #[must_use]
    pub fn is_recorded(&self, wanted: &Wanted, fingerprint: &Fingerprint) -> bool {
        self.view.record.as_ref() == Some(fingerprint)
            && self.view.live.as_ref().is_some_and(|live| live.dids == wanted.draft.dids())
    }

    /// What the record must say for nothing to be written. `secret` is the Secret's version, as it is recorded.
    #[must_use]
    pub fn fingerprint(&self, wanted: &Wanted, secret: String) -> Fingerprint {
        Fingerprint { generation: self.generation, secret, hash: wanted.hash.clone() }
    }

    /// How it is once it is published.
    #[must_use]
    pub fn published(&self, wanted: &Wanted) -> Verdict {
        let dids = wanted.draft.dids().to_vec();
        Verdict {
            generation: self.generation,
            blocker: None,
            live: Some(Published { dids, hash: wanted.hash.clone() }),
            current: true,
            lacking: wanted.lacking.clone(),
        }
    }

    /// How it is while something keeps it from being published as it is wanted.
    #[must_use]
    pub fn kept(&self, wanted: &Wanted, blocker: Blocker) -> Outcome {
        let verdict = self.verdict(Some(blocker), Some(&wanted.hash));
        Outcome::Seen(Verdict { lacking: wanted.lacking.clone(), ..verdict })
    }

    /// What is to be published with this Secret: its version as it is recorded, its value if that is published. `told`
    /// are the numbers that its status lists. The error is what keeps it from that.
    pub fn ready(
        &self,
        wanted: &Wanted,
        secret: String,
        value: Option<&SecretString>,
        mut told: Vec<Did>,
    ) -> Result<Ready, Blocker> {
        let config = match value {
            Some(value) => wanted
                .draft
                .with_secret(value)
                .map_err(|invalid| Blocker::Invalid(compile::faults(&invalid)))?,
            None => wanted.draft.clone(),
        };
        told.extend(self.view.live.iter().flat_map(|live| live.dids.iter().cloned()));
        let fingerprint = self.fingerprint(wanted, secret);
        let rotation = self
            .view
            .record
            .as_ref()
            .is_some_and(|before| before.hash == fingerprint.hash && before.secret != fingerprint.secret);
        let mut predecessors = self.view.predecessors.clone();
        predecessors.extend(self.findings.predecessors.iter().map(|uid| (uid.clone(), None)));
        Ok(Ready { config, fingerprint, known: told, predecessors, rotation })
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

    fn verdict(&self, blocker: Option<Blocker>, wanted: Option<&String>) -> Verdict {
        let live = self.live();
        let current = live.as_ref().is_some_and(|live| Some(&live.hash) == wanted);
        Verdict { generation: self.generation, blocker, live, current, lacking: Vec::new() }
    }

    fn blocked(&self, blocker: Blocker) -> Plan {
        Plan::Settled(Outcome::Seen(self.verdict(Some(blocker), None)))
    }

    fn suspended(&self, spec: &RuntimeTenantSpec, lacking: Vec<Lacking>) -> Plan {
        let live = self.view.live.as_ref().map_or(&[][..], |live| &live.dids);
        let hash = compile::compile(spec, live).ok().map(|draft| draft.hash_without_secret());
        let verdict = self.verdict(Some(Blocker::Suspended), hash.as_ref());
        Plan::Settled(Outcome::Seen(Verdict { lacking, ..verdict }))
    }

    /// Every number that it claims is another's. Numbers that it had before it let go of itself: they, and its config
    /// with them, go.
    fn without_numbers(&self, lacking: Vec<Lacking>) -> Plan {
        let verdict = Verdict {
            generation: self.generation,
            blocker: Some(Blocker::NoNumbers),
            live: None,
            current: false,
            lacking,
        };
        let outcome = Outcome::Seen(verdict);
        let Some(live) = &self.view.live else { return Plan::Settled(outcome) };
        Plan::Remove(Farewell {
            tenant: live.tenant.clone(),
            known: Vec::new(),
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
            standing: claimed.standing,
            told: Vec::new(),
        }
    }

    #[test]
    fn what_is_made_out_without_the_spec_is_what_a_look_at_it_says() {
        let (uid, claimed) = (Uid::from("acme"), compile::claimed(SPEC));
        let (dids, hash, secret) = (claimed.dids.clone(), claimed.hash.clone().unwrap(), "s/1".to_owned());
        let mut claims = Claims::default();
        claims.upsert(claim("acme", claimed.clone()));
        claims.set_live(&uid, Some(Live { tenant: claimed.tenant.clone().unwrap(), dids }));
        let record = Fingerprint { generation: 1, secret: secret.clone(), hash: hash.clone() };
        let view = View { record: Some(record), verified: true, ..View::of(&claims, &uid, |_| None) };
        let findings = Findings::default();
        let look = Look { spec: SPEC, generation: 1, view: &view, findings: &findings };
        let Plan::Publish(wanted) = look.plan() else { panic!("it is to be published") };
        assert!(look.is_recorded(&wanted, &look.fingerprint(&wanted, secret.clone())));

        let made_out = unchanged(&view, 1, hash.clone(), secret.clone());
        assert_eq!(made_out, Some(Outcome::Seen(look.published(&wanted))));
        let doubted = View { verified: false, ..view.clone() };
        assert_eq!(unchanged(&doubted, 1, hash.clone(), secret.clone()), None);
        assert_eq!(unchanged(&view, 2, hash.clone(), secret.clone()), None, "it was edited");
        assert_eq!(unchanged(&view, 1, hash.clone(), "s/2".to_owned()), None, "its Secret was rotated");
        assert_eq!(unchanged(&view, 1, "other".to_owned(), secret.clone()), None, "it is compiled otherwise");

        let mut other = claim("other", claimed);
        (other.created, other.dids) = (-1, vec![Did::parse("+15551234567").unwrap()]);
        claims.set_live(&Uid::from("acme"), None);
        claims.upsert(other);
        let lost = View { record: view.record.clone(), verified: true, ..View::of(&claims, &uid, |_| None) };
        assert_eq!(unchanged(&lost, 1, hash, secret), None, "it lost its tenant id");
    }
}
