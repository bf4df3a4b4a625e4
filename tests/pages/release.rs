//! All files name the same version.

use std::fs;
use std::path::Path;
use std::process::Command;

use local_cluster::tools;
use regex::Regex;
use serde_json::Value;

fn text(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn crate_chart_image_and_changelog_have_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    let chart: Value = serde_saphyr::from_str(&text("charts/runtime-operator/Chart.yaml")).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&Value::from(version), &Value::from(version)));
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    assert!(images.contains(&format!("veralux/runtime-operator:{version}\n")), "{images}");
    assert!(text("Dockerfile").contains(&format!("\nARG VERSION={version}\n")));
    let changelog = text("CHANGELOG.md");
    let released = changelog.lines().find_map(|line| line.strip_prefix("## [")?.split_once(']'));
    let to_be = changelog.contains(&format!("\nTo be {version}"));
    match released {
        Some(("Unreleased", _)) => assert!(to_be, "the section Unreleased says `To be {version}`"),
        Some((newest, _)) => assert_eq!(newest, version),
        None => panic!("CHANGELOG.md has no section"),
    }
}

#[test]
fn workflows_are_valid_and_name_no_owner_and_no_registry() {
    // A tag of an action can be moved to other code; a commit can't.
    let pinned = Regex::new(r"^\S+@[0-9a-f]{40} # v[0-9.]+$").unwrap();
    for (name, jobs) in [("ci", 4), ("release", 6)] {
        let workflow = text(&format!(".github/workflows/{name}.yaml"));
        let parsed: Value = serde_saphyr::from_str(&workflow).unwrap();
        assert_eq!(parsed["jobs"].as_object().unwrap().len(), jobs, "{name}");
        assert!(!workflow.contains("veralux"), "{name} must work in a fork, too");
        assert_eq!(parsed["permissions"]["contents"], "read", "{name}");
        for (_, used) in workflow.lines().filter_map(|line| line.split_once("uses: ")) {
            assert!(used.starts_with("./") || pinned.is_match(used), "{name}: {used} is not pinned");
        }
    }
    // Actions can't run here; the linter knows their syntax, expressions and contexts.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let files = ["ci.yaml", "release.yaml"].map(|name| folder.join(name));
    let output = Command::new(tools::find("actionlint").unwrap()).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let release = text(".github/workflows/release.yaml");
    for needed in [
        "GITHUB_REPOSITORY_OWNER",
        "cosign sign",
        "attest-build-provenance",
        "helm push",
        "id-token: write",
        "scripts/release.sh",
    ] {
        assert!(release.contains(needed), "{needed}");
    }
}

#[test]
fn the_files_of_a_release_name_the_published_image_by_its_digest() {
    let folder = local_cluster::Folder::new("release").unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let image = format!("registry.example.com/team/runtime-operator@sha256:{}", "0f".repeat(32));
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let out = folder.path().display().to_string();
    run(
        &repository.join("scripts/release.sh"),
        &["--dry-run", "--without-builds", "--image", &image, "--out", &out],
    );
    let version = env!("CARGO_PKG_VERSION");
    let chart = format!("runtime-operator-{version}.tgz");
    let helm = tools::find("helm").unwrap();
    let rendered = run(&helm, &["template", "release", &chart, "--set", "redis.url=redis://redis"]);
    // The operator, and the Pod of `helm test`.
    assert_eq!(rendered.matches(&format!("image: \"{image}\"")).count(), 2);
    assert!(run(&helm, &["show", "chart", &chart]).contains(&format!("image: {image}\n")));
    // A value that an upgrade has set to null is the release's image, too.
    let null = run(&helm, &["template", "release", &chart, "--set", "redis.url=redis://redis,image=null"]);
    assert_eq!(null.matches(&format!("image: \"{image}\"")).count(), 2);
    let kustomized = run(&tools::find("kubectl").unwrap(), &["kustomize", "deploy/kustomize"]);
    assert!(kustomized.contains(&format!("image: {image}\n")));
    run(Path::new("sha256sum"), &["--check", "--quiet", "checksums.txt"]);
    let listed = fs::read_to_string(folder.file("checksums.txt")).unwrap();
    for file in [&chart, "install.yaml", "runtimetenants.yaml", "runtimetenant-v1.json"] {
        assert!(listed.contains(file), "{file} has no checksum: {listed}");
    }
}
