//! The generated files of the chart: `UPDATE=1 cargo test --test chart` writes them.

use std::fs;
use std::process::Command;

use local_cluster::tools;
use serde_json::{Value, json};

use super::helm::chart;

const CRD_START: &str = "\
{{- /* Generated from src/api: `UPDATE=1 cargo test --test chart` writes it. */ -}}
{{- include \"runtime-operator.complete\" . }}
{{- if include \"runtime-operator.crd\" . }}
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: runtimetenants.runtime.veralux.io
  labels:
    {{- include \"runtime-operator.labels\" . | nindent 4 }}
  {{- $kept := dict }}
  {{- if .Values.crds.keep }}{{ $kept = dict \"helm.sh/resource-policy\" \"keep\" }}{{ end }}
  {{- include \"runtime-operator.annotations\" (list . .Values.crds.annotations $kept) | nindent 2 }}
";

/// Returns the chart's template, which is the CRD with the condition and the release's labels.
#[test]
fn the_crd_in_the_chart_is_the_generated_one() {
    let crd = runtime_operator::api::crd_yaml().unwrap();
    let start = crd.find("\nspec:\n").expect("a CRD has a spec") + 1;
    // Text that looks like a template's action is escaped.
    let spec = crd[start..].replace("{{", "{{ \"{{\" }}");
    keep("templates/crd.yaml", &format!("{CRD_START}{spec}{{{{- end }}}}\n"));
}

#[test]
fn the_readme_is_what_helm_docs_writes() {
    let folder = chart();
    let output = Command::new(tools::find("helm-docs").unwrap())
        .args(["--dry-run", "--log-level=warning", "--sort-values-order=file", "--skip-version-footer"])
        .arg("--chart-search-root")
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let readme = String::from_utf8(output.stdout).unwrap();
    let values = fs::read_to_string(folder.join("values.yaml")).unwrap();
    let sections = |text: &str, mark| {
        text.lines().filter_map(|line| line.strip_prefix(mark).map(str::to_owned)).collect()
    };
    let (named, shown): (Vec<_>, Vec<_>) = (sections(&values, "## "), sections(&readme, "### "));
    assert_eq!(named, shown, "README.md.gotmpl names the first value of each section of values.yaml");
    keep("README.md", &format!("{}\n", readme.trim_end()));
}

/// Helm has no way to the chart's values.yaml from a template, and gives none of its values where `--reuse-values` or null removed
/// them.
#[test]
fn the_defaults_for_missing_values_are_the_values() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut defaults: Value = serde_saphyr::from_str(&text).unwrap();
    for path in described(&text) {
        let default = defaults.pointer_mut(&format!("/{}", path.replace('.', "/"))).unwrap();
        // A missing map of texts or of members of a Kubernetes object was removed, with all that it contains.
        if default.is_object() && path != "global" {
            *default = json!({});
        }
    }
    let defaults = serde_json::to_string_pretty(&defaults).unwrap();
    keep("templates/_defaults.tpl", &format!("{DEFAULTS_START}{defaults}\n{{{{- end }}}}\n"));
}

fn keep(name: &str, generated: &str) {
    let path = chart().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == generated, "{} is stale: run `UPDATE=1 cargo test --test chart`", path.display());
}

/// Returns the paths of the values that have a description, `# -- …`, in order. A single value without one is described by its group.
pub fn described(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut is_described = false;
    for line in text.lines() {
        let bare = line.trim_start();
        if bare.starts_with("# -- ") {
            is_described = true;
        } else if let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with('#')) {
            let indent = line.len() - bare.len();
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key));
            if std::mem::take(&mut is_described) {
                let names: Vec<_> = path.iter().map(|(_, key)| *key).collect();
                paths.push(names.join("."));
            }
        }
    }
    paths
}

const DEFAULTS_START: &str = "\
{{- /* Generated from values.yaml: `UPDATE=1 cargo test --test chart` writes it. */ -}}
{{- define \"runtime-operator.defaults\" -}}
";
