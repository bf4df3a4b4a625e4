//! The examples apply unchanged, and the two tenants that the runtime has today are published with the same JSON.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use kube::api::ListParams;
use runtime_operator::api::RuntimeTenantSpec;
use runtime_operator::contract::{Did, SttMode, TtsMode, mode_names};
use runtime_operator::domain::compile;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::cluster::{client, cluster, kubectl, namespace, tenants};
use crate::modes::{row, section};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// Returns the documents of each file, with the file's name.
fn examples() -> Vec<(String, Vec<Value>)> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let read = |path: PathBuf| {
        let documents = serde_saphyr::from_multiple(&fs::read_to_string(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), documents)
    };
    files.map(read).collect()
}

fn spec(documents: &[Value]) -> RuntimeTenantSpec {
    let tenant = documents.iter().find(|document| document["kind"] == "RuntimeTenant").unwrap();
    serde_json::from_value(tenant["spec"].clone()).unwrap()
}

fn dids(spec: &RuntimeTenantSpec) -> Vec<Did> {
    spec.dids.iter().map(|did| Did::parse(did).unwrap()).collect()
}

#[tokio::test]
async fn every_example_applies_unchanged() {
    let (client, cluster) = (client().await, cluster().await);
    namespace(&client, "examples").await;
    let output = kubectl(cluster, &["apply", "-n", "examples", "-f", &folder().to_string_lossy()]);
    let stored = tenants(&client, "examples").list(&ListParams::default()).await.unwrap();
    assert_eq!(stored.items.len(), examples().len(), "{output}");
    assert!(output.lines().all(|line| line.ends_with(" created")), "{output}");
}

#[test]
fn every_mode_has_an_example() {
    for (section, modes) in [("stt", SttMode::NAMES), ("tts", TtsMode::NAMES)] {
        let chosen = |documents: &[Value]| {
            let spec = serde_json::to_value(spec(documents)).unwrap();
            spec[section]["mode"].as_str().unwrap().to_owned()
        };
        let there: HashSet<_> = examples().iter().map(|(_, documents)| chosen(documents)).collect();
        assert_eq!(there, modes.iter().map(|mode| (*mode).to_owned()).collect(), "{section}");
    }
}

/// The examples of the newest modes have every member of their mode.
#[test]
fn the_examples_of_the_newest_modes_have_every_member() {
    for name in ["magpie", "melo", "openai", "elevenlabs"] {
        let (_, documents) = examples().into_iter().find(|(file, _)| file == name).unwrap();
        let spec = serde_json::to_value(spec(&documents)).unwrap();
        let members = section("tts");
        let mode = mode_names(members).iter().position(|mode| spec["tts"]["mode"] == *mode).unwrap();
        let of_mode = members.iter().filter(|member| member.modes.contains(mode));
        let missing: Vec<_> =
            of_mode.map(|row| row.name).filter(|name| spec["tts"].get(*name).is_none()).collect();
        assert!(missing.is_empty(), "{name}: {missing:?}");
    }
}

#[test]
fn every_example_has_its_own_secret_tenant_and_numbers() {
    let mut taken = HashSet::new();
    for (name, documents) in examples() {
        let spec = spec(&documents);
        let secret = documents.iter().find(|document| document["kind"] == "Secret").unwrap();
        assert_eq!(secret["metadata"]["name"], spec.webhook_secret_ref.name, "{name}");
        assert!(secret["stringData"][&spec.webhook_secret_ref.key].is_string(), "{name}");
        assert!(taken.insert(spec.tenant_id.clone()), "{name}");
        assert!(dids(&spec).iter().all(|did| taken.insert(did.to_string())), "{name}");
        assert_eq!(compile::check(&spec), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn the_runtimes_own_tenants_are_published_with_the_same_json() {
    for (name, document) in [
        ("kokoro", include_str!("../fixtures/tenant-kokoro.json")),
        ("chatterbox", include_str!("../fixtures/tenant-chatterbox.json")),
    ] {
        let (_, documents) = examples().into_iter().find(|(file, _)| file == name).unwrap();
        let spec = spec(&documents);
        let secret = SecretString::from("whsec_example_not_a_real_secret");
        let config = compile::compile(&spec, &dids(&spec)).unwrap().with_secret(&secret).unwrap();
        let published: Value = serde_json::from_str(config.to_json().expose_secret()).unwrap();
        let mut expected: Value = serde_json::from_str(document).unwrap();
        let reference = format!("secret://{}/webhookSecret", spec.webhook_secret_ref.name);
        expected["webhookSecretRef"] = json!(reference);
        assert_eq!(published, expected, "{name}");
    }
}

/// A change of these bytes would rewrite the config of every tenant with the next version. They are those of the first version.
#[test]
fn the_runtimes_own_tenants_are_published_with_the_same_bytes_as_ever() {
    for (name, bytes) in [
        ("kokoro", include_str!("../fixtures/published-kokoro.json")),
        ("chatterbox", include_str!("../fixtures/published-chatterbox.json")),
    ] {
        let (_, documents) = examples().into_iter().find(|(file, _)| file == name).unwrap();
        let spec = spec(&documents);
        let secret = SecretString::from("whsec_example_not_a_real_secret");
        let config = compile::compile(&spec, &dids(&spec)).unwrap().with_secret(&secret).unwrap();
        assert_eq!(config.to_json().expose_secret(), bytes.trim_end(), "{name}");
    }
}

#[test]
fn the_full_examples_have_every_field() {
    let crd = serde_json::to_value(runtime_operator::api::crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    let missing = |name: &str| {
        let (_, documents) = examples().into_iter().find(|(file, _)| file == name).unwrap();
        let spec = serde_json::to_value(spec(&documents)).unwrap();
        let mut missing = Vec::new();
        absent("spec", schema, &spec, &mut missing);
        missing.retain(|path| !path.starts_with("spec.extensions.") && !is_of_another_mode(path, &spec));
        missing
    };
    let (full, newest) = (missing("full"), missing("newest"));
    let both: Vec<_> = full.iter().filter(|path| newest.contains(path)).collect();
    // Monday has hours, and Saturday is closed.
    let days = both.iter().filter(|path| !path.contains(".weekly."));
    assert_eq!(days.collect::<Vec<_>>(), Vec::<&&String>::new());
}

/// Returns true if this is the path of a member that the section's mode does not allow.
fn is_of_another_mode(path: &str, spec: &Value) -> bool {
    ["stt", "tts"].into_iter().any(|name| {
        let members = section(name);
        let mode = mode_names(members).iter().position(|mode| spec[name]["mode"] == *mode).unwrap();
        path.strip_prefix(&format!("spec.{name}.")).is_some_and(|member| row(members, member, mode).is_none())
    })
}

/// Collects the paths of the schema's fields that `value` does not have. Of a list, the first item counts.
fn absent(path: &str, schema: &Value, value: &Value, missing: &mut Vec<String>) {
    let (schema, value) = if value.is_array() { (&schema["items"], &value[0]) } else { (schema, value) };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        match value.get(name) {
            Some(value) => absent(&path, property, value, missing),
            None => missing.push(path),
        }
    }
}
