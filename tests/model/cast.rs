//! Who plays: two resources, each deleted and made again perhaps, and two numbers. States name them by small figures;
//! here are the product's values for them.

use std::sync::LazyLock;

use runtime_operator::contract::{Did, RuntimeTenantConfig, TenantId};
use runtime_operator::domain::claims::{Claim, Eligibility};
use runtime_operator::domain::{ClusterId, Owner, ResourceName, Uid, compile};
use runtime_operator::store::{Operation, Publication, Removal};
use secrecy::ExposeSecret;
use serde_json::json;

/// A name under which there is one resource at a time: 0 or 1.
pub type Slot = usize;
/// A resource: its slot is its figure modulo two, and who was made later has the higher one.
pub type Who = u8;
/// A set of numbers: bit 0 is the first, and so on.
pub type Numbers = u8;

pub const SLOTS: usize = 2;
/// The most resources that there are in a run.
pub const CAST: usize = 6;
pub const NUMBERS: usize = 2;
/// All writers are replicas of one operator.
pub const WRITER: &str = "here/voice";
/// The tenant id to which the foreign actor maps numbers; no resource has it.
pub const STRANGER: &str = "stranger";
/// The Secret's version, the same all the time.
pub const SECRET: &str = "secret/1";

/// What the product makes of one slot with each set of numbers.
struct Part {
    spec: String,
    /// None for the empty set.
    config: Option<String>,
    hash: String,
}

static UIDS: LazyLock<Vec<Uid>> =
    LazyLock::new(|| (0..CAST).map(|who| Uid::new(format!("uid-{who}"))).collect());
static NAMES: LazyLock<Vec<ResourceName>> =
    LazyLock::new(|| ["a", "b"].map(|name| ResourceName::new("voice", name)).to_vec());
static TENANTS: LazyLock<Vec<TenantId>> =
    LazyLock::new(|| ["a", "b"].map(|id| TenantId::parse(id).unwrap()).to_vec());
static DIDS: LazyLock<Vec<Did>> =
    LazyLock::new(|| (0..NUMBERS).map(|n| Did::parse(&format!("+155500000{n:02}")).unwrap()).collect());
static CLUSTER: LazyLock<ClusterId> = LazyLock::new(|| ClusterId::new("here"));
static PARTS: LazyLock<Vec<Vec<Part>>> =
    LazyLock::new(|| (0..SLOTS).map(|slot| (0..1 << NUMBERS).map(|set| part(slot, set)).collect()).collect());

fn part(slot: Slot, set: Numbers) -> Part {
    let spec = json!({
        "tenantId": tenant(slot),
        "dids": dids(set),
        "webhookSecretRef": { "name": "hook" },
        "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" },
    });
    let spec = spec.to_string();
    let read = compile::read(&spec).unwrap();
    let config =
        compile::compile(&read, &dids(set)).ok().map(|config| config.with_secret(&"whsec".into()).unwrap());
    let hash = config.as_ref().map(RuntimeTenantConfig::hash_without_secret).unwrap_or_default();
    Part { spec, config: config.map(|config| config.to_json().expose_secret().to_owned()), hash }
}

pub fn slot(who: Who) -> Slot {
    usize::from(who) % SLOTS
}

pub fn uid(who: Who) -> &'static Uid {
    &UIDS[usize::from(who)]
}

/// Whose uid it is.
pub fn who(uid: &Uid) -> Who {
    uid.as_str().strip_prefix("uid-").unwrap().parse().unwrap()
}

pub fn tenant(slot: Slot) -> &'static TenantId {
    &TENANTS[slot]
}

pub fn slot_of(tenant: &str) -> Option<Slot> {
    TENANTS.iter().position(|known| known.as_str() == tenant)
}

pub fn did(number: usize) -> &'static Did {
    &DIDS[number]
}

pub fn cluster() -> &'static ClusterId {
    &CLUSTER
}

pub fn each(set: Numbers) -> impl Iterator<Item = usize> {
    (0..NUMBERS).filter(move |number| set & 1 << number != 0)
}

pub fn dids(set: Numbers) -> Vec<Did> {
    each(set).map(|number| did(number).clone()).collect()
}

pub fn numbers<'a>(dids: impl IntoIterator<Item = &'a Did>) -> Numbers {
    dids.into_iter().fold(0, |set, did| set | 1 << DIDS.iter().position(|known| known == did).unwrap())
}

/// The spec, JSON.
pub fn spec(slot: Slot, set: Numbers) -> &'static str {
    &PARTS[slot][usize::from(set)].spec
}

/// The hash of the config, without its secret, that lists these numbers.
pub fn hash(slot: Slot, set: Numbers) -> &'static str {
    &PARTS[slot][usize::from(set)].hash
}

/// The config that lists these numbers, as it is stored.
pub fn config(slot: Slot, set: Numbers) -> &'static str {
    PARTS[slot][usize::from(set)].config.as_deref().unwrap()
}

pub fn claim(who: Who, set: Numbers, told: Numbers) -> Claim {
    Claim {
        uid: uid(who).clone(),
        name: NAMES[slot(who)].clone(),
        created: i64::from(who),
        tenant: tenant(slot(who)).clone(),
        dids: dids(set),
        eligibility: Eligibility::Active,
        status_dids: dids(told),
    }
}

/// A set of resources.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Crowd(u8);

impl Crowd {
    pub fn insert(&mut self, who: Who) {
        self.0 |= 1 << who;
    }

    pub fn remove(&mut self, who: Who) {
        self.0 &= !(1 << who);
    }

    pub fn contains(self, who: Who) -> bool {
        self.0 & 1 << who != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Who> {
        (0..u8::try_from(CAST).unwrap()).filter(move |who| self.contains(*who))
    }
}

impl Extend<Who> for Crowd {
    fn extend<T: IntoIterator<Item = Who>>(&mut self, all: T) {
        all.into_iter().for_each(|who| self.insert(who));
    }
}

impl FromIterator<Who> for Crowd {
    fn from_iter<T: IntoIterator<Item = Who>>(all: T) -> Self {
        let mut set = Self::default();
        set.extend(all);
        set
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One step of a call, in figures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Move {
    Publish {
        who: Who,
        generation: u8,
        numbers: Numbers,
        known: Numbers,
        predecessors: Vec<(Who, Option<u8>)>,
    },
    Remove {
        slot: Slot,
        who: Who,
        known: Numbers,
        retain: bool,
    },
}

impl Move {
    pub fn slot(&self) -> Slot {
        match self {
            Self::Publish { who, .. } => slot(*who),
            Self::Remove { slot, .. } => *slot,
        }
    }

    /// What the store is given.
    pub fn step(&self) -> Operation {
        match self {
            Self::Publish { who, generation, numbers, known, predecessors } => {
                let (slot, name) = (slot(*who), &NAMES[slot(*who)]);
                Operation::Publish(Publication {
                    tenant: tenant(slot).clone(),
                    owner: Owner {
                        namespace: name.namespace.to_string(),
                        name: name.name.to_string(),
                        uid: uid(*who).clone(),
                    },
                    generation: i64::from(*generation),
                    secret: SECRET.to_owned(),
                    hash: hash(slot, *numbers).to_owned(),
                    dids: dids(*numbers),
                    previously_listed: dids(*known),
                    yielding_owners: predecessors
                        .iter()
                        .map(|(who, generation)| (uid(*who).clone(), generation.map(i64::from)))
                        .collect(),
                    take_over: false,
                    config: config(slot, *numbers).into(),
                })
            }
            Self::Remove { slot, who, known, retain } => Operation::Remove(Removal {
                tenant: tenant(*slot).clone(),
                uid: uid(*who).clone(),
                previously_listed: dids(*known),
                retain: *retain,
            }),
        }
    }
}
