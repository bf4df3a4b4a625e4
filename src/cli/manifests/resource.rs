//! The resources of a text: each document of it, and each item of a list.

use serde_json::Value;
use serde_saphyr::{DuplicateKeyPolicy, UserMessageFormatter, alias_limits, budget, options};

use super::super::common::API_VERSION;
use super::input::Source;
use super::node::{Kind, Node, Position};
use crate::api::GROUP;

/// The most values of a document.
const MAX_NODES: usize = 250_000;
/// The most events that aliases repeat.
const MAX_REPLAYED: usize = 250_000;

/// A resource of a text.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The text's name.
    pub file: String,
    /// Its values and their places.
    pub node: Node,
    /// `apiVersion`; empty where there is none.
    pub api_version: String,
    /// `kind`; empty where there is none.
    pub kind: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: Option<String>,
}

/// A place at which a text is no YAML.
#[derive(Clone, Debug)]
pub struct Syntax {
    /// The text's name.
    pub file: String,
    /// The place.
    pub at: Position,
    /// The fault there.
    pub message: String,
}

impl Resource {
    /// True for a `RuntimeTenant` of any version.
    #[must_use]
    pub fn is_tenant(&self) -> bool {
        let group = self.api_version.split_once('/').map(|(group, _)| group);
        self.kind == "RuntimeTenant" && group == Some(GROUP)
    }

    /// True for a Secret.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.kind == "Secret" && self.api_version == "v1"
    }

    /// The spec as JSON; `null` where there is none.
    #[must_use]
    pub fn spec(&self) -> Value {
        self.node.get("spec").map(Node::to_json).unwrap_or_default()
    }
}

/// Reads the resources of a text, and the faults that make it or a document of it unreadable.
#[must_use]
pub fn resources(source: &Source) -> (Vec<Resource>, Vec<Syntax>) {
    let options = options! {
        budget: budget! { max_nodes: MAX_NODES, max_documents: 100_000 },
        alias_limits: alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        // They are reported with all other faults.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        with_snippet: false,
    };
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    let mut text = source.text.as_bytes();
    for document in serde_saphyr::read_with_options::<_, Node>(&mut text, options) {
        match document {
            Ok(node) => add(source, node, &mut found, &mut faults),
            Err(error) => {
                let at = error.location().map(|at| Position { line: at.line(), column: at.column() });
                let message = error.without_snippet().render_with_formatter(&UserMessageFormatter);
                // The place is shown already.
                let message = message.lines().next().unwrap_or_default();
                let message = message.split(" at line ").next().unwrap_or_default().to_owned();
                let message = format!("is no YAML: {message}");
                faults.push(Syntax { file: source.name.clone(), at: at.unwrap_or_default(), message });
            }
        }
    }
    (found, faults)
}

fn add(source: &Source, node: Node, found: &mut Vec<Resource>, faults: &mut Vec<Syntax>) {
    if !matches!(node.kind, Kind::Map(_)) {
        let message = "is no resource: a map with apiVersion, kind and metadata is expected".to_owned();
        faults.push(Syntax { file: source.name.clone(), at: node.at, message });
        return;
    }
    let text = |name: &str| node.text(name).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    // A result of this command line, as `export` leaves one beside the manifests.
    if api_version == API_VERSION {
        return;
    }
    let is_list = (kind == "List" && api_version == "v1")
        || (kind == "RuntimeTenantList" && api_version.starts_with(GROUP));
    if is_list {
        if let Some(Kind::List(items)) = node.get("items").map(|items| items.kind.clone()) {
            for item in items {
                add(source, item, found, faults);
            }
        } else {
            let message = "is no list of resources: items must be a list".to_owned();
            faults.push(Syntax { file: source.name.clone(), at: node.at, message });
        }
        return;
    }
    let metadata = node.get("metadata");
    let of_metadata = |name: &str| metadata.and_then(|metadata| metadata.text(name)).map(str::to_owned);
    let (namespace, name) = (of_metadata("namespace"), of_metadata("name"));
    found.push(Resource { file: source.name.clone(), api_version, kind, namespace, name, node });
}
