//! The Pods of the operator and of the embedded Redis.

use serde_json::{Value, json};

use super::helm::{LEAST, MOST, TRIAL, one, pod, render, render_with};

/// Returns the embedded Redis' Pod template and its configuration file.
fn redis(password: &str) -> (Value, String) {
    let password = json!(password);
    let documents = render(&format!("redis: {{ embedded: {{ enabled: true, password: {password} }} }}"));
    let secret = one(&documents, "Secret", "redis");
    assert_eq!(secret["stringData"]["password"], password);
    let file = secret["stringData"]["redis.conf"].as_str().unwrap().to_owned();
    (one(&documents, "Deployment", "redis")["spec"]["template"].clone(), file)
}

#[test]
fn a_changed_password_restarts_the_embedded_redis() {
    let checksum = |password| redis(password).0["metadata"]["annotations"]["checksum/password"].clone();
    assert!(checksum("one").is_string());
    assert_eq!(checksum("one"), checksum("one"));
    assert_ne!(checksum("one"), checksum("two"));
}

#[test]
fn an_embedded_redis_password_is_quoted_in_its_file() {
    for (password, line) in [
        ("plain", r#"requirepass "plain""#),
        ("ab\"c", r#"requirepass "ab\"c""#),
        ("ab\\c'd#", r#"requirepass "ab\\c'd#""#),
        ("42", r#"requirepass "42""#),
    ] {
        let (_, file) = redis(password);
        assert!(file.lines().any(|other| other == line), "{file}");
    }
}

/// Members that the platform chooses for each namespace.
const CHOSEN: [&str; 3] = ["runAsUser", "runAsGroup", "fsGroup"];

fn contexts(args: &[&str], mode: &str) -> Vec<Value> {
    let values =
        format!("{TRIAL}\nglobal: {{ compatibility: {{ openshift: {{ adaptSecurityContext: {mode} }} }} }}");
    let documents = render_with(args, &values);
    let pods = documents.iter().filter_map(|document| match document["kind"].as_str() {
        Some("Deployment") => Some(&document["spec"]["template"]["spec"]),
        Some("Pod") => Some(&document["spec"]),
        _ => None,
    });
    pods.map(|pod| pod["securityContext"].clone()).collect()
}

#[test]
fn openshift_chooses_the_users_of_all_pods() {
    let plain = ["release"];
    let openshift = ["release", "--api-versions", "security.openshift.io/v1"];
    for (args, mode, adapted) in [
        (&plain[..], "auto", false),
        (&openshift[..], "auto", true),
        (&plain[..], "force", true),
        (&openshift[..], "disabled", false),
    ] {
        let contexts = contexts(args, mode);
        assert_eq!(contexts.len(), 3);
        for context in contexts {
            assert_eq!(context["runAsNonRoot"], true);
            for member in CHOSEN {
                assert_eq!(context.get(member).is_none(), adapted, "{mode} {args:?}: {context}");
            }
        }
    }
}

#[test]
fn additional_parts_are_in_the_operators_pod() {
    let documents = render(MOST);
    let spec = &pod(&documents)["spec"];
    assert_eq!(spec["containers"][0]["args"], json!(["run", "--log-format=json"]));
    assert_eq!(spec["containers"][1]["name"], "sidecar");
    assert_eq!(spec["initContainers"][0]["name"], "first");
    assert_eq!(spec["dnsPolicy"], "None");
    assert_eq!(spec["dnsConfig"]["nameservers"], json!(["192.0.2.53"]));
    assert_eq!(spec["hostAliases"][0]["hostnames"], json!(["redis"]));
    one(&documents, "ConfigMap", "release-extra");
    let bare = render(LEAST);
    let spec = &pod(&bare)["spec"];
    for member in ["initContainers", "dnsPolicy", "dnsConfig", "hostAliases"] {
        assert!(spec.get(member).is_none(), "{member}");
    }
}

#[test]
fn an_additional_object_may_be_a_text_with_actions() {
    let object = "{ apiVersion: v1, kind: ConfigMap, metadata: { name: '{{ .Release.Namespace }}-x' } }";
    let documents = render(&format!("{LEAST}\nextraObjects: [\"{object}\"]"));
    one(&documents, "ConfigMap", "space-x");
}

#[test]
fn a_deployment_strategy_replaces_the_default() {
    let documents = render(&format!("{LEAST}\nstrategy: {{ type: Recreate }}"));
    assert_eq!(one(&documents, "Deployment", "operator")["spec"]["strategy"], json!({ "type": "Recreate" }));
    let documents = render_with(&["release", "--set", "strategy=null"], LEAST);
    let strategy = &one(&documents, "Deployment", "operator")["spec"]["strategy"];
    assert_eq!(
        strategy,
        &json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } })
    );
}

#[test]
fn priority_and_fairness_objects_are_off_by_default() {
    assert!(render(LEAST).iter().all(|document| document["kind"] != "FlowSchema"));
    assert!(render(MOST).iter().any(|document| document["kind"] == "FlowSchema"));
}
