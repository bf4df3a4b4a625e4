//! The events for a replica's index, fed to the product's index with the same calls as in `controller`.

use std::collections::HashMap;
use std::slice;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use runtime_operator::domain::claims::Published;
use runtime_operator::domain::index::{
    Effects, Failure, Index, OperationResult, Recorded, RedisChange, TenantState,
};
use runtime_operator::domain::plan::PublishedVersion;
use runtime_operator::domain::reason::Reason;
use runtime_operator::domain::{Owner, OwnershipRecord};

use super::{FoundRecord, Record};
use crate::objects::Object;
use crate::plans::Outcome;
use crate::values::{self, Resource, SLOTS, Slot};

/// An event for the index.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The watch shows the resource.
    Applied(Object),
    /// The watch shows that the resource is gone.
    Deleted(Resource),
    /// The watch lists everything.
    Listed([Option<Object>; SLOTS]),
    /// All records were read, each with its owner and with whether Redis holds exactly what it says.
    Resynced(Vec<FoundRecord>),
    /// Before all records are taken in: what is known of a loss, of records beside these, and whether the other cluster's
    /// operator is there.
    LossChecked {
        found: bool,
        present: bool,
        records: Vec<FoundRecord>,
    },
    /// The other cluster's operator has come back.
    Returned,
    /// The time is over for which holders come first; or, if true, the one for which the other cluster is waited for.
    WaitEnded(bool),
    /// A script call has ended, or none was needed.
    Results(Vec<OperationDone>),
    Reconciled(Resource),
    Failed(Resource),
    /// The record of a resource was read again.
    Corrected(Resource, Option<Record>),
    /// Another client changed a key of the resource.
    Drifted(Resource),
    /// The operator wrote to the resource: this is its new version.
    Written(Resource, u8),
    /// Everything was compared with what Redis held, and unknown records were read again.
    Audited {
        compared: Vec<Comparison>,
        unknown: Vec<FoundRecord>,
    },
}

/// The comparison of a slot's tenant id in an audit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    pub slot: Slot,
    pub owner: Option<Resource>,
    /// Nothing has changed about the owner since the audit began.
    pub is_same: bool,
    pub found: Option<FoundRecord>,
}

/// The result of one operation of a script call, or of finding that none is needed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperationDone {
    pub resource: Resource,
    pub outcome: Option<Outcome>,
    /// What the record says from now on, and whether the operation started before the last invalidation; none: nothing was
    /// sent.
    pub change: Option<(Option<Record>, bool)>,
}

/// The time of all drift: the few repairs in a run are never deferred.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Applies a resource that a watch shows, as `controller::watch` does.
pub fn show(index: &mut Index, object: &Object, list: u32, listed: bool) -> Effects {
    let cached = object.cached(list);
    let (before, claims_known) = index.known(&cached.name(), &cached.uid());
    let same = before.is_some_and(|before| before.uid() == cached.uid() && before.spec() == cached.spec());
    let needs_claims = !same || !claims_known || cached.is_deleting();
    let claimed = needs_claims.then(|| values::claimed(values::slot(object.resource), object.dids));
    index.apply(cached, claimed, listed)
}

/// Applies an event, and runs the effects.
pub fn change(index: &mut Index, event: &Event, run: &mut dyn FnMut(Effects)) {
    let list = index.objects().iter().map(|object| object.list()).max().unwrap_or(1);
    match event {
        Event::Applied(object) => run(show(index, object, list, false)),
        Event::Deleted(resource) => run(index.delete(values::uid(*resource))),
        Event::Listed(objects) => {
            for object in objects.iter().flatten() {
                run(show(index, object, list + 1, true));
            }
            run(index.remove_unlisted(list + 1, |_| true));
        }
        Event::Resynced(records) => {
            let record = |(owner, record, intact): &FoundRecord| {
                (values::uid(*owner).clone(), recorded(*record), *intact)
            };
            run(index.resync(records.iter().map(record).collect()));
        }
        Event::LossChecked { found, present, records } => {
            let records: Vec<_> = records
                .iter()
                .map(|(owner, record, intact)| (values::uid(*owner).clone(), recorded(*record), *intact))
                .collect();
            if *found || index.has_lost(&records) {
                index.loss_found(*NOW, true);
            }
            let named = index.named_clusters();
            let present = if *present { slice::from_ref(values::neighbour_cluster()) } else { &[] };
            index.clusters_seen(&named, present, *NOW);
        }
        Event::Returned => {
            let awaited = index.awaited_clusters();
            index.clusters_seen(&awaited, slice::from_ref(values::neighbour_cluster()), *NOW);
        }
        Event::WaitEnded(given_up) => {
            let wait = Duration::from_secs(if *given_up { 600 } else { 10 });
            run(index.release_held_back(*NOW + wait));
        }
        Event::Results(results) => {
            let results = results.iter().map(|result| operation_result(index, result)).collect();
            run(index.record_results(results));
        }
        Event::Reconciled(resource) => run(index.reconciled(values::uid(*resource)).0),
        Event::Failed(resource) => {
            let (reason, message) = (Reason::OwnershipKeptChanging, "failed".to_owned());
            let failure = Failure { reason, message, is_store: false, is_epoch_lost: false };
            run(index.failed(values::uid(*resource), failure).0);
        }
        Event::Corrected(resource, record) => {
            run(index.correct_record(values::uid(*resource), record.map(recorded), None));
        }
        Event::Drifted(resource) => {
            let (effects, immediately) = index.drifted(values::uid(*resource), *NOW);
            assert!(immediately, "no repair is deferred");
            run(effects);
        }
        Event::Written(resource, version) => {
            let uid = values::uid(*resource);
            let pending = index.take_pending_status(uid).unwrap();
            if pending.published {
                index.status_written(uid);
            }
            index.own_write(uid, Some(u64::from(*version)));
        }
        Event::Audited { compared, unknown } => audit(index, compared, unknown, run),
    }
}

/// Compares and adopts as `controller::drift` does.
fn audit(index: &mut Index, compared: &[Comparison], unknown: &[FoundRecord], run: &mut dyn FnMut(Effects)) {
    // An expectation that nothing meets any more is that of an index in which its owner was invalidated again.
    let mut invalidated = index.clone();
    for owner in compared.iter().filter(|compared| !compared.is_same).filter_map(|compared| compared.owner) {
        drop(invalidated.drifted(values::uid(owner), *NOW));
    }
    let owner = |compared: &Comparison| {
        Some((values::tenant(compared.slot).clone(), values::uid(compared.owner?).clone()))
    };
    let owners: HashMap<_, _> = compared.iter().filter_map(owner).collect();
    let expect = |compared: &Comparison| {
        let index = if compared.is_same { &*index } else { &invalidated };
        index.expect(slice::from_ref(values::tenant(compared.slot)), &owners)
    };
    let expected: Vec<_> = compared.iter().flat_map(expect).collect();
    let found = |compared: &Comparison| {
        compared.found.map_or((None, false), |found| (Some(ownership_record(found)), found.2))
    };
    let found: Vec<_> = compared.iter().map(found).collect();
    let (effects, result) = index.audit(values::cluster(), &expected, &found);
    run(effects);
    for found in unknown.iter().filter(|(_, record, _)| result.unknown.contains(values::tenant(record.0))) {
        if let Some(effects) = index.adopt_record(ownership_record(*found), found.2) {
            run(effects);
        }
    }
    run(index.enqueue_unpublished());
}

fn ownership_record((owner, record, _): FoundRecord) -> OwnershipRecord {
    let name = values::name(values::slot(owner));
    let Recorded { published, version } = recorded(record);
    OwnershipRecord {
        tenant: published.tenant,
        cluster: values::cluster().clone(),
        owner: Owner {
            namespace: name.namespace.to_string(),
            name: name.name.to_string(),
            uid: values::uid(owner).clone(),
        },
        generation: version.generation,
        secret: version.secret,
        hash: version.hash,
        sha1: String::new(),
        dids: published.dids,
    }
}

fn operation_result(index: &Index, done: &OperationDone) -> OperationResult {
    let uid = values::uid(done.resource);
    let now = index.tenant(uid).map_or(0, TenantState::invalidations);
    OperationResult {
        uid: uid.clone(),
        outcome: done.outcome.as_ref().map(Outcome::product),
        change: done.change.map(|(record, invalidated)| RedisChange {
            recorded: record.map(recorded),
            invalidations: if invalidated { now.wrapping_sub(1) } else { now },
            written: true,
            published: record.is_some(),
            events: Vec::new(),
            secret_warnings: None,
            taken_from: Vec::new(),
        }),
    }
}

fn recorded((slot, dids, version): Record) -> Recorded {
    Recorded {
        published: Published { tenant: values::tenant(slot).clone(), dids: values::did_list(dids) },
        version: PublishedVersion {
            generation: i64::from(version.generation),
            secret: values::SECRET.to_owned(),
            hash: values::hash(slot, version.dids).to_owned(),
        },
    }
}
