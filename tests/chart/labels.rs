//! The labels and annotations of every object.

use std::fs;

use serde_json::{Value, json};

use super::helm::{LEAST, TRIAL, chart, one, pod, render, render_with};

/// Returns the Deployments and their selectors.
fn selectors(documents: &[Value]) -> impl Iterator<Item = (&Value, &Value)> {
    let deployments = documents.iter().filter(|document| document["kind"] == "Deployment");
    deployments.map(|deployment| (deployment, &deployment["spec"]["selector"]["matchLabels"]))
}

#[test]
fn common_labels_replace_the_charts_own_and_appear_once() {
    let documents =
        render(&format!("{LEAST}\ncommonLabels: {{ app.kubernetes.io/part-of: platform, team: voice }}"));
    for document in &documents {
        let labels = &document["metadata"]["labels"];
        assert_eq!(labels["app.kubernetes.io/part-of"], "platform", "{}", document["metadata"]["name"]);
        assert_eq!(labels["team"], "voice");
    }
    assert_eq!(pod(&documents)["metadata"]["labels"]["app.kubernetes.io/part-of"], "platform");
}

#[test]
fn labels_from_values_never_replace_a_selector_label() {
    let other = "{ app.kubernetes.io/name: x, app.kubernetes.io/instance: x, app.kubernetes.io/component: x, app.kubernetes.io/managed-by: x }";
    let values =
        format!("{TRIAL}\ncommonLabels: {other}\npodLabels: {other}\nservice: {{ labels: {other} }}");
    let documents = render(&values);
    assert_eq!(selectors(&documents).count(), 2);
    for (deployment, selector) in selectors(&documents) {
        assert_eq!(selector["app.kubernetes.io/instance"], "release");
        for (name, value) in selector.as_object().unwrap() {
            assert_eq!(&deployment["spec"]["template"]["metadata"]["labels"][name], value);
        }
    }
    let service = one(&documents, "Service", "operator");
    assert_eq!(service["metadata"]["labels"]["app.kubernetes.io/name"], "runtime-operator");
    assert_eq!(service["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
}

#[test]
fn numbers_and_booleans_of_labels_and_annotations_become_text() {
    let odd = "{ build: 1000000, stable: true, odd: 1e3, gone: null, text: 'y' }";
    let maps = ["commonLabels", "commonAnnotations", "podLabels", "podAnnotations", "nodeSelector"];
    let maps = maps.map(|name| format!("{name}: {odd}\n")).concat();
    let values = format!("{LEAST}\n{maps}dashboard: {{ enabled: true, labels: {odd} }}");
    let documents = render(&values);
    let template = pod(&documents);
    for texts in [
        &one(&documents, "Service", "operator")["metadata"]["labels"],
        &one(&documents, "Service", "operator")["metadata"]["annotations"],
        &one(&documents, "ConfigMap", "dashboard")["metadata"]["labels"],
        &template["metadata"]["labels"],
        &template["metadata"]["annotations"],
        &template["spec"]["nodeSelector"],
    ] {
        assert_eq!(texts["build"], "1000000");
        assert_eq!(texts["stable"], "true");
        assert_eq!(texts["odd"], "1000");
        assert_eq!(texts["text"], "y");
        assert!(texts.get("gone").is_none(), "{texts}");
    }
}

#[test]
fn a_pods_labels_contain_no_version() {
    let version = fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    assert!(version.contains("version: 0.1.0"));
    let documents = render(TRIAL);
    for (deployment, _) in selectors(&documents) {
        let labels = &deployment["spec"]["template"]["metadata"]["labels"];
        assert!(!labels.to_string().contains("0.1.0"), "{labels}");
        assert_eq!(deployment["metadata"]["labels"]["helm.sh/chart"], "runtime-operator-0.1.0");
    }
}

#[test]
fn deployment_and_service_account_have_labels_and_annotations_of_their_own() {
    let values = format!(
        "{LEAST}\ndeploymentAnnotations: {{ reload: 'true' }}\nserviceAccount: {{ labels: {{ azure.workload.identity/use: 'true' }} }}"
    );
    let documents = render(&values);
    let deployment = one(&documents, "Deployment", "operator");
    assert_eq!(deployment["metadata"]["annotations"], json!({ "reload": "true" }));
    assert!(pod(&documents)["metadata"]["annotations"].get("reload").is_none());
    let account = one(&documents, "ServiceAccount", "operator");
    assert_eq!(account["metadata"]["labels"]["azure.workload.identity/use"], "true");
}

#[test]
fn a_service_monitor_in_another_namespace_selects_the_releases_own() {
    let values = format!(
        "{LEAST}\nserviceMonitor: {{ enabled: true, namespace: monitoring, honorLabels: true, labels: {{ a: b }}, additionalLabels: {{ release: prometheus }} }}"
    );
    let documents = render_with(&["release", "--namespace", "space"], &values);
    let monitor = one(&documents, "ServiceMonitor", "operator");
    assert_eq!(monitor["metadata"]["namespace"], "monitoring");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(monitor["metadata"]["labels"]["a"], "b");
    assert_eq!(monitor["spec"]["namespaceSelector"]["matchNames"], json!(["space"]));
    assert_eq!(monitor["spec"]["endpoints"][0]["honorLabels"], true);
}
