//! The generated files of the chart: `UPDATE=1 cargo test --test chart` writes them.

use std::fmt::Write;
use std::fs;

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
fn the_readme_describes_every_value() {
    let mut readme = README_START.to_owned();
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    for line in described(&text) {
        match line {
            Line::Section(name) => {
                write!(readme, "\n### {name}\n\n| value | default | description |\n| --- | --- | --- |\n")
                    .unwrap();
            }
            Line::Value { path, what } => {
                let default = values.pointer(&format!("/{}", path.replace('.', "/"))).unwrap();
                let default = if path == "global" { String::new() } else { format!("`{default}`") };
                writeln!(readme, "| `{path}` | {default} | {what} |").unwrap();
            }
        }
    }
    keep("README.md", &readme);
}

/// Helm has no way to the chart's values.yaml from a template, and gives none of its values where `--reuse-values` or null removed
/// them.
#[test]
fn the_defaults_for_missing_values_are_the_values() {
    let text = fs::read_to_string(chart().join("values.yaml")).unwrap();
    let mut defaults: Value = serde_saphyr::from_str(&text).unwrap();
    for line in described(&text) {
        if let Line::Value { path, .. } = line {
            let default = defaults.pointer_mut(&format!("/{}", path.replace('.', "/"))).unwrap();
            // A missing map of texts or of members of a Kubernetes object was removed, with all that it contains.
            if default.is_object() && path != "global" {
                *default = json!({});
            }
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

/// A comment of values.yaml.
pub enum Line {
    /// `## name`
    Section(String),
    /// `# -- description`, perhaps over several lines, above the value.
    Value { path: String, what: String },
}

/// Returns the sections and the described values, in order. A single value without a description is described by its group.
pub fn described(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in text.lines() {
        let bare = line.trim_start();
        if let Some(section) = bare.strip_prefix("## ") {
            lines.push(Line::Section(section.into()));
        } else if let Some(start) = bare.strip_prefix("# -- ") {
            comment = Some(start.into());
        } else if let (Some(comment), Some(more)) = (&mut comment, bare.strip_prefix("# ")) {
            write!(comment, " {more}").unwrap();
        } else if let Some((key, _)) = bare.split_once(':').filter(|_| !bare.starts_with('#')) {
            let indent = line.len() - bare.len();
            path.retain(|(outer, _)| *outer < indent);
            path.push((indent, key.into()));
            if let Some(what) = comment.take() {
                let path: Vec<_> = path.iter().map(|(_, key)| key.as_str()).collect();
                lines.push(Line::Value { path: path.join("."), what });
            }
        }
    }
    lines
}

const DEFAULTS_START: &str = "\
{{- /* Generated from values.yaml: `UPDATE=1 cargo test --test chart` writes it. */ -}}
{{- define \"runtime-operator.defaults\" -}}
";

const README_START: &str = "\
# runtime-operator

<!-- Generated from values.yaml: `UPDATE=1 cargo test --test chart` writes it. -->

This chart installs the operator that keeps a voice runtime's Redis exactly equal to `RuntimeTenant` resources, and the CRD. It
needs Kubernetes 1.33 or newer, and Helm 3 or 4. See [installing](../../docs/install.md), [upgrading](../../docs/upgrade.md) and
[uninstalling](../../docs/uninstall.md).

```sh
helm install runtime-operator charts/runtime-operator --namespace runtime-operator --create-namespace --wait \\
  --set redis.url=redis://redis.data.svc:6379/0
helm test runtime-operator --namespace runtime-operator
```

Set exactly one of `redis.url`, `redis.existingSecret.urlKey` and `redis.embedded.enabled`. Two releases in
one namespace need two `leaseName`s, since the replicas of each share a Lease there.

## Created objects

| object | condition |
| --- | --- |
| CustomResourceDefinition | `crds.enabled` |
| ClusterRole, ClusterRoleBinding | without `watchNamespaces`; with it, only for `admin.enabled` and `admin.auth: kubernetes`, to review tokens |
| Role, RoleBinding in the release's namespace | always, for its Lease |
| Role, RoleBinding in each of `watchNamespaces` | with `watchNamespaces` |
| PriorityClass, aggregated ClusterRoles | without `watchNamespaces` |
| ValidatingAdmissionPolicies and their bindings | `claimsPolicy.enabled` |
| PriorityLevelConfiguration, FlowSchema | `flowControl.enabled`, without `watchNamespaces` |

The Pods meet the Pod Security Standard `restricted`.

## Values
";
