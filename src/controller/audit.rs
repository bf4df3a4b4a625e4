//! What sends no message (a record that somebody edits, a message that got lost) is found by comparing, now and then,
//! all that Redis holds with what is known: piece by piece, so that neither Redis nor this process has a burst of it.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info};

use super::Pace;
use super::context::Context;
use super::reconcile::jittered;
use super::state::State;
use crate::contract::TenantId;
use crate::domain::Uid;
use crate::store::{Inspection, StoreError};
use crate::telemetry::Drift;

/// How long Redis is left in peace after each piece.
const PAUSE: Duration = Duration::from_millis(100);

/// Compares everything about once in so long a time, for as long as this replica writes.
pub async fn run(ctx: &Context, pace: &Pace) {
    loop {
        sleep(jittered(pace.audit)).await;
        if ctx.epoch().is_err() {
            continue;
        }
        let owners = owners(&ctx.state());
        match (Audit { ctx, owners, piece: pace.piece }).pass().await {
            Ok(differ) => {
                ctx.metrics.audits.inc();
                ctx.metrics.drifted(Drift::Record, differ);
                if differ > 0 {
                    info!(differ, "the audit found tenants of which Redis does not hold what it should");
                }
            }
            // Who follows Redis tells of it, and has everything checked once it is over.
            Err(error) => debug!(%error, "the audit is broken off"),
        }
    }
}

/// Who is live under which tenant id.
fn owners(state: &State) -> HashMap<TenantId, Uid> {
    let live = state.entries().filter_map(|(uid, _)| Some((uid, state.claims.published(uid)?)));
    live.chain(state.claims.orphans()).map(|(uid, live)| (live.tenant.clone(), uid.clone())).collect()
}

struct Audit<'a> {
    ctx: &'a Context,
    owners: HashMap<TenantId, Uid>,
    piece: usize,
}

impl Audit<'_> {
    /// Has everybody looked at, and those repaired of whom Redis holds something else; says how many these are.
    async fn pass(&self) -> Result<usize, StoreError> {
        let listed = self.ctx.store.tenants(&self.ctx.cluster).await?;
        let tenants: BTreeSet<&TenantId> = listed.iter().chain(self.owners.keys()).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().cloned().collect();
        let mut differ = 0;
        for piece in tenants.chunks(self.piece) {
            differ += self.compare(piece).await?;
            sleep(jittered(PAUSE)).await;
        }
        let waiting: Vec<Uid> = {
            let state = self.ctx.state();
            state
                .entries()
                .map(|(uid, _)| uid)
                .filter(|uid| state.claims.published(uid).is_none())
                .cloned()
                .collect()
        };
        self.ctx.look_at(&waiting);
        Ok(differ)
    }

    async fn compare(&self, piece: &[TenantId]) -> Result<usize, StoreError> {
        let known =
            |state: &State, uid: &Uid| state.entry(uid).map(|entry| (entry.doubts, entry.record.clone()));
        let before: Vec<_> = {
            let state = self.ctx.state();
            piece.iter().map(|tenant| known(&state, self.owners.get(tenant)?)).collect()
        };
        let found = self.ctx.store.inspect(piece).await?;
        let (mut owners, mut unknown, mut differ) = (Vec::new(), Vec::new(), 0);
        {
            let mut state = self.ctx.state();
            for ((tenant, found), before) in piece.iter().zip(&found).zip(before) {
                let Some(uid) = self.owners.get(tenant) else {
                    unknown.push(tenant.clone());
                    continue;
                };
                // What was written meanwhile is not what was compared.
                if before == known(&state, uid) && !self.is_as_known(&state, uid, found) {
                    state.doubt(uid);
                    differ += 1;
                }
                owners.push(uid.clone());
            }
        }
        self.ctx.look_at(&owners);
        self.meet(&unknown).await?;
        Ok(differ)
    }

    fn is_as_known(&self, state: &State, uid: &Uid, found: &Inspection) -> bool {
        let Some(record) = &found.record else { return false };
        let (live, published_version) = State::of_record(record);
        let recorded = state.entry(uid).is_none_or(|entry| entry.record.as_ref() == Some(&published_version));
        found.intact
            && recorded
            && record.cluster == self.ctx.cluster
            && record.owner.uid == *uid
            && state.claims.published(uid) == Some(&live)
    }

    /// Takes note of records that nobody here wrote since everything was read. While they are read nobody writes: a
    /// record that is just being removed would be taken for one that is there.
    async fn meet(&self, tenants: &[TenantId]) -> Result<(), StoreError> {
        if tenants.is_empty() {
            return Ok(());
        }
        let _exclusive = self.ctx.steps.write().await;
        for found in self.ctx.store.inspect(tenants).await? {
            let Some(record) = found.record else { continue };
            let uid = &record.owner.uid;
            let ours = record.cluster == self.ctx.cluster && self.ctx.watches(&record.owner.namespace);
            if !ours || self.ctx.state().claims.published(uid).is_some() {
                continue;
            }
            info!(%uid, tenant_id = %record.tenant, "the audit found a record that was not known");
            let touched = self.ctx.state().record(uid, Some(State::of_record(&record)), found.intact);
            self.ctx.look_at_touched(&touched, &[]);
        }
        Ok(())
    }
}
