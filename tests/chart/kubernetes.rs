//! Every supported Kubernetes accepts the rendered chart.

use std::fs;
use std::path::Path;
use std::process::Command;

use local_cluster::{Folder, tools};
use serde_json::Value;

use super::helm::{BOTH, LEAST, MOST, NAMESPACED, TRIAL, rendered};
use super::swagger;

const VERSIONS: [&str; 5] = ["1.33", "1.34", "1.35", "1.36", "1.37"];
/// Files with the CRDs of other projects, in the folders that tools/install.sh links.
pub const CUSTOM: [&str; 5] = [
    "prometheus-operator/example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    "prometheus-operator/example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    "prometheus-operator/example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    "cert-manager/deploy/crds/cert-manager.io_certificates.yaml",
    "gateway-api/config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
];

#[test]
fn every_supported_kubernetes_accepts_the_rendered_chart() {
    let folder = Folder::new("kubeconform").unwrap();
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/bin");
    for version in VERSIONS {
        let schemas = folder.file(version);
        fs::create_dir(&schemas).unwrap();
        let swagger = tools.join(format!("kubernetes-{version}/api/openapi-spec/swagger.json"));
        swagger::kubernetes(&swagger, &schemas);
        for file in CUSTOM {
            let text = fs::read_to_string(tools.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let definition: Value = serde_saphyr::from_str(&text).unwrap();
            swagger::custom(&definition, &schemas);
        }
        for (name, values) in [("least", LEAST), ("most", MOST), ("namespaced", NAMESPACED), ("trial", TRIAL)]
        {
            let yaml = rendered(BOTH[0], values, version);
            valid(&schemas, &folder.write(&format!("{version}-{name}.yaml"), &yaml).unwrap());
        }
    }
}

/// Validates the documents; a kind without a schema is an error.
fn valid(schemas: &Path, file: &Path) {
    let location = format!("{}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", schemas.display());
    let output = Command::new(tools::find("kubeconform").unwrap())
        .args(["-summary", "-verbose", "-schema-location", &location])
        .arg(file)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("Skipped: 0"), "{text}");
}
