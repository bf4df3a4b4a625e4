//! Uncached reads of the API server, where acting on a watch that is behind would do harm: another API server may be ahead
//! of the one that serves the watch, or a restored etcd behind what was published. Every API server answers a read without
//! a version from etcd.

use kube::api::GetParams;
use kube::core::{PartialObjectMeta, Request};
use kube::{Api, Resource};
use serde_json::value::RawValue;

use super::super::bounded::{self, Bounded};
use super::super::context::Context;
use super::super::error::Error;
use super::super::refusal::is_not_found;
use super::super::watch::{self, StoredTenant, WatchedTenant};
use super::waiting::{Peer, request};
use crate::contract::TenantId;
use crate::domain::index::{CachedSpec, CachedTenant, Interners, uid_of};
use crate::domain::{ResourceName, Uid};

/// True when the watches show a resource with this uid, even one that is being deleted.
fn is_watched(ctx: &Context, uid: &Uid) -> bool {
    ctx.read(|index| index.object(uid).is_some())
}

/// Checks that the watches are not behind on the owner of a record: either they show it, or it is gone. Where it exists
/// and they do not show it, what it owns must be neither removed nor taken over: the error is [`Error::WatchBehind`].
pub async fn check_owner(ctx: &Context, uid: &Uid, name: &ResourceName) -> Result<(), Error> {
    if is_watched(ctx, uid) {
        return Ok(());
    }
    match read(ctx, name).await? {
        Some(found) if found.metadata.uid.as_deref() == Some(uid.as_str()) => {
            Err(Error::WatchBehind(name.to_string()))
        }
        _ => Ok(()),
    }
}

/// Checks the same for `uid` if the tenant's record in Redis, which it reads, names it as the owner.
pub async fn check_recorded_owner(ctx: &Context, uid: &Uid, tenant: &TenantId) -> Result<(), Error> {
    if is_watched(ctx, uid) {
        return Ok(());
    }
    let found = ctx.store.inspect(std::slice::from_ref(tenant)).await?.into_iter().next();
    // Where the record names another owner by now, the script will report it.
    match found.and_then(|found| found.record).filter(|record| record.owner.uid == *uid) {
        Some(record) => {
            let owner = record.owner;
            check_owner(ctx, uid, &ResourceName::new(&owner.namespace, &owner.name)).await
        }
        None => Ok(()),
    }
}

/// Returns true when this generation of a resource is the stored one.
pub async fn is_current(
    ctx: &Context,
    uid: &Uid,
    name: &ResourceName,
    generation: i64,
) -> Result<bool, Error> {
    let found = read(ctx, name).await?.map(|found| found.metadata);
    Ok(found.is_some_and(|found| {
        found.uid.as_deref() == Some(uid.as_str()) && found.generation == Some(generation)
    }))
}

/// Reads the spec of a resource that is not held: the version on which the index has decided. None: the stored one is another,
/// which the index knows by now.
pub async fn spec(ctx: &Context, object: &CachedTenant) -> Result<Option<Box<RawValue>>, Error> {
    let name = object.name();
    let failed = |source| Error::ReadResource { resource: name.clone(), source };
    let mut found = stored(ctx, &name, &GetParams::default()).await.map_err(failed)?;
    let is_older = |found: &StoredTenant| found.meta().generation < Some(object.generation());
    if found.as_ref().is_some_and(is_older) {
        // The version that the watch showed.
        let params = GetParams::at(object.resource_version());
        found = stored(ctx, &name, &params).await.map_err(failed)?;
    }
    let Some(found) = found.filter(|found| uid_of(found.meta()) == object.uid() && !is_older(found)) else {
        return Err(Error::WatchBehind(name.to_string()));
    };
    let is_same = found.meta().generation == Some(object.generation())
        && CachedSpec::from(found.spec.clone()).is_same(object.cached_spec());
    if is_same {
        return Ok(found.spec);
    }
    // Like an event of the watch, which will show it too.
    watch::apply(ctx, found.into(), object.list(), false, &mut Interners::default());
    Ok(None)
}

/// Reads a resource; none where it does not exist.
async fn stored(
    ctx: &Context,
    name: &ResourceName,
    params: &GetParams,
) -> Result<Option<StoredTenant>, kube::Error> {
    let path = StoredTenant::url_path(&(), Some(&name.namespace));
    let read = Request::new(path).get(&name.name, params).map_err(kube::Error::BuildRequest)?;
    match request(Peer::Resource, bounded::read(&ctx.client, read)).await {
        Ok(Bounded::Read(found, _)) => Ok(Some(found)),
        Ok(Bounded::TooLarge) => Err(bounded::too_large()),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read(ctx: &Context, name: &ResourceName) -> Result<Option<PartialObjectMeta<WatchedTenant>>, Error> {
    let api: Api<WatchedTenant> = Api::namespaced(ctx.client.clone(), &name.namespace);
    match request(Peer::Resource, api.get_metadata(&name.name)).await {
        Ok(found) => Ok(Some(found)),
        // Not `get_metadata_opt`, which takes any 404 for an answer.
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(Error::ReadResource { resource: name.clone(), source: error }),
    }
}
