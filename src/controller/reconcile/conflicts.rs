//! Conflicts that Redis reports: the index was behind, or an owner that this operator does not reconcile holds
//! something.

use super::super::context::Context;
use super::super::error::Error;
use super::uncached;
use crate::contract::Did;
use crate::domain::assessment::{Holder, NotPublished, UnavailableDid};
use crate::domain::index::{Recorded, TenantState};
use crate::domain::plan::Rejections;
use crate::domain::{ResourceName, Uid};
use crate::store::Conflict;

/// Handles a conflict that Redis reported for `uid`: corrects the index, or adds to the rejections from which the
/// reconcile plans again.
pub async fn resolve(
    ctx: &Context,
    uid: &Uid,
    conflict: Conflict,
    rejections: &mut Rejections,
) -> Result<(), Error> {
    match conflict {
        Conflict::OwnedElsewhere { cluster, owner, dids } => {
            if dids.is_empty() {
                // Whatever was published for it under this tenant id is no longer its own.
                ctx.update(|index| index.correct_record(uid, None, Some(uid)));
            }
            let holder = Holder::Elsewhere { cluster: cluster.to_string(), owner };
            rejections.add(holder, dids);
        }
        Conflict::DidsInUse(dids) => {
            let unavailable = |(did, tenant)| UnavailableDid { did, holder: Holder::Unmanaged(tenant) };
            rejections.unavailable.extend(dids.into_iter().map(unavailable));
        }
        Conflict::WouldUnmap(dids) => rejections.not_published = Some(NotPublished::WouldUnmap(dids)),
        Conflict::WouldChangeSecret => rejections.not_published = Some(NotPublished::WouldChangeSecret),
        Conflict::TooLarge => {
            let tenant = ctx.read(|index| index.claims().get(uid).map(|claim| claim.tenant.clone()));
            rejections.not_published =
                Some(NotPublished::TooLarge(tenant.ok_or(Error::OwnershipKeptChanging(1))?));
        }
        Conflict::HeldBy { uid, owner, dids } => {
            return correct_holder(ctx, uid, &owner, dids, rejections).await;
        }
        Conflict::Stale { .. } => return accept_generation(ctx, uid, rejections).await,
    }
    Ok(())
}

/// Handles a record that carries a later generation. Either the watch is behind, or another leader was ahead: then the
/// newer version of the resource is on its way. Or there is none, since etcd was restored from before it: then this
/// generation counts.
async fn accept_generation(ctx: &Context, uid: &Uid, rejections: &mut Rejections) -> Result<(), Error> {
    let name = ctx.read(|index| index.tenant(uid).map(TenantState::name));
    let name = name.ok_or(Error::OwnershipKeptChanging(1))?;
    if !uncached::is_current(ctx, uid, &name, rejections.generation).await? {
        return Err(Error::OwnershipKeptChanging(1));
    }
    rejections.yielding_owners.insert(uid.clone());
    Ok(())
}

/// Handles a conflict with `uid`, a resource of this cluster that owns something by its record: the index was behind.
async fn correct_holder(
    ctx: &Context,
    uid: Uid,
    owner: &str,
    dids: Vec<Did>,
    rejections: &mut Rejections,
) -> Result<(), Error> {
    let (namespace, name) = owner.split_once('/').unwrap_or_default();
    let tenant = ctx.read(|index| index.claims().get(&uid).map(|claim| claim.tenant.clone()));
    match tenant {
        Some(tenant) => {
            let found = ctx.store.inspect(&[tenant]).await?.into_iter().next();
            let record = found.and_then(|found| found.record).filter(|record| record.owner.uid == uid);
            ctx.update(|index| index.correct_record(&uid, record.map(Recorded::from), None));
        }
        // It belongs to another operator of the same cluster, which watches other namespaces.
        None if !ctx.is_watched_namespace(namespace) => {
            rejections.add(Holder::OtherOperator(ResourceName::new(namespace, name)), dids);
        }
        // No such resource is left, or it is being deleted: its record yields.
        None => {
            uncached::check_owner(ctx, &uid, &ResourceName::new(namespace, name)).await?;
            rejections.yielding_owners.insert(uid);
        }
    }
    Ok(())
}
