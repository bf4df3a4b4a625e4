//! Compares the Pods' requests to the API server with their permissions, which must be exactly those.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// A request that got a response.
#[derive(Debug)]
pub struct Asked {
    pub user: String,
    pub verb: String,
    /// The resource with its subresource, as in `runtimetenants/status`.
    pub resource: String,
    pub group: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub denied: bool,
}

/// Returns the requests of `ServiceAccounts` so far.
pub fn asked(log: &Path) -> Vec<Asked> {
    let text = std::fs::read_to_string(log).unwrap();
    // The last line may be incomplete.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| parse(&serde_json::from_str(line).unwrap())).collect()
}

fn parse(event: &Value) -> Asked {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let object = &event["objectRef"];
    let resource = text(&object["resource"]).unwrap_or_default();
    let subresource = text(&object["subresource"]).map(|name| format!("/{name}")).unwrap_or_default();
    Asked {
        user: text(&event["user"]["username"]).unwrap(),
        verb: text(&event["verb"]).unwrap(),
        resource: resource + &subresource,
        group: text(&object["apiGroup"]).unwrap_or_default(),
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        denied: event["annotations"]["authorization.k8s.io/decision"] != "allow",
    }
}

/// A permission: one verb on one resource, perhaps of one name, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub role: String,
    pub namespace: Option<String>,
    pub group: String,
    pub resource: String,
    pub name: Option<String>,
    pub verb: String,
}

impl Right {
    /// Returns true if a request needs it.
    pub fn covers(&self, asked: &Asked) -> bool {
        self.group == asked.group
            && self.resource == asked.resource
            && self.verb == asked.verb
            && (self.namespace.is_none() || self.namespace == asked.namespace)
            && (self.name.is_none() || self.name == asked.name)
    }
}

/// Returns the permissions that a release's manifest grants to a `ServiceAccount`, by the Roles that are bound to it.
pub fn rights(manifest: &[Value], account: &str) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    for binding in manifest.iter().filter(|object| object["kind"].as_str().unwrap().ends_with("RoleBinding"))
    {
        if binding["subjects"][0]["name"] != account {
            continue;
        }
        let is_role = |object: &&Value| {
            object["kind"] == binding["roleRef"]["kind"]
                && object["metadata"]["name"] == binding["roleRef"]["name"]
                && object["metadata"]["namespace"] == binding["metadata"]["namespace"]
        };
        let role = manifest.iter().find(is_role).expect("a binding's role is part of the release");
        for rule in role["rules"].as_array().unwrap() {
            expand(role, rule, &mut rights);
        }
    }
    rights
}

fn expand(role: &Value, granted: &Value, all: &mut BTreeSet<Right>) {
    let list = |name: &str| -> Vec<String> {
        let items = granted[name].as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    let names = list("resourceNames");
    let names: Vec<_> = if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
    for group in list("apiGroups") {
        for resource in list("resources") {
            for verb in list("verbs") {
                all.extend(names.iter().map(|name| Right {
                    role: role["metadata"]["name"].as_str().unwrap().into(),
                    namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    name: name.clone(),
                    verb: verb.clone(),
                }));
            }
        }
    }
}
