//! The rendered objects.

use serde_json::{Value, json};

use super::helm::{BOTH, LEAST, MOST, NAMESPACED, TRIAL, documents, kinds, one, render, rendered, run};

/// Cluster-wide kinds.
const CLUSTER_WIDE: [&str; 8] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "FlowSchema",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

#[test]
fn helm_3_and_4_lint_without_warnings() {
    for program in BOTH {
        for values in [LEAST, MOST, NAMESPACED, TRIAL] {
            let output = run(program, &["lint", "--strict"], values);
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
        }
    }
}

#[test]
fn helm_3_and_4_render_the_same() {
    for values in [LEAST, MOST, NAMESPACED] {
        // The two render in different orders.
        let [four, three] = BOTH.map(|program| {
            let mut documents = documents(&rendered(program, values, "1.37"));
            documents.sort_by_key(Value::to_string);
            documents
        });
        assert!(!four.is_empty());
        assert_eq!(four, three);
    }
}

#[test]
fn the_crd_is_rendered_as_the_operator_prints_it_and_kept() {
    let documents = render(LEAST);
    let definition = one(&documents, "CustomResourceDefinition", "");
    let printed: Value = serde_saphyr::from_str(&runtime_operator::api::crd_yaml().unwrap()).unwrap();
    assert_eq!(definition["spec"], printed["spec"]);
    assert_eq!(definition["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
}

#[test]
fn named_namespaces_get_roles_and_nothing_cluster_wide() {
    let documents = render(NAMESPACED);
    assert!(kinds(&documents).iter().all(|kind| !CLUSTER_WIDE.contains(kind)), "{:?}", kinds(&documents));
    let roles = documents.iter().filter(|document| document["kind"] == "Role" && !is_hook(document));
    let mut namespaces: Vec<_> = roles.map(|role| role["metadata"]["namespace"].as_str().unwrap()).collect();
    namespaces.sort_unstable();
    assert_eq!(namespaces, ["space", "voice-a", "voice-b"]);
    let env = environment(&documents);
    assert_eq!(env["WATCH_NAMESPACES"], "voice-a,voice-b");
    assert_eq!(env["CLUSTER_ID"], "cluster-1");
}

#[test]
fn named_namespaces_with_admin_routes_need_only_token_reviews_cluster_wide() {
    let values = format!("{NAMESPACED}\nadmin: {{ enabled: true }}");
    let documents = render(&values);
    let wide: Vec<_> = documents.iter().filter(|document| document["kind"] == "ClusterRole").collect();
    let wide: Vec<_> = wide.into_iter().filter(|document| !is_hook(document)).collect();
    assert_eq!(wide.len(), 1);
    let resources: Vec<_> =
        wide[0]["rules"].as_array().unwrap().iter().map(|rule| &rule["resources"][0]).collect();
    assert_eq!(resources, ["tokenreviews", "subjectaccessreviews"]);
}

#[test]
fn values_become_settings() {
    let documents = render(MOST);
    let env = environment(&documents);
    let url = json!({ "secretKeyRef": { "name": "redis", "key": "url" } });
    assert_eq!(env["REDIS_URL"], url);
    assert_eq!(env["REDIS_PASSWORD_FILE"], "/etc/runtime-operator/redis/password");
    assert_eq!(env["REDIS_KEY_FILE"], "/etc/runtime-operator/redis/tls.key");
    assert_eq!(env["REDIS_SENTINEL"], "sentinel-0:26379,sentinel-1:26379");
    assert_eq!(env["ADMIN_TLS_CERT_FILE"], "/etc/runtime-operator/admin-tls/tls.crt");
    assert_eq!(env["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://collector:4318");
    let pod = &one(&documents, "Deployment", "operator")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["image"], "registry.example.com/veralux/runtime-operator:0.1.0");
    assert_eq!(pod["priorityClassName"], "space-release-runtime-operator");
}

#[test]
fn keys_and_origins_of_the_admin_routes_are_values() {
    let admin = "admin: { enabled: true, auth: key, insecure: true, keySecret: { name: admin-keys, key: file }, \
                 corsOrigins: ['https://panel.example.com', 'http://localhost:3000'] }";
    let documents = render(&format!("{LEAST}\n{admin}"));
    let env = environment(&documents);
    assert_eq!(env["RUNTIME_ADMIN_AUTH"], "key");
    assert_eq!(env["RUNTIME_ADMIN_KEY_FILE"], "/etc/runtime-operator/admin-keys/keys");
    assert_eq!(env["ADMIN_CORS_ORIGINS"], "https://panel.example.com,http://localhost:3000");
    let pod = &one(&documents, "Deployment", "operator")["spec"]["template"]["spec"];
    let of_keys = |list: &Value| {
        let items = list.as_array().unwrap().iter();
        items.filter(|item| item["name"] == "admin-keys").cloned().collect::<Value>()
    };
    let secret = json!({
        "secretName": "admin-keys", "defaultMode": 0o440, "items": [{ "key": "file", "path": "keys" }],
    });
    assert_eq!(of_keys(&pod["volumes"]), json!([{ "name": "admin-keys", "secret": secret }]));
    assert_eq!(of_keys(&pod["containers"][0]["volumeMounts"])[0]["readOnly"], true);

    // With other authentication the Secret is not mounted, and need not exist.
    let documents =
        render(&format!("{LEAST}\nadmin: {{ enabled: true, keySecret: {{ name: admin-keys }} }}"));
    assert!(environment(&documents).get("RUNTIME_ADMIN_KEY_FILE").is_none());
    assert!(environment(&documents).get("ADMIN_CORS_ORIGINS").is_none());
    let pod = &one(&documents, "Deployment", "operator")["spec"]["template"]["spec"];
    assert_eq!(of_keys(&pod["volumes"]), json!([]));
    // The API server reviews no keys.
    let values = format!("{NAMESPACED}\n{admin}");
    assert!(kinds(&render(&values)).iter().all(|kind| !kind.starts_with("ClusterRole")));
}

#[test]
fn every_setting_of_the_chart_exists() {
    use clap::CommandFactory;
    let cli = runtime_operator::cli::Cli::command();
    let run = cli.find_subcommand("run").unwrap();
    let mut known: Vec<_> =
        run.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_str().unwrap())).collect();
    known.extend(["POD_NAME", "RUST_LOG", "NO_COLOR", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
    let keys = format!(
        "{LEAST}\nadmin: {{ enabled: true, auth: key, insecure: true, keySecret: {{ name: k }}, corsOrigins: ['https://a'] }}"
    );
    for values in [LEAST, MOST, NAMESPACED, TRIAL, &keys] {
        let env = environment(&render(values));
        let unknown: Vec<_> =
            env.as_object().unwrap().keys().filter(|name| !known.contains(&name.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

#[test]
fn no_pod_mounts_a_token_automatically() {
    for values in [MOST, TRIAL] {
        for document in render(values) {
            let pod = if document["kind"] == "Pod" {
                &document["spec"]
            } else {
                &document["spec"]["template"]["spec"]
            };
            if pod.is_object() {
                assert_eq!(pod["automountServiceAccountToken"], false, "{}", document["metadata"]["name"]);
            }
        }
    }
}

fn is_hook(document: &Value) -> bool {
    document["metadata"]["annotations"]["helm.sh/hook"].is_string()
}

/// Returns the operator's environment: value or source by name.
pub fn environment(documents: &[Value]) -> Value {
    let deployment = one(documents, "Deployment", "operator");
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    let value = |variable: &Value| variable.get("value").unwrap_or(&variable["valueFrom"]).clone();
    env.iter().map(|variable| (variable["name"].as_str().unwrap().to_owned(), value(variable))).collect()
}
