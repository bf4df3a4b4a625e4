//! The contract report, read like the tooling that compares it with the runtime's report.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use regex::Regex;
use runtime_operator::contract::{RuntimeTenantConfig, report};
use serde_json::{Map, Value};

use crate::checker::{compared, runtime};

/// The report of the system that this operator replaces.
const PREDECESSOR: &str = include_str!("../fixtures/runtime-integration-report.md");

/// The facts that tooling reads from a report.
#[derive(Debug, Default, PartialEq)]
struct Read {
    did_key: String,
    tenant_key: String,
    prefixes: Vec<String>,
    config: Map<String, Value>,
    env_vars: BTreeSet<String>,
    /// The codes that each route's line names in `{ error: "…" }`.
    errors: BTreeSet<(String, String)>,
}

/// Returns the items of the list directly under a label. The list ends at the first line that is no item.
fn items(report: &str, label: &str) -> Vec<String> {
    let mut lines = report.lines().skip_while(|line| *line != label);
    assert_eq!(lines.next(), Some(label));
    lines.map_while(|line| line.strip_prefix("- ")).map(str::to_owned).collect()
}

/// Returns the only text that a pattern's group matches.
fn one(text: &str, pattern: &str) -> String {
    let found: Vec<_> = Regex::new(pattern).unwrap().captures_iter(text).collect();
    assert_eq!(found.len(), 1, "{pattern} in {text}");
    found[0][1].to_owned()
}

fn read(report: &str) -> Read {
    let keys = items(report, "Redis keys:").join("\n");
    let code = Regex::new("`([^`]+)`").unwrap();
    let prefixes = code.captures_iter(keys.lines().find(|line| line.starts_with("Prefixes: ")).unwrap());
    let env_var = Regex::new("^`([A-Z_]+)`: ").unwrap();
    let env_vars = items(report, "Env vars:");
    let error = Regex::new(r#"^(?:(?:GET|POST) (/\S+?):? )?.*\{ error: "([a-z_]+)" \}"#).unwrap();
    let errors = items(report, "Failure behavior:");
    Read {
        did_key: one(&keys, "(?m)^DID mapping key format: `([^`]+)`$"),
        tenant_key: one(&keys, "(?m)^Tenant config key format: `([^`]+)`$"),
        prefixes: prefixes.map(|prefix| prefix[1].to_owned()).collect(),
        config: serde_json::from_str(&one(report, "(?s)```json\n(.*?)\n```")).unwrap(),
        env_vars: env_vars.iter().map(|line| env_var.captures(line).unwrap()[1].to_owned()).collect(),
        errors: errors
            .iter()
            .filter_map(|line| error.captures(line))
            .map(|found| (found.get(1).map_or("", |path| path.as_str()).to_owned(), found[2].to_owned()))
            .collect(),
    }
}

#[test]
fn the_report_agrees_with_its_predecessor() {
    let (mut ours, theirs) = (read(&report()), read(PREDECESSOR));
    // The predecessor's report was written before it had these routes.
    ours.errors.retain(|(_, code)| !code.contains("quick_replies"));
    assert_eq!(Read { config: Map::new(), ..ours }, Read { config: Map::new(), ..theirs },);
    let names = |report| read(report).config.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&report()), names(PREDECESSOR));
    assert!(report().starts_with("# Runtime Integration Report\n"));
}

#[test]
fn the_platforms_tooling_finds_the_report_compatible() {
    assert_eq!(compared(&report()), runtime());
    assert_eq!(compared(PREDECESSOR), runtime());
    let misread = report().replace("must be set.", "is required: `redis://` or `rediss://`.");
    let misread =
        misread.replace("`webhookSecretRef` or `webhookSecret` is required", "one of the secrets is needed");
    assert_ne!(compared(&misread), runtime(), "a line about something else reads as the group");
    let newer = report().replace("\"audio\": {", "\"usageLimits\": {}, \"audio\": {");
    assert_ne!(compared(&newer), runtime(), "a new member of the example reads as a required one");
}

#[test]
fn the_representative_config_is_accepted_and_holds_no_secret() {
    let mut config = read(&report()).config;
    assert_eq!(config["tenantId"], "{{TENANT_ID}}");
    assert_eq!(config["webhookSecret"], "REDACTED");
    config["tenantId"] = "acme".into();
    assert_eq!(RuntimeTenantConfig::from_document(config).unwrap().tenant_id().as_str(), "acme");
}

#[test]
fn the_notes_name_the_version_and_require_a_secret_field() {
    let notes = items(&report(), "Notes:");
    assert!(notes.iter().any(|note| note.contains("`contractVersion`") && note.contains("`v1`")));
    assert!(notes.iter().any(|note| note.starts_with("`webhookSecretRef` or `webhookSecret` is required")));
}

#[test]
fn the_normalization_names_trim_whitespace_and_e164() {
    let steps = items(&report(), "Normalization:").join("\n");
    for word in ["trim", "whitespace", "E.164"] {
        assert!(steps.contains(word), "{word}");
    }
}

#[test]
fn each_routes_line_lists_its_failure_and_its_refusals() {
    let lines = items(&report(), "Failure behavior:");
    let refusal = Regex::new("([0-9]{3}) `([a-z_0-9]+)`").unwrap();
    for (route, failure, refusals) in [
        (
            "POST /api/admin/runtime/tenants/:tenantId/config",
            "runtime_publish_failed",
            "400 tenant_id_required 400 invalid_runtime_config 400 tenant_id_mismatch 409 tenant_managed",
        ),
        (
            "GET /api/admin/runtime/tenants/:tenantId/config",
            "runtime_config_read_failed",
            "400 tenant_id_required 404 runtime_config_not_found",
        ),
        (
            "POST /api/admin/runtime/dids/map",
            "runtime_map_failed",
            "400 did_required 400 invalid_did_e164 400 tenant_id_required 409 did_managed 409 tenant_managed",
        ),
        (
            "POST /api/admin/runtime/dids/unmap",
            "runtime_unmap_failed",
            "400 did_required 400 invalid_did_e164 404 did_unmapped 409 did_managed",
        ),
        (
            "GET /api/admin/runtime/dids/:didE164",
            "runtime_lookup_failed",
            "400 did_required 400 invalid_did_e164 404 did_unmapped",
        ),
        ("GET /api/admin/runtime/health", "runtime_health_failed", ""),
    ] {
        let start = format!("{route}: `{{ error: \"{failure}\" }}` (500)");
        let rest = lines.iter().find_map(|line| line.strip_prefix(&start)).unwrap();
        let found = refusal.captures_iter(rest).map(|found| format!("{} {}", &found[1], &found[2]));
        assert_eq!(found.collect::<Vec<_>>().join(" "), refusals);
    }
    assert!(lines.iter().any(|line| line.contains("503 `{ ok: false, error }`")));
    assert!(lines.iter().any(|line| line.contains(r#"503 `{ error: "runtime_admin_disabled" }`"#)));
}

#[test]
fn the_committed_report_is_current() {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract-report.md");
    assert_eq!(
        fs::read_to_string(&committed).unwrap_or_default(),
        report(),
        "docs/contract-report.md is stale: run `runtime-operator contract report > docs/contract-report.md`"
    );
}
