//! Faults that only show when all resources are seen together: names, tenant ids and numbers that two of them have, and Secrets that
//! are not among them. The controller's own claims decide who has what.

use std::collections::{HashMap, HashSet};

use super::super::manifests::{Node, Position, Resource};
use super::finding::Finding;
use super::schema::normalised;
use crate::api::DEFAULT_SECRET_KEY;
use crate::contract::{Did, PathSegment};
use crate::domain::claims::{Claim, Claims, Eligibility, HeldBy};
use crate::domain::compile::{self, Claimed};
use crate::domain::{ResourceName, Uid};

/// A tenant with what it claims. The later one of two loses.
struct Claimant<'r> {
    resource: &'r Resource,
    name: ResourceName,
    claimed: Claimed,
}

/// Returns what is wrong between resources. A namespace that is left out is `namespace`.
#[must_use]
pub fn findings(resources: &[Resource], namespace: &str) -> Vec<Finding> {
    let tenants = resources.iter().filter(|resource| resource.is_tenant());
    let claimants: Vec<_> = tenants
        .map(|resource| Claimant {
            resource,
            name: name_of(resource, namespace),
            claimed: compile::claimed(&normalised(resource.spec()).to_string()),
        })
        .collect();
    let mut found = named_twice(&claimants);
    found.extend(contested(&claimants));
    found
}

/// `<namespace>/<name>` of a resource.
#[must_use]
pub fn name_of(resource: &Resource, namespace: &str) -> ResourceName {
    let namespace = resource.namespace.as_deref().unwrap_or(namespace);
    ResourceName::new(namespace, resource.name.as_deref().unwrap_or("?"))
}

fn member(name: &str) -> PathSegment {
    PathSegment::Member(name.to_owned())
}

fn place(resource: &Resource, at: Position) -> String {
    format!("{}:{}:{}", resource.file, at.line, at.column)
}

fn named_twice(claimants: &[Claimant<'_>]) -> Vec<Finding> {
    let mut first: HashMap<&ResourceName, &Resource> = HashMap::new();
    let mut found = Vec::new();
    let path = [member("metadata"), member("name")];
    for Claimant { resource, name, .. } in
        claimants.iter().filter(|claimant| claimant.resource.name.is_some())
    {
        let at = resource.node.place(&path);
        match first.get(name) {
            Some(other) => {
                let elsewhere = place(other, other.node.place(&path));
                let rule = format!("{name} is also defined in {elsewhere}");
                found.push(Finding::error(&resource.file, at, "metadata.name", rule));
            }
            None => drop(first.insert(name, resource)),
        }
    }
    found
}

/// The ids and numbers that two resources claim, at the one that would wait.
fn contested(claimants: &[Claimant<'_>]) -> Vec<Finding> {
    let uid = |index: usize| Uid::from(format!("{index:09}"));
    let mut claims = Claims::default();
    for (index, Claimant { name, claimed, .. }) in claimants.iter().enumerate() {
        let Some(tenant) = claimed.tenant.clone() else { continue };
        let created = i64::try_from(index).unwrap_or(i64::MAX);
        let _ = claims.upsert(Claim {
            uid: uid(index),
            name: name.clone(),
            created,
            tenant,
            dids: claimed.dids.clone(),
            // Other faults of a spec will be mended, and its claim is then as strong as any.
            eligibility: Eligibility::Active,
            status_dids: Vec::new(),
            refused_outside: false,
        });
    }
    let mut found = Vec::new();
    for (index, claimant) in claimants.iter().enumerate() {
        let Some(holdings) = claims.holdings(&uid(index)) else { continue };
        let other = |held_by: &HeldBy| {
            let index: Option<usize> = held_by.uid().and_then(|uid| uid.as_str().parse().ok());
            index.and_then(|index| claimants.get(index))
        };
        if let Some(held_by) = &holdings.tenant_held_by {
            let path = vec![member("spec"), member("tenantId")];
            let tenant = claimant.claimed.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
            found.push(
                claimant.also_claimed(&tenant, path, other(held_by), |_| {
                    vec![member("spec"), member("tenantId")]
                }),
            );
        }
        for (did, held_by) in &holdings.contested {
            let path = did_path(&claimant.resource.node, did);
            let finding =
                claimant.also_claimed(did.as_str(), path, other(held_by), |node| did_path(node, did));
            found.push(finding);
        }
    }
    found
}

impl Claimant<'_> {
    fn also_claimed(
        &self,
        what: &str,
        path: Vec<PathSegment>,
        other: Option<&Self>,
        path_there: impl FnOnce(&Node) -> Vec<PathSegment>,
    ) -> Finding {
        let by = other.map_or_else(
            || "by many resources before this one".to_owned(),
            |other| {
                let at = other.resource.node.place(&path_there(&other.resource.node));
                format!("in {} ({})", place(other.resource, at), other.name)
            },
        );
        let at = self.resource.node.place(&path);
        let path: crate::contract::DocumentPath = path.into_iter().collect();
        Finding::error(&self.resource.file, at, path.to_string(), format!("{what} is also claimed {by}"))
    }
}

/// The path of a number in the list of a resource.
fn did_path(node: &Node, did: &Did) -> Vec<PathSegment> {
    let mut path = vec![member("spec"), member("dids")];
    let dids = node.get("spec").and_then(|spec| spec.get("dids")).map(Node::to_json).unwrap_or_default();
    let is_it =
        |text: &serde_json::Value| text.as_str().is_some_and(|text| Did::parse(text).as_ref() == Ok(did));
    path.extend(dids.as_array().and_then(|dids| dids.iter().position(is_it)).map(PathSegment::Item));
    path
}

/// Returns the references to a Secret, or to a key in it, that is not among the resources.
#[must_use]
pub fn missing_secrets(resources: &[Resource], namespace: &str) -> Vec<Finding> {
    let secrets: HashMap<ResourceName, HashSet<String>> = resources
        .iter()
        .filter(|resource| resource.is_secret() && resource.name.is_some())
        .map(|resource| (name_of(resource, namespace), keys(resource)))
        .collect();
    let mut found = Vec::new();
    for resource in resources.iter().filter(|resource| resource.is_tenant()) {
        let spec = resource.spec();
        let reference = &spec["webhookSecretRef"];
        let Some(name) = reference["name"].as_str() else { continue };
        let key = reference["key"].as_str().unwrap_or(DEFAULT_SECRET_KEY);
        let secret = ResourceName::new(&name_of(resource, namespace).namespace, name);
        let rule = match secrets.get(&secret) {
            None => format!("Secret {secret} is not among these files"),
            Some(keys) if !keys.contains(key) => format!("Secret {secret} has no key {key:?} in these files"),
            Some(_) => continue,
        };
        let path = [member("spec"), member("webhookSecretRef"), member("name")];
        found.push(Finding::error(
            &resource.file,
            resource.node.place(&path),
            "spec.webhookSecretRef.name",
            rule,
        ));
    }
    found
}

fn keys(secret: &Resource) -> HashSet<String> {
    let maps = ["data", "stringData"].iter().filter_map(|map| secret.node.get(map)).map(Node::to_json);
    maps.filter_map(|map| map.as_object().map(|map| map.keys().cloned().collect::<Vec<_>>()))
        .flatten()
        .collect()
}
