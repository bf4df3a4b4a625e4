//! Asks the API server itself, where acting on what the watches show would do harm if they are behind: another API
//! server may be ahead of the one that they come from, or a restored etcd behind what was published of it. A read
//! without a version is answered from what is stored now, by any API server.

use kube::Api;
use kube::core::PartialObjectMeta;

use super::context::Context;
use super::error::Error;
use super::tenant::Shown;
use crate::contract::TenantId;
use crate::domain::{ResourceName, Uid};

/// Whether the watches show a resource with this uid; one that is being deleted, too.
fn is_shown(ctx: &Context, uid: &Uid) -> bool {
    ctx.state().entry(uid).is_some_and(|entry| !entry.gone)
}

/// An error when the owner of this record is there, though the watches do not show it: they are behind, and what it
/// owns is neither to be removed nor to be taken over.
pub async fn owner_is_gone(ctx: &Context, uid: &Uid, name: &ResourceName) -> Result<(), Error> {
    if is_shown(ctx, uid) {
        return Ok(());
    }
    match read(ctx, name).await? {
        Some(there) if there.metadata.uid.as_deref() == Some(uid.as_str()) => {
            Err(Error::Behind(name.to_string()))
        }
        _ => Ok(()),
    }
}

/// The same for the owner by the tenant's record.
pub async fn recorded_owner_is_gone(ctx: &Context, uid: &Uid, tenant: &TenantId) -> Result<(), Error> {
    if is_shown(ctx, uid) {
        return Ok(());
    }
    let found = ctx.store.inspect(std::slice::from_ref(tenant)).await?.into_iter().next();
    // Where the record is another's by now, the step itself will find it out.
    match found.and_then(|found| found.record).filter(|record| record.owner.uid == *uid) {
        Some(record) => {
            let owner = record.owner;
            owner_is_gone(ctx, uid, &ResourceName::new(&owner.namespace, &owner.name)).await
        }
        None => Ok(()),
    }
}

/// Whether this generation of a resource is the one that is stored now.
pub async fn is_current(
    ctx: &Context,
    uid: &Uid,
    name: &ResourceName,
    generation: i64,
) -> Result<bool, Error> {
    let there = read(ctx, name).await?.map(|there| there.metadata);
    Ok(there.is_some_and(|there| {
        there.uid.as_deref() == Some(uid.as_str()) && there.generation == Some(generation)
    }))
}

async fn read(ctx: &Context, name: &ResourceName) -> Result<Option<PartialObjectMeta<Shown>>, Error> {
    let api: Api<Shown> = Api::namespaced(ctx.client.clone(), &name.namespace);
    let read = api.get_metadata_opt(&name.name).await;
    read.map_err(|error| Error::ReadResource(name.to_string(), error))
}
