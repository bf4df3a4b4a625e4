//! Collects the parts of a report. Each is made of fields of an allow-list, so that a new field is never taken by accident.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::events::v1::Event;
use kube::api::{ListParams, LogParams};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use url::Url;

use super::archive::Archive;
use crate::cli::common::{Access, Secrets, Snapshots, explained};
use crate::cli::failure::Failure;
use crate::cli::reach::{Operator, Reach};
use crate::contract::TenantId;
use crate::domain::index::{CachedStatus, Index};
use crate::store::{FactsQuery, MAX_QUESTIONS};

/// The bytes of a Pod's log that are taken.
const MAX_LOG: i64 = 8 << 20;
/// The port of probes and metrics where the Deployment names none.
const TELEMETRY_PORT: i32 = 8081;
/// The settings whose values are taken. Each is a switch, a size, a name or an address; a URL is taken without its user.
const SETTINGS: [&str; 18] = [
    "ADMIN_ADDR",
    "ALLOW_RUNTIME_SECRET_READ",
    "CLUSTER_ID",
    "ENABLE_RUNTIME_ADMIN",
    "LEADER_ELECT",
    "LEASE_NAME",
    "LOG_FORMAT",
    "MAX_HELD_SPEC_BYTES",
    "MAX_TENANT_BYTES",
    "PUBLISH_WEBHOOK_SECRET",
    "REDIS_SENTINEL",
    "REDIS_SENTINEL_SERVICE",
    "REDIS_URL",
    "RUNTIME_ADMIN_AUTH",
    "RUNTIME_ADMIN_INSECURE",
    "RUST_LOG",
    "TELEMETRY_ADDR",
    "WATCH_NAMESPACES",
];

/// Collects into an archive.
pub struct Collector<'a> {
    /// The cluster.
    pub access: &'a Access,
    /// The operator, if one was found.
    pub operator: Option<&'a Operator>,
    /// The time of the logs.
    pub since: Duration,
    /// True: with the specs.
    pub include_specs: bool,
    /// The parts that were not taken, and why.
    pub missing: Vec<String>,
    /// The archive.
    pub archive: &'a mut Archive,
}

impl Collector<'_> {
    /// Collects everything. Only a failure of the file is an error.
    pub async fn collect(&mut self, reach: Reach<'_>) -> Result<(), Failure> {
        let lease = self.operator.and_then(Operator::known_lease);
        let snapshots = Snapshots {
            client: self.access.client.clone(),
            watched: lease.map(Snapshots::watched_by).unwrap_or_default(),
            fallback: self.access.namespace().to_owned(),
            secrets: Secrets::Unread,
            held_spec_bytes: if self.include_specs { usize::MAX } else { 0 },
        };
        let index = match snapshots.load().await {
            Ok(snapshot) => {
                self.missing.extend(snapshot.missing);
                Some(snapshot.index)
            }
            Err(error) => {
                self.missing.push(format!("RuntimeTenants: {}", explained(&error)));
                None
            }
        };
        if let Some(index) = &index {
            self.learn(index);
        }
        self.versions().await?;
        if let Some(index) = &index {
            self.tenants(index)?;
        }
        if let Some(operator) = self.operator {
            self.operator(operator).await?;
        }
        self.redis(reach, index.as_ref()).await
    }

    /// Makes the names known that must be replaced.
    fn learn(&mut self, index: &Index) {
        let objects = index.objects();
        let names = objects.iter().flat_map(|object| {
            let name = object.name();
            let tenant = index.claims().get(&object.uid()).map(|claim| claim.tenant.to_string());
            [Some(name.namespace.to_string()), Some(name.name.to_string()), tenant].into_iter().flatten()
        });
        let names: Vec<String> =
            names.chain(self.operator.map(|operator| operator.namespace.clone())).collect();
        self.archive.learn(names);
    }

    async fn versions(&mut self) -> Result<(), Failure> {
        let server = self.access.client.apiserver_version().await;
        let server = server
            .map_err(|error| self.missing.push(format!("the API server's version: {}", explained(&error))));
        let versions = json!({
            "client": env!("CARGO_PKG_VERSION"),
            "apiServer": server.ok().map(|version| version.git_version),
            "image": self.operator.and_then(Operator::image_version),
        });
        self.archive.add("versions.json", &format!("{versions:#}\n"))
    }

    /// The statuses of all resources, and their specs where a person wants them.
    fn tenants(&mut self, index: &Index) -> Result<(), Failure> {
        let mut objects = index.objects();
        objects.sort_by_key(|object| object.name());
        let rows = objects.iter().map(|object| {
            let name = object.name();
            let spec: Option<Value> =
                self.include_specs.then(|| serde_json::from_str(object.spec()).ok()).flatten();
            json!({
                "namespace": &*name.namespace,
                "name": &*name.name,
                "uid": object.uid().as_str(),
                "generation": object.generation(),
                "deleting": object.is_deleting(),
                "status": object.status().map(CachedStatus::status),
                "spec": spec,
            })
        });
        let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
        self.archive.add("runtimetenants.jsonl", &format!("{}\n", rows.join("\n")))
    }

    async fn operator(&mut self, operator: &Operator) -> Result<(), Failure> {
        let deployment = &operator.deployment;
        let text = json!({
            "name": deployment.name_any(),
            "namespace": operator.namespace,
            "image": operator.container().and_then(|container| container.image.clone()),
            "status": deployment.status,
            "settings": settings(operator),
        });
        self.archive.add("operator/deployment.json", &format!("{text:#}\n"))?;
        if let Ok(Some(lease)) = &operator.lease {
            let text = json!({ "annotations": lease.metadata.annotations, "spec": lease.spec });
            self.archive.add("operator/lease.json", &format!("{text:#}\n"))?;
        }
        self.events(&operator.namespace).await?;
        self.pods(operator, deployment).await
    }

    async fn events(&mut self, namespace: &str) -> Result<(), Failure> {
        let events: Api<Event> = Api::namespaced(self.access.client.clone(), namespace);
        let events = match events.list(&ListParams::default().limit(500)).await {
            Ok(events) => events,
            Err(error) => {
                self.missing.push(format!("events of {namespace}: {}", explained(&error)));
                return Ok(());
            }
        };
        let rows = events.items.iter().map(|event| {
            let regarding = event.regarding.as_ref();
            json!({
                "time": event.event_time,
                "type": event.type_,
                "reason": event.reason,
                "note": event.note,
                "kind": regarding.and_then(|regarding| regarding.kind.clone()),
                "name": regarding.and_then(|regarding| regarding.name.clone()),
            })
            .to_string()
        });
        let rows: Vec<String> = rows.collect();
        self.archive.add("operator/events.jsonl", &format!("{}\n", rows.join("\n")))
    }

    async fn pods(&mut self, operator: &Operator, deployment: &Deployment) -> Result<(), Failure> {
        let pods: Api<Pod> = Api::namespaced(self.access.client.clone(), &operator.namespace);
        let labels = deployment.spec.as_ref().and_then(|spec| spec.selector.match_labels.as_ref());
        let labels: Vec<String> =
            labels.into_iter().flatten().map(|(name, value)| format!("{name}={value}")).collect();
        let listed = match pods.list(&ListParams::default().labels(&labels.join(","))).await {
            Ok(listed) => listed,
            Err(error) => {
                self.missing.push(format!("Pods: {}", explained(&error)));
                return Ok(());
            }
        };
        let container = operator.container().map(|container| container.name.clone());
        for pod in listed.items {
            let name = pod.name_any();
            let status = json!({ "name": name, "node": pod.spec.and_then(|spec| spec.node_name), "status": pod.status });
            self.archive.add(&format!("operator/{name}/pod.json"), &format!("{status:#}\n"))?;
            self.probes(operator, &name).await?;
            let params = LogParams {
                container: container.clone(),
                since_seconds: i64::try_from(self.since.as_secs()).ok(),
                limit_bytes: Some(MAX_LOG),
                timestamps: true,
                ..LogParams::default()
            };
            match pods.logs(&name, &params).await {
                Ok(log) => self.archive.add(&format!("operator/{name}/log.txt"), &log)?,
                Err(error) => self.missing.push(format!("the log of {name}: {}", explained(&error))),
            }
        }
        Ok(())
    }

    /// Adds the responses of a replica to probes, through the API server's proxy.
    async fn probes(&mut self, operator: &Operator, pod: &str) -> Result<(), Failure> {
        let ports = operator.container().and_then(|container| container.ports.as_deref()).unwrap_or_default();
        let port = ports.iter().find(|port| port.name.as_deref() == Some("telemetry"));
        let port = port.map_or(TELEMETRY_PORT, |port| port.container_port);
        for path in ["readyz", "metrics"] {
            let namespace = &operator.namespace;
            let uri = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}");
            let request = hyper::Request::get(uri).body(Vec::new())?;
            match self.access.client.request_text(request).await {
                Ok(text) => self.archive.add(&format!("operator/{pod}/{path}.txt"), &text)?,
                Err(error) => self.missing.push(format!("/{path} of {pod}: {}", explained(&error))),
            }
        }
        Ok(())
    }

    /// The state of Redis, and the ownership records without configs.
    async fn redis(&mut self, mut reach: Reach<'_>, index: Option<&Index>) -> Result<(), Failure> {
        let facts = match reach.ask(&FactsQuery { server: true, ..FactsQuery::default() }).await {
            Ok(facts) => facts,
            Err(why) => {
                self.missing.push(format!("Redis: {why}"));
                return Ok(());
            }
        };
        self.archive.add("redis/server.json", &format!("{:#}\n", serde_json::to_value(&facts)?))?;
        let objects = index.map(Index::objects).unwrap_or_default();
        let claims = objects.iter().filter_map(|object| index?.claims().get(&object.uid()));
        let tenants: Vec<TenantId> = claims.map(|claim| claim.tenant.clone()).collect();
        let mut rows = String::new();
        for some in tenants.chunks(MAX_QUESTIONS) {
            match reach.ask(&FactsQuery { tenants: some.to_vec(), ..FactsQuery::default() }).await {
                Ok(facts) => {
                    for tenant in facts.tenants {
                        rows.push_str(&serde_json::to_string(&tenant)?);
                        rows.push('\n');
                    }
                }
                Err(why) => {
                    self.missing.push(format!("ownership records: {why}"));
                    break;
                }
            }
        }
        self.archive.add("redis/tenants.jsonl", &rows)
    }
}

/// The settings of the allow-list, as the Deployment has them; a URL without user, password and query.
fn settings(operator: &Operator) -> Value {
    let all = SETTINGS.iter().filter_map(|name| {
        let value = operator.setting(name)?;
        Some(((*name).to_owned(), Value::from(shown(value))))
    });
    Value::Object(all.collect())
}

fn shown(value: &str) -> String {
    if !value.contains("://") {
        return value.to_owned();
    }
    let Ok(mut url) = Url::parse(value) else { return "(no URL)".to_owned() };
    // Where it can't have a user, it has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_user_and_query() {
        assert_eq!(shown("redis://user:hunter2@redis:6379/0?x=hunter2#hunter2"), "redis://redis:6379/0");
        assert_eq!(shown("://hunter2"), "(no URL)");
        assert_eq!(shown("true"), "true");
    }
}
