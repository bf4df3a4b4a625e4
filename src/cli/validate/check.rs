//! The check of one spec: all its faults together, or its oddities.

use serde_json::Value;

use super::super::manifests::{Place, split_path};
use super::{forms, schema};
use crate::api::RuntimeTenantSpec;
use crate::contract::{MODE, PathSegment};
use crate::domain::compile;

/// The result of a check of a spec.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The places at which the API server, or else the operator, refuses the spec.
    pub faults: Vec<Place>,
    /// The oddities of a spec without faults.
    pub warnings: Vec<Place>,
}

/// Checks a spec as the API server does, and then as the operator does.
#[must_use]
pub fn check(spec: Value) -> Checked {
    if spec.is_null() {
        return Checked { faults: vec![Place::value(Vec::new(), "must be given")], ..Checked::default() };
    }
    let spec = schema::normalised(spec);
    let structural = schema::faults(&spec);
    let mut faults = structural.clone();
    add(&mut faults, forms::faults(&spec));
    let text = spec.to_string();
    if text.len() > compile::MAX_SPEC_BYTES {
        let (_, rule) = split(&compile::too_large(text.len(), compile::MAX_SPEC_BYTES));
        add(&mut faults, vec![Place::value(Vec::new(), rule)]);
    }
    let decodable = without_faults(spec, &structural);
    let of_operator = match compile::read(&decodable.to_string()) {
        Ok(spec) => of_operator(&spec),
        Err(why) => vec![why],
    };
    let of_operator = of_operator.iter().map(|line| {
        let (path, rule) = split(line);
        Place::value(path, rule)
    });
    add(&mut faults, of_operator.collect());
    let warnings = if faults.is_empty() { compile::claimed(&text).warnings } else { Vec::new() };
    let warnings = warnings.iter().map(|line| {
        let (path, rule) = split(line);
        Place::value(path, rule)
    });
    Checked { faults, warnings: warnings.collect() }
}

fn of_operator(spec: &RuntimeTenantSpec) -> Vec<String> {
    compile::check(spec)
}

/// Divides a line of the operator into the path below `spec` and the rule.
fn split(line: &str) -> (Vec<PathSegment>, String) {
    let (path, rule) = split_path(line);
    (path.segments().iter().skip(1).cloned().collect(), rule.to_owned())
}

/// Adds the faults that say something new: one value has one message, and one inside of it or around it says the same.
fn add(faults: &mut Vec<Place>, more: Vec<Place>) {
    let known = faults.clone();
    faults.extend(more.into_iter().filter(|place| !known.iter().any(|known| known.is_near(place))));
}

/// Returns the spec with valid values in place of those that have the wrong structure, so that the rest can be checked.
fn without_faults(mut spec: Value, structural: &[Place]) -> Value {
    for place in structural.iter().filter(|place| !place.is_key) {
        let path = match place.path.as_slice() {
            // Which other members are right depends on the mode.
            [section, PathSegment::Member(mode), ..] if mode == MODE => std::slice::from_ref(section),
            path => path,
        };
        schema::mend(&mut spec, path);
    }
    spec
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn valid() -> serde_json::Map<String, Value> {
        let members = json!({
            "tenantId": "t",
            "dids": ["+12"],
            "webhookSecretRef": { "name": "s" },
            "caps": { "maxConcurrentCallsTenant": 1, "maxCallsPerMinuteTenant": 1 },
            "stt": { "mode": "disabled", "chunkMs": 1 },
            "tts": { "mode": "openai_tts" },
        });
        members.as_object().unwrap().clone()
    }

    #[test]
    fn a_valid_spec_has_no_fault() {
        assert_eq!(check(valid().into()).faults, []);
    }

    #[test]
    fn a_fault_of_the_structure_hides_no_other() {
        let mut spec = valid();
        spec.insert("stt".into(), json!({ "mode": "http_wav_json", "chunkMs": 0, "whisperUrl": "http://w" }));
        spec.insert("caps".into(), json!(null));
        let found = check(spec.into()).faults;
        let paths: Vec<String> = found.iter().map(|place| format!("{:?}", place.path)).collect();
        assert_eq!(found.len(), 4, "{paths:?}");
    }

    #[test]
    fn all_faults_are_found_together_and_each_once() {
        let mut spec = valid();
        spec.insert("dids".into(), json!(["+15550100001", "5550100999", 7, "+15550100001"]));
        spec["caps"]["maxCallsPerMinute"] = json!(1);
        spec.insert("tts".into(), json!({ "mode": "kokoro_http", "kokoroUrl": "kokoro", "rate": 3 }));
        spec.insert("callForwarding".into(), json!({ "enabled": true, "destination": "the desk" }));
        spec.insert("extensions".into(), json!({ "usageLimits": { "newer": 1 } }));
        let found = check(spec.into()).faults;
        let mut paths: Vec<String> = found
            .iter()
            .map(|place| place.path.iter().cloned().collect::<crate::contract::DocumentPath>().to_string())
            .collect();
        paths.sort();
        assert_eq!(
            paths,
            [
                "callForwarding.destination",
                "caps.maxCallsPerMinute",
                "dids[1]",
                "dids[2]",
                "dids[3]",
                "extensions.usageLimits",
                "tts.kokoroUrl",
                "tts.rate",
            ]
        );
    }

    #[test]
    fn a_spec_that_is_nothing_is_a_fault() {
        for spec in [json!(null), json!([]), json!("text"), json!({})] {
            assert!(!check(spec).faults.is_empty());
        }
    }
}
