//! The resources and DIDs of the model: two resources, each of which may be deleted and created again, and two DIDs.
//! States name them by small integers; this file has the product's values for them.

use std::sync::LazyLock;

use runtime_operator::contract::{Did, RuntimeTenantConfig, TenantId};
use runtime_operator::domain::compile::Claimed;
use runtime_operator::domain::{ClusterId, Owner, ResourceName, TakeOver, Uid, compile};
use runtime_operator::store::{Operation, Publication, Removal};
use secrecy::ExposeSecret;
use serde_json::json;

/// A name under which there is one resource at a time: 0 or 1.
pub type Slot = usize;
/// A resource: its slot is this number modulo two; a resource that was created later has a higher one.
pub type Resource = u8;
/// A set of DIDs: bit 0 is the first, and so on. Of a spec, also [`SUSPEND`].
pub type DidSet = u8;
/// The spec says `suspend: true`.
pub const SUSPEND: DidSet = 1 << DID_COUNT;
/// What a user wishes beside a spec: the annotation `take-over`.
pub const TAKE_OVER: DidSet = SUSPEND << 1;
/// The number of specs of one slot.
pub const SPECS: DidSet = SUSPEND << 1;

pub const SLOTS: usize = 2;
/// The largest number of resources in a run.
pub const RESOURCES: usize = 6;
pub const DID_COUNT: usize = 2;
/// All writers are replicas of one operator.
pub const WRITER: &str = "here/voice";
/// The tenant id to which another client maps DIDs; no resource has it.
pub const EXTERNAL_TENANT: &str = "external";
/// The tenant of the other cluster, which claims the first DID.
pub const NEIGHBOUR_TENANT: &str = "theirs";
/// The DIDs that the other cluster's tenant claims.
pub const NEIGHBOUR_DIDS: DidSet = 1;
/// The writer of the other cluster's operator.
pub const NEIGHBOUR_WRITER: &str = "there/voice";
/// The Secret to which every resource refers.
pub const SECRET_NAME: &str = "hook";
/// Its version, which never changes.
pub const SECRET: &str = "secret/1";

/// The product's spec and config of one slot with one set of DIDs.
struct Part {
    spec: String,
    /// `None` for the empty set.
    config: Option<String>,
    hash: String,
    claimed: Claimed,
}

static UIDS: LazyLock<Vec<Uid>> =
    LazyLock::new(|| (0..RESOURCES).map(|resource| Uid::new(format!("uid-{resource}"))).collect());
static NAMES: LazyLock<Vec<ResourceName>> =
    LazyLock::new(|| ["a", "b"].map(|name| ResourceName::new("voice", name)).to_vec());
static TENANTS: LazyLock<Vec<TenantId>> =
    LazyLock::new(|| ["a", "b"].map(|id| TenantId::parse(id).unwrap()).to_vec());
static DIDS: LazyLock<Vec<Did>> =
    LazyLock::new(|| (0..DID_COUNT).map(|n| Did::parse(&format!("+155500000{n:02}")).unwrap()).collect());
static CLUSTER: LazyLock<ClusterId> = LazyLock::new(|| ClusterId::new("here"));
static PARTS: LazyLock<Vec<Vec<Part>>> =
    LazyLock::new(|| (0..SLOTS).map(|slot| (0..SPECS).map(|set| part(slot, set)).collect()).collect());

fn part(slot: Slot, set: DidSet) -> Part {
    let spec = json!({
        "tenantId": tenant(slot),
        "dids": did_list(set),
        "suspend": set & SUSPEND != 0,
        "webhookSecretRef": { "name": SECRET_NAME },
        "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
        "stt": { "mode": "disabled", "chunkMs": 500 },
        "tts": { "mode": "kokoro_http", "kokoroUrl": "https://tts.example.com/tts" },
    });
    let spec = spec.to_string();
    let read = compile::read(&spec).unwrap();
    let config = compile::compile(&read, &did_list(set))
        .ok()
        .map(|config| config.with_secret(&"whsec".into()).unwrap());
    let hash = config.as_ref().map(RuntimeTenantConfig::hash_without_secret).unwrap_or_default();
    let config = config.map(|config| config.to_json().expose_secret().to_owned());
    Part { claimed: compile::claimed(&spec), spec, config, hash }
}

pub fn slot(resource: Resource) -> Slot {
    usize::from(resource) % SLOTS
}

pub fn uid(resource: Resource) -> &'static Uid {
    &UIDS[usize::from(resource)]
}

/// The resource with this uid.
pub fn resource(uid: &Uid) -> Resource {
    uid.as_str().strip_prefix("uid-").unwrap().parse().unwrap()
}

/// All resources that there can be.
pub fn resources() -> impl Iterator<Item = Resource> {
    0..u8::try_from(RESOURCES).unwrap()
}

/// The namespace and name of a slot's resources.
pub fn name(slot: Slot) -> &'static ResourceName {
    &NAMES[slot]
}

pub fn tenant(slot: Slot) -> &'static TenantId {
    &TENANTS[slot]
}

pub fn slot_of(tenant: &str) -> Option<Slot> {
    TENANTS.iter().position(|known| known.as_str() == tenant)
}

pub fn did(nth: usize) -> &'static Did {
    &DIDS[nth]
}

pub fn cluster() -> &'static ClusterId {
    &CLUSTER
}

static NEIGHBOUR_CLUSTER: LazyLock<ClusterId> = LazyLock::new(|| ClusterId::new("there"));

/// The other cluster.
pub fn neighbour_cluster() -> &'static ClusterId {
    &NEIGHBOUR_CLUSTER
}

/// The publication of the other cluster's tenant, which may take over what another cluster holds.
pub fn neighbour_publication(takes_over: bool) -> Publication {
    let dids = did_list(NEIGHBOUR_DIDS);
    let config = json!({ "tenantId": NEIGHBOUR_TENANT, "dids": dids }).to_string();
    Publication {
        tenant: TenantId::parse(NEIGHBOUR_TENANT).unwrap(),
        owner: Owner { namespace: "voice".to_owned(), name: "theirs".to_owned(), uid: Uid::new("theirs") },
        generation: 1,
        secret: SECRET.to_owned(),
        hash: "theirs".to_owned(),
        previously_listed: dids.clone(),
        dids,
        yielding_owners: std::collections::BTreeMap::new(),
        after_loss: false,
        annotated: takes_over,
        take_over: if takes_over { TakeOver::Anything } else { TakeOver::Nothing },
        config: config.into(),
    }
}

/// The removal of the other cluster's tenant.
pub fn neighbour_removal() -> Removal {
    let Publication { tenant, owner, previously_listed, .. } = neighbour_publication(false);
    Removal { tenant, uid: owner.uid, previously_listed, retain: false }
}

pub fn each(set: DidSet) -> impl Iterator<Item = usize> {
    (0..DID_COUNT).filter(move |nth| set & 1 << nth != 0)
}

pub fn did_list(set: DidSet) -> Vec<Did> {
    each(set).map(|nth| did(nth).clone()).collect()
}

pub fn did_set<'a>(dids: impl IntoIterator<Item = &'a Did>) -> DidSet {
    dids.into_iter().fold(0, |set, did| set | 1 << DIDS.iter().position(|known| known == did).unwrap())
}

/// The spec, JSON.
pub fn spec(slot: Slot, set: DidSet) -> &'static str {
    &PARTS[slot][usize::from(set)].spec
}

/// The hash of the config with these DIDs, without its secret.
pub fn hash(slot: Slot, set: DidSet) -> &'static str {
    &PARTS[slot][usize::from(set)].hash
}

/// The DIDs of the config with this hash.
pub fn dids_of_hash(slot: Slot, hash: &str) -> DidSet {
    (0..1 << DID_COUNT).find(|set| self::hash(slot, *set) == hash).unwrap()
}

/// The stored config with these DIDs.
pub fn config(slot: Slot, set: DidSet) -> &'static str {
    PARTS[slot][usize::from(set)].config.as_deref().unwrap()
}

/// What a spec with these DIDs claims.
pub fn claimed(slot: Slot, set: DidSet) -> Claimed {
    PARTS[slot][usize::from(set)].claimed.clone()
}

/// A set of resources.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ResourceSet(u8);

impl ResourceSet {
    pub fn insert(&mut self, resource: Resource) {
        self.0 |= 1 << resource;
    }

    pub fn remove(&mut self, resource: Resource) {
        self.0 &= !(1 << resource);
    }

    pub fn contains(self, resource: Resource) -> bool {
        self.0 & 1 << resource != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Resource> {
        resources().filter(move |resource| self.contains(*resource))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The resources that are in both sets.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Extend<Resource> for ResourceSet {
    fn extend<T: IntoIterator<Item = Resource>>(&mut self, all: T) {
        all.into_iter().for_each(|resource| self.insert(resource));
    }
}

impl FromIterator<Resource> for ResourceSet {
    fn from_iter<T: IntoIterator<Item = Resource>>(all: T) -> Self {
        let mut set = Self::default();
        set.extend(all);
        set
    }
}

impl std::fmt::Debug for ResourceSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// One operation of a script call, in the model's integers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    Publish {
        resource: Resource,
        generation: u8,
        dids: DidSet,
        previously_listed: DidSet,
        yielding_owners: Vec<(Resource, Option<u8>)>,
        annotated: bool,
        take_over: bool,
    },
    Remove {
        slot: Slot,
        resource: Resource,
        previously_listed: DidSet,
        retain: bool,
    },
}

impl Call {
    /// The operation as the store takes it.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Publish {
                resource,
                generation,
                dids,
                previously_listed,
                yielding_owners,
                annotated,
                take_over,
            } => {
                let (slot, name) = (slot(*resource), &NAMES[slot(*resource)]);
                Operation::Publish(Publication {
                    tenant: tenant(slot).clone(),
                    owner: Owner {
                        namespace: name.namespace.to_string(),
                        name: name.name.to_string(),
                        uid: uid(*resource).clone(),
                    },
                    generation: i64::from(*generation),
                    secret: SECRET.to_owned(),
                    hash: hash(slot, *dids).to_owned(),
                    dids: did_list(*dids),
                    previously_listed: did_list(*previously_listed),
                    yielding_owners: yielding_owners
                        .iter()
                        .map(|(resource, generation)| (uid(*resource).clone(), generation.map(i64::from)))
                        .collect(),
                    after_loss: false,
                    annotated: *annotated,
                    take_over: if *take_over { TakeOver::Anything } else { TakeOver::Nothing },
                    config: config(slot, *dids).into(),
                })
            }
            Self::Remove { slot, resource, previously_listed, retain } => Operation::Remove(Removal {
                tenant: tenant(*slot).clone(),
                uid: uid(*resource).clone(),
                previously_listed: did_list(*previously_listed),
                retain: *retain,
            }),
        }
    }
}
