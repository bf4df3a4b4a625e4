//! The CRD as users see it: `kubectl explain` and `kubectl get`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::api::{Patch, PatchParams};
use runtime_operator::api::crd;
use serde_json::json;
use test_support::specs::with;

use crate::cluster::{CRD_FILE, client, cluster, create, kubectl, namespace, object, run_kubectl, tenants};

/// Collects the path and the fields of every object in the schema, with the paths of `kubectl explain`.
fn objects(path: String, schema: &JSONSchemaProps, found: &mut Vec<(String, Vec<String>)>) {
    if let Some(properties) = &schema.properties {
        for (name, property) in properties {
            objects(format!("{path}.{name}"), property, found);
        }
        found.push((path, properties.keys().cloned().collect()));
    } else if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        objects(path, items, found);
    }
}

/// Returns the fields that an explanation lists with a description: a line of the field, then lines of text.
fn described(explanation: &str) -> HashSet<&str> {
    let fields = explanation.split_once("FIELDS:").map_or("", |(_, fields)| fields);
    let entries = fields.split("\n\n").filter_map(|entry| {
        let (field, rest) = entry.trim_start_matches('\n').split_once('\n')?;
        let text = rest.lines().any(|line| line.starts_with("    ") && !line.contains("<no description>"));
        text.then(|| field.split_whitespace().next()).flatten()
    });
    entries.collect()
}

#[tokio::test]
async fn kubectl_explains_every_field() {
    let cluster = cluster().await;
    let crd = crd();
    let schema = crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
    let mut found = Vec::new();
    objects("rtenant".to_owned(), schema, &mut found);
    assert!(found.iter().any(|(path, fields)| path == "rtenant.spec.tts" && fields.len() > 30));

    // The API server begins to describe a new definition a moment after it begins to serve it.
    let begin = Instant::now();
    while !run_kubectl(cluster, &["explain", "rtenant.spec"]).status.success() {
        assert!(begin.elapsed() < Duration::from_secs(60), "not explained within a minute");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (path, fields) in found {
        let explanation = kubectl(cluster, &["explain", &path]);
        assert!(!explanation.contains("<empty>"), "{path}: {explanation}");
        let described = described(&explanation);
        let missing: Vec<_> = fields.iter().filter(|field| !described.contains(field.as_str())).collect();
        assert!(missing.is_empty(), "{path}: {missing:?} not described in {explanation}");
    }
}

#[tokio::test]
async fn kubectl_installs_the_committed_crd_unchanged_and_without_a_warning() {
    let cluster = cluster().await;
    let output =
        kubectl(cluster, &["apply", "--server-side", "--field-manager=local-cluster", "-f", CRD_FILE]);
    assert!(output.contains("serverside-applied"), "{output}");

    let stored = kubectl(cluster, &["get", "crd", "runtimetenants.runtime.veralux.io", "-o", "json"]);
    let stored: CustomResourceDefinition = serde_json::from_str(&stored).unwrap();
    assert_eq!(stored.spec.versions[0].schema, crd().spec.versions[0].schema);
}

#[tokio::test]
async fn kubectl_lists_tenants_with_their_state() {
    let (client, cluster) = (client().await, cluster().await);
    namespace(&client, "columns").await;
    create(&client, "columns", &object("a", &with(&json!({}))), false).await.unwrap();
    let status = json!({ "status": {
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "DidConflict", "message": "+15550001111 is held by b/c",
            "observedGeneration": 1, "lastTransitionTime": "2020-01-02T03:04:05Z",
        }],
        "publishedDids": ["+15550001111"],
        "publishedDidCount": 1,
        "dids": "1/2",
        "publishedHash": "0123abcd",
        "lastPublishedTime": "2020-01-02T03:04:05Z",
    } });
    let api = tenants(&client, "columns");
    let written = api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(serde_json::to_value(written.status).unwrap(), status["status"]);

    let lines = |text: String| -> Vec<Vec<String>> {
        let cells = |line: &str| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        };
        text.lines().map(cells).collect()
    };
    let narrow = lines(kubectl(cluster, &["get", "rtenant", "-n", "columns"]));
    assert_eq!(narrow[0], ["NAME", "TENANT", "DIDS", "READY", "REASON", "AGE"]);
    assert_eq!(narrow[1][..5], ["a", "acme", "1/2", "False", "DidConflict"]);
    let wide = lines(kubectl(cluster, &["get", "veralux", "-n", "columns", "-o", "wide"]));
    assert_eq!(wide[0][6..], ["LAST PUBLISHED", "MESSAGE"]);
    assert_eq!(wide[1][7], "+15550001111 is held by b/c");
    let found =
        kubectl(cluster, &["get", "rtenant", "-A", "--field-selector", "spec.tenantId=acme", "-o", "name"]);
    assert!(found.contains("runtimetenant.runtime.veralux.io/a"), "{found}");
}
