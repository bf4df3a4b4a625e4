//! A previous version of the chart. Since there is none before the first release, it is this one with an older version number, a
//! CRD that lacks a field, and without one of the templates.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::pages::chart;
use crate::site::Site;

/// The field of the spec that the older CRD lacks.
pub const NEWER_FIELD: &str = "quickReplies";

/// Writes the chart, and returns its folder.
pub fn write(site: &Site) -> PathBuf {
    let previous = site.folder.file("previous-chart");
    let copied = Command::new("cp").arg("-r").args([&chart(), &previous]).status().unwrap();
    assert!(copied.success());
    let file = previous.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let older: String = text
        .lines()
        .map(
            |line| if line.starts_with("version:") { "version: 0.0.9\n".into() } else { format!("{line}\n") },
        )
        .collect();
    fs::write(&file, older).unwrap();
    fs::remove_file(previous.join("templates/disruption.yaml")).unwrap();
    let file = previous.join("templates/crd.yaml");
    let template = fs::read_to_string(&file).unwrap();
    let (start, rest) = template.split_once("\nspec:\n").unwrap();
    let spec = rest.strip_suffix("{{- end }}\n").unwrap();
    fs::write(file, format!("{start}\nspec: {}\n{{{{- end }}}}\n", older_spec(spec))).unwrap();
    previous
}

/// Writes JSON, which is YAML.
fn older_spec(spec: &str) -> Value {
    let mut spec: Value = serde_saphyr::from_str(spec).unwrap();
    let tenant = spec.pointer_mut("/versions/0/schema/openAPIV3Schema/properties/spec/properties").unwrap();
    assert!(tenant.as_object_mut().unwrap().remove(NEWER_FIELD).is_some());
    spec
}
