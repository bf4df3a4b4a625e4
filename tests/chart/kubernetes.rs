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
        custom(&CUSTOM, &schemas);
        for (name, values) in [("least", LEAST), ("most", MOST), ("namespaced", NAMESPACED), ("trial", TRIAL)]
        {
            let yaml = rendered(BOTH[0], values, version);
            valid(&schemas, &folder.write(&format!("{version}-{name}.yaml"), &yaml).unwrap());
        }
    }
}

/// Files with the CRDs of the tools of docs/gitops.md.
const GITOPS: [&str; 5] = [
    "flux-source/config/crd/bases/source.toolkit.fluxcd.io_ocirepositories.yaml",
    "flux-source/config/crd/bases/source.toolkit.fluxcd.io_helmrepositories.yaml",
    "flux-helm/config/crd/bases/helm.toolkit.fluxcd.io_helmreleases.yaml",
    "flux-kustomize/config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml",
    "argo-cd/manifests/crds/application-crd.yaml",
];

#[test]
fn the_manifests_of_flux_and_argo_cd_on_the_page_are_valid() {
    let folder = Folder::new("gitops").unwrap();
    custom(&GITOPS, folder.path());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/gitops.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<_> =
        page.split("\n```yaml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 5);
    valid(folder.path(), &folder.write("page.yaml", &blocks.join("\n---\n")).unwrap());
}

/// Writes the schemas of CRDs of other projects.
fn custom(files: &[&str], schemas: &Path) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/bin");
    for file in files {
        let text = fs::read_to_string(tools.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let definition: Value = serde_saphyr::from_str(&text).unwrap();
        swagger::custom(&definition, schemas);
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
