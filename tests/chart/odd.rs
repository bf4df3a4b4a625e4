//! Values, names and namespaces that are legal and unusual.

use std::fs;

use serde_json::{Map, Value, json};

use super::generated::described;
use super::helm::{
    BOTH, LEAST, MOST, TRIAL, chart, documents, kinds, one, pod, render, render_with, run, template, text,
};

/// Members that are texts wherever they appear in an object of Kubernetes.
const TEXTS: [&str; 8] = [
    "name",
    "namespace",
    "secretName",
    "serviceAccountName",
    "priorityClassName",
    "image",
    "value",
    "app.kubernetes.io/instance",
];

/// Finds members that YAML reads as a number, a boolean or null, and the API server as an error.
fn misread(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = format!("{path}.{name}");
                // The value of a PriorityClass is a number.
                if TEXTS.contains(&name.as_str())
                    && !member.is_string()
                    && !member.is_object()
                    && path != "PriorityClass.value"
                {
                    found.push(format!("{path}: {member}"));
                }
                misread(&path, member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| misread(path, item, found)),
        _ => {}
    }
}

#[test]
fn names_that_yaml_reads_as_something_else_are_quoted() {
    for name in ["42", "1e3", "0x1f", "null", "true"] {
        for values in [MOST, TRIAL] {
            let values = format!(
                "{values}\nfullnameOverride: '{name}'\nserviceAccount: {{ name: '{name}' }}\npriorityClassName: '{name}'"
            );
            for program in BOTH {
                let yaml = text(program, &[name, "--namespace", name, "--kube-version", "1.37.0"], &values);
                let mut found = Vec::new();
                for document in documents(&yaml) {
                    // The CRD's schema has members of these names.
                    if document["kind"] != "CustomResourceDefinition" {
                        misread(document["kind"].as_str().unwrap(), &document, &mut found);
                    }
                }
                assert!(found.is_empty(), "{program} {name}: {found:?}");
            }
        }
    }
}

/// YAML 1.1, which Kubernetes reads, has booleans that YAML 1.2 has not.
#[test]
fn names_that_are_booleans_in_yaml_1_1_are_quoted() {
    for name in ["y", "no", "on"] {
        for values in [MOST, TRIAL] {
            let values = format!(
                "{values}\nfullnameOverride: '{name}'\nserviceAccount: {{ name: '{name}' }}\npriorityClassName: '{name}'"
            );
            let yaml = text(BOTH[0], &[name, "--namespace", name, "--kube-version", "1.37.0"], &values);
            let bare = |line: &&str| {
                let value = line.rsplit_once(": ").map_or(*line, |(_, value)| value).trim();
                value == name || value == format!("- {name}")
            };
            let found: Vec<_> = yaml.lines().filter(bare).collect();
            assert!(found.is_empty(), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_release_name_that_is_no_name_of_a_service_becomes_one() {
    let long = "r".repeat(53);
    for (release, name) in [
        ("my.release", "my-release-runtime-operator"),
        ("1voice", "r1voice-runtime-operator"),
        ("42", "r42-runtime-operator"),
        ("my.runtime-operator.x", "my-runtime-operator-x"),
        (&long, &long[..40]),
    ] {
        let documents = render_with(&[release, "--namespace", "space"], TRIAL);
        one(&documents, "Service", name);
        for document in &documents {
            let labels = &document["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/instance"], release);
        }
    }
    let documents = render(&format!("{LEAST}\nfullnameOverride: 9.Lives"));
    assert_eq!(one(&documents, "Service", "")["metadata"]["name"], "r9-lives");
}

#[test]
fn an_upper_case_alias_becomes_a_valid_name() {
    let folder = local_cluster::Folder::new("alias").unwrap();
    let copy = folder.file("charts");
    fs::create_dir(&copy).unwrap();
    let copied = std::process::Command::new("cp").arg("-r").args([&chart(), &copy]).status().unwrap();
    assert!(copied.success());
    let parent = "apiVersion: v2\nname: parent\nversion: 1.0.0\ndependencies: [{ name: runtime-operator, version: 0.1.0, alias: Voice, repository: '' }]";
    fs::write(folder.file("Chart.yaml"), parent).unwrap();
    let values = "Voice: { redis: { url: 'redis://r' }, networkPolicy: null, podLabels: null, global: null }";
    fs::write(folder.file("values.yaml"), values).unwrap();
    for program in BOTH {
        let documents = template(program, "release", folder.path());
        assert_eq!(one(&documents, "Deployment", "")["metadata"]["name"], "release-voice");
    }
}

#[test]
fn pull_secrets_may_be_names_or_objects() {
    let values = format!(
        "{TRIAL}\nglobal: {{ imagePullSecrets: [{{ name: registry }}, '42'] }}\nimagePullSecrets: [registry, {{ name: other }}]"
    );
    let documents = render(&values);
    let expected = json!([{ "name": "registry" }, { "name": "42" }, { "name": "other" }]);
    for deployment in documents.iter().filter(|document| document["kind"] == "Deployment") {
        assert_eq!(deployment["spec"]["template"]["spec"]["imagePullSecrets"], expected);
    }
    assert_eq!(one(&documents, "Pod", "smoke")["spec"]["imagePullSecrets"], expected);
}

#[test]
fn a_trailing_slash_of_a_registry_is_ignored() {
    for values in
        ["image: { registry: registry.example.com/ }", "global: { imageRegistry: registry.example.com/ }"]
    {
        let documents = render(&format!("{LEAST}\n{values}"));
        let image = &pod(&documents)["spec"]["containers"][0]["image"];
        assert_eq!(image, "registry.example.com/veralux/runtime-operator:0.1.0");
    }
}

/// Sets a value that is named by a path with dots.
pub fn set(values: &mut Value, path: &str, value: Value) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let values = values.as_object_mut().unwrap();
    match rest {
        Some(rest) => set(values.entry(first).or_insert_with(|| json!({})), rest, value),
        None => drop(values.insert(first.to_owned(), value)),
    }
}

/// A section is missing after `helm upgrade --reuse-values` from a chart without it, and where it is set to null.
#[test]
fn missing_values_render_as_the_defaults() {
    let defaults: Value =
        serde_saphyr::from_str(&fs::read_to_string(chart().join("values.yaml")).unwrap()).unwrap();
    let expected = render(LEAST);
    for section in defaults.as_object().unwrap().keys().filter(|section| *section != "redis") {
        let documents =
            render_with(&["release", "--namespace", "space", "--set", &format!("{section}=null")], LEAST);
        assert_eq!(kinds(&documents), kinds(&expected), "{section}");
    }
    for values in [LEAST, MOST] {
        let given: Value = serde_saphyr::from_str(values).unwrap();
        let mut nulls = json!({});
        for path in described(&fs::read_to_string(chart().join("values.yaml")).unwrap()) {
            let pointer = format!("/{}", path.replace('.', "/"));
            if given.pointer(&pointer).is_none() && path != "global" {
                set(&mut nulls, &path, Value::Null);
            }
        }
        merge(&mut nulls, &given);
        let documents = render(&nulls.to_string());
        assert_eq!(kinds(&documents), kinds(&render(values)));
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            from.iter().for_each(|(name, value)| {
                merge(into.entry(name).or_insert_with(|| Map::new().into()), value);
            });
        }
        (into, from) => *into = from.clone(),
    }
}

#[test]
fn a_single_default_is_removed_by_null() {
    let args = [
        "release",
        "--set",
        "resources.limits.cpu=null,resources.limits.memory=null,resources.requests.cpu=null",
    ];
    let documents = render_with(&args, LEAST);
    let resources = &pod(&documents)["spec"]["containers"][0]["resources"];
    assert_eq!(resources, &json!({ "requests": { "memory": "64Mi" } }));
    let documents = render_with(
        &["release", "--set", "resources=null,podSecurityContext=null,securityContext=null"],
        LEAST,
    );
    let spec = &pod(&documents)["spec"];
    assert_eq!(spec["containers"][0]["resources"], json!({}));
    assert_eq!(spec["securityContext"], json!({}));
}

#[test]
fn large_numbers_render_as_integers() {
    let values = format!(
        "{LEAST}\nreplicaCount: 2000000\nrevisionHistoryLimit: 2000000\nterminationGracePeriodSeconds: 2000000\n\
         podDisruptionBudget: {{ maxUnavailable: 2000000 }}"
    );
    let documents = render(&values);
    let deployment = &one(&documents, "Deployment", "operator")["spec"];
    assert_eq!(deployment["replicas"], 2_000_000);
    assert_eq!(deployment["revisionHistoryLimit"], 2_000_000);
    assert_eq!(deployment["template"]["spec"]["terminationGracePeriodSeconds"], 2_000_000);
    let budget = &one(&documents, "PodDisruptionBudget", "operator")["spec"];
    assert_eq!(budget["maxUnavailable"], 2_000_000);
}

#[test]
fn a_missing_redis_is_refused_in_words() {
    let output = run(BOTH[0], &["template", "release", "--set", "redis=null"], LEAST);
    let refusal = String::from_utf8(output.stderr).unwrap();
    assert!(refusal.contains("give exactly one of redis.url"), "{refusal}");
}
