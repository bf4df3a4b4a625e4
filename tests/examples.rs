//! The first steps of a new user: the examples, the printed CRD, the help.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)] // a test fails by panicking

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use test_support::World;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs the binary, which must succeed, and returns its output.
fn printed(arguments: &[&str]) -> String {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    let output = operator.args(arguments).env_clear().output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn every_example_applies_unchanged_and_becomes_ready() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    let mut names = Vec::new();
    for file in fs::read_dir(repository().join("examples")).unwrap() {
        let path = file.unwrap().path();
        // The health check of Argo CD is no resource.
        if path.ends_with("argocd") {
            continue;
        }
        let output = world.kubectl_text(&["apply", "-f", path.to_str().unwrap()]);
        let tenants =
            output.lines().filter_map(|line| line.strip_prefix("runtimetenant.runtime.veralux.io/"));
        names.extend(tenants.filter_map(|line| line.strip_suffix(" created")).map(str::to_owned));
    }
    assert!(names.len() >= 6, "{names:?}");

    world.kubectl_text(&["wait", "--for=condition=Ready", "rtenant", "--all", "--timeout=60s"]);

    for name in &names {
        let resource = world.get(name).await.unwrap();
        let tenant = resource.data["spec"]["tenantId"].as_str().unwrap();
        let config = world.config(tenant).await.unwrap();
        assert_eq!(config["webhookSecret"], "whsec_example_not_a_real_secret", "{name}");
        for did in config["dids"].as_array().unwrap() {
            assert_eq!(world.live(did.as_str().unwrap()).await.as_deref(), Some(tenant), "{name}");
        }
    }
    let operator_log = operator.logs();
    assert!(!operator_log.contains("whsec_example"), "the log shows no secret");
    world.finish().await;
}

#[test]
fn the_committed_crd_is_the_printed_one() {
    let committed = fs::read_to_string(repository().join("crds/runtimetenants.yaml")).unwrap();
    assert_eq!(printed(&["crd"]), committed, "stale: run `cargo run -- crd > crds/runtimetenants.yaml`");
    let definition: Value = serde_saphyr::from_str(&committed).unwrap();
    assert_eq!(definition["metadata"]["name"], "runtimetenants.runtime.veralux.io");
}

#[test]
fn help_and_version_are_printed() {
    assert_eq!(printed(&["--version"]), format!("runtime-operator {}\n", env!("CARGO_PKG_VERSION")));
    let help = printed(&["--help"]);
    for subcommand in ["run", "crd", "contract"] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(subcommand)), "{subcommand}: {help}");
    }
    let run = printed(&["run", "--help"]);
    for (flag, variable) in [("--redis-url", "REDIS_URL"), ("--watch-namespaces", "WATCH_NAMESPACES")] {
        assert!(run.contains(flag) && run.contains(variable), "{flag}: {run}");
    }
    assert!(run.lines().all(|line| line.chars().count() <= 110), "{run}");
}

#[test]
fn an_unknown_command_is_refused_with_the_usage() {
    let mut operator = Command::new(env!("CARGO_BIN_EXE_runtime-operator"));
    let output = operator.arg("publish").env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Usage: runtime-operator"));
}
