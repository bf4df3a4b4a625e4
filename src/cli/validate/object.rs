//! The check of a whole resource: what surrounds its spec, and the spec.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::manifests::{Kind, Node, Place, Position, Resource};
use super::check::{Checked, check};
use super::finding::Finding;
use super::schema::similar;
use crate::api::GROUP;
use crate::contract::{DocumentPath, PathSegment};

/// The members of a resource.
const MEMBERS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// The members of its metadata.
const METADATA: [&str; 15] = [
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// A name of an object, by RFC 1123.
static NAME: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$").ok());

/// Returns true for a name that an object may have.
#[must_use]
pub fn is_name(text: &str) -> bool {
    (1..=253).contains(&text.len()) && NAME.as_ref().is_some_and(|name| name.is_match(text))
}

/// Returns everything that is wrong or odd in a `RuntimeTenant`, in no order.
#[must_use]
pub fn findings(resource: &Resource) -> Vec<Finding> {
    let mut object = Object { resource, found: Vec::new() };
    object.around_spec();
    object.metadata();
    object.repeated_keys();
    object.spec();
    object.found
}

struct Object<'r> {
    resource: &'r Resource,
    found: Vec<Finding>,
}

impl Object<'_> {
    fn add(&mut self, path: &[&str], rule: impl Into<String>) {
        let path: Vec<_> = path.iter().map(|name| PathSegment::Member((*name).to_owned())).collect();
        let at = self.resource.node.place(&path);
        self.add_at(&path, at, rule);
    }

    fn add_at(&mut self, path: &[PathSegment], at: Position, rule: impl Into<String>) {
        let path: DocumentPath = path.iter().cloned().collect();
        self.found.push(Finding::error(&self.resource.file, at, path.to_string(), rule));
    }

    fn around_spec(&mut self) {
        let expected = format!("{GROUP}/v1");
        if self.resource.api_version != expected {
            self.add(&["apiVersion"], format!("must be {expected}"));
        }
        self.unknown(&[], &MEMBERS);
    }

    /// Adds the keys of an object that it does not know.
    fn unknown(&mut self, object: &[&str], known: &[&'static str]) {
        let node = object.iter().try_fold(&self.resource.node, |node, name| node.get(name));
        let Some(Node { kind: Kind::Map(entries), .. }) = node else { return };
        let mut unknown: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        unknown.retain(|key| !known.contains(&key.as_str()));
        for key in unknown {
            let path: Vec<_> = object
                .iter()
                .copied()
                .chain([key.as_str()])
                .map(|name| PathSegment::Member(name.to_owned()))
                .collect();
            let at = self.resource.node.key_place(&path);
            let rule = match similar(&key, known.iter().copied()) {
                Some(meant) => format!("unknown field (did you mean {meant}?)"),
                None => "unknown field".to_owned(),
            };
            self.add_at(&path, at, rule);
        }
    }

    fn metadata(&mut self) {
        let Some(metadata) = self.resource.node.get("metadata") else {
            return self.add(&["metadata"], "must be given");
        };
        if !matches!(metadata.kind, Kind::Map(_)) {
            return self.add(&["metadata"], "must be an object");
        }
        self.unknown(&["metadata"], &METADATA);
        let metadata = metadata.to_json();
        match (&metadata["name"], &metadata["generateName"]) {
            (Value::String(name), _) if is_name(name) => {}
            (Value::Null, Value::String(_)) => {}
            (Value::Null, _) => self.add(&["metadata", "name"], "must be given"),
            (Value::String(_), _) => self.add(
                &["metadata", "name"],
                "must be a name: lower-case letters, digits, '-' and '.', at most 253, a letter or digit at both ends",
            ),
            _ => self.add(&["metadata", "name"], "must be a text: put it in quotes"),
        }
        match &metadata["namespace"] {
            Value::Null => {}
            Value::String(name) if is_name(name) && !name.contains('.') && name.len() <= 63 => {}
            _ => self.add(&["metadata", "namespace"], "must be the name of a namespace"),
        }
        for map in ["labels", "annotations"] {
            match &metadata[map] {
                Value::Null => {}
                Value::Object(members) => {
                    for (name, value) in members.iter().filter(|(_, value)| !value.is_string()) {
                        let hint =
                            if value.is_object() || value.is_array() { "" } else { ": put it in quotes" };
                        self.add(&["metadata", map, name], format!("must be a text{hint}"));
                    }
                }
                _ => self.add(&["metadata", map], "must be an object"),
            }
        }
    }

    fn repeated_keys(&mut self) {
        let mut found = Vec::new();
        self.resource.node.repeated_keys(&mut Vec::new(), &mut |path, at| found.push((path.to_vec(), at)));
        for (path, at) in found {
            self.add_at(&path, at, "stands twice in its object");
        }
    }

    fn spec(&mut self) {
        let Checked { faults, warnings } = check(self.resource.spec());
        let errors: Vec<_> = faults.iter().map(|place| self.of_place(place)).collect();
        let warnings: Vec<_> = warnings.iter().map(|place| self.of_place(place).into_warning()).collect();
        self.found.extend(errors.into_iter().chain(warnings));
    }

    fn of_place(&self, place: &Place) -> Finding {
        let spec = PathSegment::Member("spec".to_owned());
        let path: Vec<_> = std::iter::once(spec).chain(place.path.iter().cloned()).collect();
        let node = &self.resource.node;
        let at = if place.is_key { node.key_place(&path) } else { node.place(&path) };
        let path: DocumentPath = path.into_iter().collect();
        Finding::error(&self.resource.file, at, path.to_string(), place.rule.clone())
    }
}
