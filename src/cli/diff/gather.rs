//! Reads what is, and what the files make of it: from the cluster, by dry runs, and from Redis.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{GetParams, ListParams, PostParams};
use kube::core::Request;
use kube::{Api, Resource as _, ResourceExt};
use serde_json::{Value, json};

use super::compare::Change;
use super::document::Conflict;
use super::settle::{Object, Unmanaged};
use crate::api::{RuntimeTenant, TAKE_OVER};
use crate::cli::common::{Access, RedisArgs, Secrets, Snapshots, explained, is_forbidden};
use crate::cli::failure::Failure;
use crate::cli::manifests::Resource;
use crate::cli::reach::{Operator, Reach};
use crate::cli::validate::normalised;
use crate::contract::{Did, TenantId};
use crate::domain::assessment::{SecretFault, SecretFaultKind};
use crate::domain::index::{CachedTenant, ConditionText, Index, MAX_HELD_SPECS};
use crate::domain::secret::{SecretKey, extract};
use crate::domain::status::READY;
use crate::domain::{ResourceName, Uid, compile};
use crate::store::{Facts, FactsQuery, MAX_QUESTIONS};

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Gathered {
    /// The change.
    pub change: Change,
    /// The resources that the API server refuses.
    pub refused: Vec<Conflict>,
    /// The parts that were not read, a clause each.
    pub unknown: Vec<String>,
}

/// Which resources a prune deletes.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    /// The labels that they have.
    pub selector: Option<String>,
}

/// Reads everything.
pub async fn gather(
    access: &Access,
    redis: &RedisArgs,
    resources: &[Resource],
    prune: Option<&Prune>,
    watched: &[String],
) -> Result<Gathered, Failure> {
    let operator = Operator::choose(access).await?;
    let lease = operator.as_ref().ok().and_then(Operator::known_lease);
    let by_lease = || lease.map(Snapshots::watched_by).unwrap_or_default();
    let snapshots = Snapshots {
        client: access.client.clone(),
        watched: if watched.is_empty() { by_lease() } else { watched.to_vec() },
        fallback: access.namespace().to_owned(),
        secrets: Secrets::Unread,
        held_spec_bytes: MAX_HELD_SPECS,
    };
    let snapshot = snapshots.load().await?;
    let mut gathered = Gathered { unknown: snapshot.missing.clone(), ..Gathered::default() };
    gathered.change.is_certain = snapshot.missing.is_empty();
    for object in snapshot.index.objects() {
        gathered.change.before.push(existing(access, &object).await?);
    }
    gathered.change.before.sort_by(|one, other| one.name.cmp(&other.name));
    let files = Files { access, resources };
    files.missing_secrets(&snapshot.index, &mut gathered).await?;
    files.put_over(&mut gathered).await?;
    if let Some(prune) = prune {
        files.prune(prune, &mut gathered).await?;
    }
    let operator = operator.as_ref().map_err(Clone::clone);
    let mut reach = Reach::new(redis, Some(access), operator, access.args.timeout)?;
    match ask(&mut reach, &gathered.change).await {
        Ok(facts) => take_in(&facts, &mut gathered.change),
        Err(why) => {
            gathered.unknown.push(format!("Redis: {why}"));
            gathered.change.is_certain &= !needs_redis(&gathered.change);
        }
    }
    Ok(gathered)
}

/// A resource of the cluster.
async fn existing(access: &Access, object: &CachedTenant) -> Result<Object, Failure> {
    let name = object.name();
    let mut spec = object.spec().to_owned();
    if object.cached_spec().is_unheld() {
        let read: Value =
            raw(access, Request::new(path(&name)).get(&name.name, &GetParams::default())?).await?;
        spec = read["spec"].to_string();
    }
    Ok(Object {
        uid: object.uid(),
        created: object.created(),
        generation: object.generation(),
        spec,
        published: object.status_dids(),
        deleting: object.is_deleting(),
        takes_over: object.take_over().is_some_and(|value| value == "true"),
        secret: None,
        is_new: false,
        name,
    })
}

fn path(name: &ResourceName) -> String {
    RuntimeTenant::url_path(&(), Some(&name.namespace))
}

async fn raw(access: &Access, request: hyper::Request<Vec<u8>>) -> Result<Value, kube::Error> {
    access.client.request(request).await
}

struct Files<'a> {
    access: &'a Access,
    resources: &'a [Resource],
}

impl Files<'_> {
    /// Notes the faults of the Secrets of resources whose status names one: they may be mended, by these files too.
    async fn missing_secrets(&self, index: &Index, gathered: &mut Gathered) -> Result<(), Failure> {
        let mut unread = None;
        for object in &mut gathered.change.before {
            let known = index.object_named(&object.name);
            let status = known.as_ref().and_then(|known| known.status());
            let is_about_secret = status.is_some_and(|status| {
                let is_it = |condition: &&ConditionText| {
                    &*condition.type_ == READY && condition.reason.starts_with("Secret")
                };
                status.conditions().any(|condition| is_it(&condition))
            });
            if is_about_secret {
                object.secret = self.secret(&object.name, &object.spec, &mut unread).await?;
            }
        }
        gathered.unknown.extend(unread);
        Ok(())
    }

    /// Puts the files over the resources of the cluster.
    async fn put_over(&self, gathered: &mut Gathered) -> Result<(), Failure> {
        let mut after: BTreeMap<ResourceName, Object> =
            gathered.change.before.iter().map(|object| (object.name.clone(), object.clone())).collect();
        let newest = after.values().map(|object| object.created).max().unwrap_or_default();
        let (mut ours, mut unread) = (false, None);
        for resource in self.resources.iter().filter(|resource| resource.is_tenant()) {
            let Some(name) = &resource.name else {
                return Err(format!("{}: a resource has no metadata.name", resource.file).into());
            };
            let namespace = resource.namespace.as_deref().unwrap_or(self.access.namespace());
            let name = ResourceName::new(namespace, name);
            gathered.change.in_files.insert(name.clone());
            let was = after.get(&name).cloned();
            let spec = match self.dry_run(resource, &name, was.is_some()).await {
                Ok(spec) => spec,
                Err(kube::Error::Api(status)) if status.code == 403 && status.reason == "Forbidden" => {
                    ours = true;
                    with_defaults(resource.spec())
                }
                Err(kube::Error::Api(status)) => {
                    gathered.refused.push(Conflict {
                        namespace: name.namespace.to_string(),
                        name: name.name.to_string(),
                        number: None,
                        reason: "Refused".to_owned(),
                        message: format!("the API server refuses it to you: {}", status.message),
                    });
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let annotations = resource.node.get("metadata").and_then(|metadata| metadata.get("annotations"));
            let takes_over = annotations.and_then(|annotations| annotations.text(TAKE_OVER)) == Some("true");
            let secret = self.secret(&name, &spec, &mut unread).await?;
            let object = match was {
                Some(was) => Object {
                    generation: was.generation + i64::from(was.spec != spec),
                    takes_over: takes_over || was.takes_over,
                    spec,
                    secret,
                    ..was
                },
                None => Object {
                    uid: Uid::from(format!("~{name}")),
                    created: newest + 1,
                    generation: 1,
                    spec,
                    published: Vec::new(),
                    deleting: false,
                    takes_over,
                    secret,
                    is_new: true,
                    name: name.clone(),
                },
            };
            after.insert(name, object);
        }
        if ours {
            gathered.unknown.push(
                "dry runs: you may not write these resources, so defaults are those of this program"
                    .to_owned(),
            );
        }
        gathered.unknown.extend(unread);
        gathered.change.after = after.into_values().collect();
        Ok(())
    }

    /// Returns the spec that a resource would have, with the API server's defaults.
    async fn dry_run(
        &self,
        resource: &Resource,
        name: &ResourceName,
        exists: bool,
    ) -> Result<String, kube::Error> {
        let params = PostParams { dry_run: true, ..PostParams::default() };
        let mut body = resource.node.to_json();
        body["metadata"]["namespace"] = json!(&*name.namespace);
        let request = Request::new(path(name));
        let request = if exists {
            let live: Value = raw(
                self.access,
                Request::new(path(name))
                    .get(&name.name, &GetParams::default())
                    .map_err(kube::Error::BuildRequest)?,
            )
            .await?;
            body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            request.replace(&name.name, &params, body.to_string().into_bytes())
        } else {
            request.create(&params, body.to_string().into_bytes())
        };
        let answer = raw(self.access, request.map_err(kube::Error::BuildRequest)?).await?;
        Ok(answer["spec"].to_string())
    }

    /// The fault of a resource's Secret: those of the files count, then those of the cluster.
    async fn secret(
        &self,
        name: &ResourceName,
        spec: &str,
        unread: &mut Option<String>,
    ) -> Result<Option<SecretFault>, Failure> {
        let Ok(spec) = compile::read(spec) else { return Ok(None) };
        let key = SecretKey::of(name, &spec);
        if let Some(secret) = self.secret_in_files(&key.secret) {
            let has_key = ["data", "stringData"]
                .iter()
                .any(|map| secret.node.get(map).and_then(|map| map.get(&key.key)).is_some());
            return Ok((!has_key).then(|| key.fault(SecretFaultKind::KeyNotFound)));
        }
        let secrets: Api<Secret> = Api::namespaced(self.access.client.clone(), &key.secret.namespace);
        match secrets.get_opt(&key.secret.name).await {
            Ok(Some(secret)) => {
                let value = secret.data.as_ref().and_then(|data| data.get(&key.key));
                Ok(extract(value.map(|bytes| bytes.0.as_slice())).err().map(|kind| key.fault(kind)))
            }
            Ok(None) => Ok(Some(key.fault(SecretFaultKind::NotFound))),
            Err(error) if is_forbidden(&error) => {
                *unread = Some(format!("Secrets: {}", explained(&error)));
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn secret_in_files(&self, name: &ResourceName) -> Option<&Resource> {
        self.resources.iter().find(|resource| {
            let namespace = resource.namespace.as_deref().unwrap_or(self.access.namespace());
            resource.is_secret()
                && resource.name.as_deref() == Some(&*name.name)
                && namespace == &*name.namespace
        })
    }

    /// Removes the resources that a prune deletes: in the namespaces of the files, with these labels, and in no file.
    async fn prune(&self, prune: &Prune, gathered: &mut Gathered) -> Result<(), Failure> {
        let namespaces: BTreeSet<String> =
            gathered.change.in_files.iter().map(|name| name.namespace.to_string()).collect();
        for namespace in namespaces {
            let api: Api<RuntimeTenant> = Api::namespaced(self.access.client.clone(), &namespace);
            let params = ListParams { label_selector: prune.selector.clone(), ..ListParams::default() };
            let listed: BTreeSet<ResourceName> = api
                .list_metadata(&params)
                .await?
                .iter()
                .map(|meta| ResourceName::new(&namespace, &meta.name_any()))
                .filter(|name| !gathered.change.in_files.contains(name))
                .collect();
            gathered.change.after.retain(|object| !listed.contains(&object.name));
        }
        Ok(())
    }
}

/// The spec of a file with the defaults that the API server would set.
fn with_defaults(spec: Value) -> String {
    let text = normalised(spec).to_string();
    match compile::read(&text).map(|spec| serde_json::to_string(&spec)) {
        Ok(Ok(spec)) => spec,
        _ => text,
    }
}

/// The objects that change, as they are and as they will be.
fn changed(change: &Change) -> impl Iterator<Item = &Object> {
    let before: HashMap<&ResourceName, &Object> =
        change.before.iter().map(|object| (&object.name, object)).collect();
    let after: HashMap<&ResourceName, &Object> =
        change.after.iter().map(|object| (&object.name, object)).collect();
    let is_same = |name: &ResourceName| match (before.get(name), after.get(name)) {
        (Some(before), Some(after)) => before.spec == after.spec,
        _ => false,
    };
    let names: BTreeSet<&ResourceName> =
        before.keys().chain(after.keys()).copied().filter(|name| !is_same(name)).collect();
    let both: Vec<&Object> = names
        .into_iter()
        .flat_map(|name| before.get(name).into_iter().chain(after.get(name)).copied())
        .collect();
    both.into_iter()
}

/// Asks Redis about the numbers and the tenants that change.
async fn ask(reach: &mut Reach<'_>, change: &Change) -> Result<Facts, String> {
    let (mut dids, mut tenants) = (BTreeSet::new(), BTreeSet::new());
    for object in changed(change) {
        let claimed = compile::claimed(&object.spec);
        dids.extend(claimed.dids.into_iter().chain(object.published.clone()));
        tenants.extend(claimed.tenant);
    }
    let (dids, tenants): (Vec<Did>, Vec<TenantId>) =
        (dids.into_iter().collect(), tenants.into_iter().collect());
    let mut facts = Facts::default();
    for some in tenants.chunks(MAX_QUESTIONS) {
        let query = FactsQuery { tenants: some.to_vec(), ..FactsQuery::default() };
        facts.tenants.extend(reach.ask(&query).await?.tenants);
    }
    for some in dids.chunks(MAX_QUESTIONS) {
        let more = reach.ask(&FactsQuery { dids: some.to_vec(), ..FactsQuery::default() }).await?;
        facts.dids.extend(more.dids);
        facts.tenants.extend(more.tenants);
    }
    // The numbers that the configs of older publishers list may be mapped, and asked for by no resource.
    let asked: BTreeSet<&str> = facts.dids.iter().map(|did| did.did.as_str()).collect();
    let listed = facts
        .tenants
        .iter()
        .filter(|tenant| tenant.record.is_none())
        .filter_map(|tenant| tenant.config.as_ref());
    let listed: BTreeSet<Did> = listed
        .flat_map(|config| &config.dids)
        .filter(|did| !asked.contains(did.as_str()))
        .filter_map(|did| Did::parse_exact(did).ok())
        .collect();
    for some in listed.into_iter().collect::<Vec<_>>().chunks(MAX_QUESTIONS) {
        let more = reach.ask(&FactsQuery { dids: some.to_vec(), ..FactsQuery::default() }).await?;
        facts.dids.extend(more.dids);
    }
    Ok(facts)
}

/// Takes in what Redis holds: records say more than statuses, and mappings without one are an older publisher's.
fn take_in(facts: &Facts, change: &mut Change) {
    let mut by_uid: HashMap<String, Vec<Did>> = HashMap::new();
    let known: BTreeSet<String> = change.before.iter().map(|object| object.uid.to_string()).collect();
    let unmanaged: &mut Unmanaged = &mut change.unmanaged;
    for tenant in &facts.tenants {
        let dids =
            |texts: &[String]| texts.iter().filter_map(|did| Did::parse_exact(did).ok()).collect::<Vec<_>>();
        match (&tenant.record, &tenant.config) {
            (Some(record), _) if known.contains(&record.uid) => {
                by_uid.insert(record.uid.clone(), dids(&record.dids));
            }
            (Some(record), _) => {
                let owner = (record.cluster.clone(), record.owner.clone());
                unmanaged.elsewhere.insert(tenant.tenant_id.clone(), owner);
            }
            (None, Some(config)) => {
                drop(unmanaged.configs.insert(tenant.tenant_id.clone(), dids(&config.dids)));
            }
            (None, None) => {}
        }
    }
    for object in change.before.iter_mut().chain(&mut change.after) {
        if let Some(dids) = by_uid.get(object.uid.as_str()) {
            object.published.clone_from(dids);
        }
    }
    let published: BTreeSet<&Did> = change.before.iter().flat_map(|object| &object.published).collect();
    for fact in &facts.dids {
        if let (Ok(did), Some(tenant)) = (Did::parse_exact(&fact.did), &fact.tenant_id)
            && !published.contains(&did)
        {
            unmanaged.mappings.insert(did, tenant.clone());
        }
    }
}

/// True if some number is claimed that no resource has published: an older publisher may have mapped it.
fn needs_redis(change: &Change) -> bool {
    let published: BTreeSet<&Did> = change.before.iter().flat_map(|object| &object.published).collect();
    changed(change)
        .any(|object| compile::claimed(&object.spec).dids.iter().any(|did| !published.contains(did)))
}
