//! The rules of a spec that the contract does not check.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::api::RuntimeTenantSpec;
use crate::contract::{Did, resource_violations, trim};

/// Returns the violations of rules that the contract does not have, since they are about the spec and not the config.
pub fn rules_beside_the_contract(spec: &RuntimeTenantSpec, document: &Map<String, Value>) -> Vec<String> {
    let mut violations = Vec::new();
    tenant_id(spec, &mut violations);
    dids(spec, &mut violations);
    violations.extend(resource_violations(document).iter().map(|violation| format!("spec.{violation}")));
    violations
}

fn tenant_id(spec: &RuntimeTenantSpec, violations: &mut Vec<String>) {
    let id = &spec.tenant_id;
    if !(1..=253).contains(&id.chars().count()) {
        violations.push("spec.tenantId must have 1 to 253 characters".to_owned());
    }
    if id.chars().any(char::is_control) {
        violations.push("spec.tenantId must not contain control characters".to_owned());
    }
    if trim(id) != id {
        violations.push("spec.tenantId must not begin or end with white space".to_owned());
    }
}

fn dids(spec: &RuntimeTenantSpec, violations: &mut Vec<String>) {
    let mut seen = HashSet::new();
    for (place, text) in spec.dids.iter().enumerate() {
        match Did::parse(text) {
            Err(error) => violations.push(format!("spec.dids[{place}] {error}")),
            Ok(did) => {
                if let Some(did) = seen.replace(did) {
                    violations.push(format!(
                        "spec.dids[{place}] must not be listed twice (as {did}, without white space)"
                    ));
                }
            }
        }
    }
    if spec.dids.is_empty() {
        violations.push("spec.dids must list at least one number".to_owned());
    }
}
