//! Detects other installs that watch the same namespaces of this cluster under another Lease: each of them leads, and all write the
//! same keys.
//!
//! A writer notes in Redis who it is. Where it finds the note of another that watches some of the same namespaces, both
//! change their notes every ten seconds: a note that changes is a live writer's, and both say so; one that stays as it is
//! was left behind.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info, warn};

use super::clock::Moment;
use super::writer_state::{LeaseNotice, Writer};
use crate::domain::ClusterId;
use crate::store::{Store, WriterNote};

/// The interval at which the notes are read.
const READ_EVERY: Duration = Duration::from_secs(10);
/// The time after which a note that does not change was left behind.
const STALE_AFTER: Duration = Duration::from_secs(60);

/// The identity of an install of the operator.
#[derive(Clone, Debug)]
pub struct Install {
    /// The cluster that ownership records name.
    pub cluster: ClusterId,
    /// The operator's namespace, in which its Lease is.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// The watched namespaces; empty: all.
    pub namespaces: Vec<String>,
}

/// Watches the writers' notes in Redis for other installs.
pub(super) struct Installs<'a> {
    install: Install,
    store: &'a Store,
    writer: &'a Writer,
}

/// Another install's note, and since when it has been as it is.
struct Neighbour {
    note: WriterNote,
    since: Moment,
    is_live: bool,
}

impl Neighbour {
    fn is_stale(&self, now: Moment) -> bool {
        now.since(self.since) >= STALE_AFTER
    }
}

impl<'a> Installs<'a> {
    pub(super) fn new(install: Install, store: &'a Store, writer: &'a Writer) -> Self {
        Self { install, store, writer }
    }

    /// Watches the notes while this replica has an epoch. Never ends.
    pub(super) async fn watch(&self) {
        let mut neighbours: HashMap<String, Neighbour> = HashMap::new();
        let (mut noted, mut heartbeat) = (None, 0);
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut states = self.writer.subscribe();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Ok(()) = states.changed() => {}
            }
            let epoch = self.writer.epoch().ok();
            let now = Moment::now();
            let suspects = neighbours.values().any(|neighbour| !neighbour.is_stale(now));
            // A state that changed between two ticks matters only where it brought an epoch.
            if epoch.is_none() || (epoch == noted && states.borrow_and_update().epoch() != epoch) {
                continue;
            }
            if epoch != noted || suspects {
                heartbeat += 1;
                if let Err(error) = self.store.note_writer(&self.note(heartbeat)).await {
                    debug!(%error, "failed to note this writer in Redis");
                    continue;
                }
                noted = epoch;
            }
            match self.store.noted_writers().await {
                Ok(found) => self.see(&mut neighbours, found, now),
                Err(error) => debug!(%error, "failed to read the writers in Redis"),
            }
        }
    }

    /// Removes this writer's note: it stops.
    pub(super) async fn leave(&self) {
        if let Err(error) = self.store.forget_writer(&self.note(0).scope).await {
            debug!(%error, "failed to remove this writer's note from Redis");
        }
    }

    fn note(&self, heartbeat: u64) -> WriterNote {
        let Install { cluster, namespace, lease, namespaces } = &self.install;
        WriterNote {
            scope: self.store.scope().to_owned(),
            cluster: cluster.clone(),
            lease: format!("{namespace}/{lease}"),
            namespaces: namespaces.clone(),
            heartbeat,
        }
    }

    /// Records all notes, and says which other install lives.
    fn see(&self, neighbours: &mut HashMap<String, Neighbour>, notes: Vec<WriterNote>, now: Moment) {
        let own = self.note(0);
        let notes: HashMap<String, WriterNote> = notes
            .into_iter()
            .filter(|note| note.overlaps(&own))
            .map(|note| (note.scope.clone(), note))
            .collect();
        neighbours.retain(|scope, _| notes.contains_key(scope));
        for (scope, note) in notes {
            match neighbours.get_mut(&scope) {
                Some(known) if known.note == note => known.is_live &= !known.is_stale(now),
                Some(known) => *known = Neighbour { note, since: now, is_live: true },
                None => drop(neighbours.insert(scope, Neighbour { note, since: now, is_live: false })),
            }
        }
        let mut live: Vec<&str> =
            neighbours.values().filter(|neighbour| neighbour.is_live).map(|live| &*live.note.lease).collect();
        live.sort_unstable();
        let notice = (!live.is_empty()).then(|| {
            format!(
                "another install, with the Lease {}, writes for namespaces that this one watches too: let only one \
                 operator watch a namespace",
                live.join(", ")
            )
        });
        if self.writer.notice(LeaseNotice::SecondInstall, notice.clone()) {
            if let Some(why) = notice {
                warn!(why, "second install");
            } else {
                info!("the second install is gone");
            }
        }
    }
}
