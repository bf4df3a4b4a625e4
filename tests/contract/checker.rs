//! The rules by which the platform's tooling compares a publisher's report with the runtime's.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value;

/// What the tooling reads from a publisher's report.
#[derive(Debug, PartialEq)]
pub struct Compared {
    did_base: String,
    tenant_base: String,
    version: String,
    required: BTreeSet<String>,
    either: BTreeSet<String>,
    names_e164: bool,
}

/// Returns the texts in backticks of a line.
fn quoted(line: &str) -> Vec<String> {
    let quoted = Regex::new("`([^`]+)`").unwrap();
    quoted.captures_iter(line).map(|found| found[1].to_owned()).collect()
}

/// Returns the first text in backticks after a label.
fn after(report: &str, label: &str) -> String {
    let (_, rest) = report.split_once(label).unwrap_or_else(|| panic!("no {label}"));
    quoted(rest.lines().next().unwrap())[0].clone()
}

fn set<'n>(names: impl IntoIterator<Item = &'n str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

/// The members in an either/or group: a line with two names in backticks joined by "or" and the word "required"; else the
/// secrets, if the example has one.
fn either(report: &str, example: &Value) -> BTreeSet<String> {
    let group = Regex::new("(?i)`([^`]+)` or `([^`]+)`").unwrap();
    let line = report
        .lines()
        .filter(|line| line.to_lowercase().contains("required"))
        .find_map(|line| group.captures(line));
    match line {
        Some(found) => set([&found[1], &found[2]]),
        None => {
            set(["webhookSecret", "webhookSecretRef"].into_iter().filter(|name| example.get(name).is_some()))
        }
    }
}

/// Reads a publisher's report as the tooling does.
pub fn compared(report: &str) -> Compared {
    let did_key = after(report, "DID mapping key format:");
    let (did_base, suffix) = did_key.split_once(":did:").expect("the suffix is :did:");
    assert!(!suffix.contains(":did:"));
    let tenant_key = after(report, "Tenant config key format:");
    let (tenant_base, _) = tenant_key.split_once(':').unwrap();
    for base in [did_base, tenant_base] {
        assert!(!base.contains(['{', '}', '$', '<', '>', '[', ']']), "{base} is a placeholder");
    }
    let overriding =
        report.lines().filter(|line| line.contains("TENANTMAP_PREFIX") || line.contains("TENANTCFG_PREFIX"));
    assert_eq!(overriding.count(), 0, "a line names a prefix's variable");

    let (_, block) = report.split_once("```json\n").expect("a json block");
    let example: Value = serde_json::from_str(block.split("```").next().unwrap()).unwrap();
    let either = either(report, &example);
    let fields = Regex::new("(?i)required fields?").unwrap();
    let named: Vec<String> = report.lines().filter(|line| fields.is_match(line)).flat_map(quoted).collect();
    let required: BTreeSet<String> = if named.is_empty() {
        example.as_object().unwrap().keys().cloned().collect()
    } else {
        named.into_iter().collect()
    };
    let normalization = report.lines().skip_while(|line| !line.starts_with("Normalization:")).skip(1);
    let mut normalization = normalization.take_while(|line| {
        !line.trim().is_empty() && !line.starts_with('#') && (line.starts_with('-') || !line.ends_with(':'))
    });
    Compared {
        did_base: did_base.to_owned(),
        tenant_base: tenant_base.to_owned(),
        version: example["contractVersion"].as_str().unwrap().to_owned(),
        required: required.difference(&either).cloned().collect(),
        either,
        names_e164: normalization.any(|line| line.contains("E.164")),
    }
}

/// What the tooling reads from the runtime's report.
pub fn runtime() -> Compared {
    Compared {
        did_base: "tenantmap".to_owned(),
        tenant_base: "tenantcfg".to_owned(),
        version: "v1".to_owned(),
        required: set(["contractVersion", "tenantId", "dids", "caps", "stt", "tts", "audio"]),
        either: set(["webhookSecret", "webhookSecretRef"]),
        names_e164: true,
    }
}
