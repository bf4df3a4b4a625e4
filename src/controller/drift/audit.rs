//! The audit: compares every ownership record and its keys with the index, every five minutes. It finds changes that Redis
//! does not signal (an edited record, a lost message), in batches, so that neither Redis nor this process is held up.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::sleep;
use tracing::{debug, info};

use super::super::context::Context;
use super::super::intervals::{Intervals, jittered};
use crate::contract::TenantId;
use crate::domain::Uid;
use crate::domain::index::{AuditResult, Effects, Index};
use crate::store::StoreError;
use crate::telemetry::Drift;

/// The pause after each batch.
const PAUSE: Duration = Duration::from_millis(100);

/// Audits about once in the interval while this replica writes; never ends.
pub async fn run(ctx: &Context, intervals: &Intervals) {
    loop {
        sleep(jittered(intervals.audit)).await;
        if ctx.epoch().is_err() {
            continue;
        }
        let owners = ctx.read(Index::published_owners);
        match (Audit { ctx, owners, batch_size: intervals.batch_size }).run().await {
            Ok(drifted) => {
                ctx.metrics.audits.inc();
                ctx.metrics.count_drift(Drift::Record, drifted);
                if drifted > 0 {
                    info!(drifted, "audit found drifted tenants");
                }
            }
            // The tracking connection reports it, and resyncs once it is over.
            Err(error) => debug!(%error, "audit aborted"),
        }
    }
}

/// One audit.
struct Audit<'a> {
    ctx: &'a Context,
    /// The owners of the published tenant ids.
    owners: HashMap<TenantId, Uid>,
    batch_size: usize,
}

impl Audit<'_> {
    /// Reconciles every tenant, and repairs those of which Redis holds something else; returns the number of the latter.
    async fn run(&self) -> Result<usize, StoreError> {
        let listed = self.ctx.store.tenants(&self.ctx.cluster).await?;
        let tenants: BTreeSet<&TenantId> = listed.iter().chain(self.owners.keys()).collect();
        let tenants: Vec<TenantId> = tenants.into_iter().cloned().collect();
        let mut drifted = 0;
        for batch in tenants.chunks(self.batch_size) {
            drifted += self.compare(batch).await?;
            sleep(jittered(PAUSE)).await;
        }
        self.ctx.update(Index::enqueue_unpublished);
        Ok(drifted)
    }

    async fn compare(&self, batch: &[TenantId]) -> Result<usize, StoreError> {
        let expected = self.ctx.read(|index| index.expect(batch, &self.owners));
        let found = self.ctx.store.inspect(batch).await?;
        let found: Vec<_> = found.into_iter().map(|found| (found.record, found.intact)).collect();
        let AuditResult { drifted, unknown } =
            self.ctx.update_with(|index| index.audit(&self.ctx.cluster, &expected, &found));
        self.adopt(&unknown).await?;
        Ok(drifted)
    }

    /// Adopts records that this process has not written. Nothing is published while they are read: a record that is being
    /// removed would be taken for one that exists.
    async fn adopt(&self, tenants: &[TenantId]) -> Result<(), StoreError> {
        if tenants.is_empty() {
            return Ok(());
        }
        let _exclusive = self.ctx.publishing.write().await;
        for found in self.ctx.store.inspect(tenants).await? {
            let Some(record) = found.record else { continue };
            let watched = self.ctx.is_watched_namespace(&record.owner.namespace);
            if record.cluster != self.ctx.cluster || !watched {
                continue;
            }
            let (uid, tenant) = (record.owner.uid.clone(), record.tenant.clone());
            let adopted = self.ctx.update_with(|index| match index.adopt_record(record, found.intact) {
                Some(effects) => (effects, true),
                None => (Effects::default(), false),
            });
            if adopted {
                info!(%uid, tenant_id = %tenant, "audit adopted an unknown ownership record");
            }
        }
        Ok(())
    }
}
