//! The API server's answer about resources, to a server-side dry run of an apply.

use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Api, Client};

use super::super::common::print_note;
use super::super::failure::Failure;
use super::super::manifests::{Resource, split_path};
use super::finding::Finding;
use super::together::name_of;
use crate::api::RuntimeTenant;

/// The field manager of dry runs: nothing is written under it.
pub const FIELD_MANAGER: &str = "runtime-operator-cli";

/// The answers of the API server.
#[derive(Debug)]
pub struct Answers {
    /// Its refusals.
    pub findings: Vec<Finding>,
    /// False if it answered for some resource that the caller may not ask.
    pub complete: bool,
}

/// Asks the API server about each `RuntimeTenant`.
pub async fn findings(client: &Client, resources: &[Resource], namespace: &str) -> Result<Answers, Failure> {
    let mut answers = Answers { findings: Vec::new(), complete: true };
    for resource in resources.iter().filter(|resource| resource.is_tenant() && resource.name.is_some()) {
        let name = name_of(resource, namespace);
        match dry_run(client, resource, &name.namespace, &name.name).await {
            Ok(()) => {}
            Err(kube::Error::Api(status))
                if status.code == 403 && status.reason == "Forbidden" && !is_policy(&status.message) =>
            {
                answers.complete = false;
                print_note(&format!("the API server was not asked about {name}: {}", status.message));
            }
            Err(kube::Error::Api(status)) => answers.findings.extend(refusals(resource, &status)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(answers)
}

/// True for a refusal by an admission policy, which is one of the resource and not of the caller's rights alone.
fn is_policy(message: &str) -> bool {
    message.contains("ValidatingAdmissionPolicy") || message.contains("admission webhook")
}

/// Applies a resource without storing it.
pub async fn dry_run(client: &Client, resource: &Resource, namespace: &str, name: &str) -> kube::Result<()> {
    let api: Api<RuntimeTenant> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams {
        dry_run: true,
        force: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    api.patch(name, &params, &Patch::Apply(resource.node.to_json())).await.map(drop)
}

/// The causes of a refusal, each at its field.
fn refusals(resource: &Resource, status: &kube::core::Status) -> Vec<Finding> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let found: Vec<_> = causes.map(|cause| refusal(resource, &cause.field, &cause.message)).collect();
    if found.is_empty() { vec![refusal(resource, "metadata.name", &status.message)] } else { found }
}

fn refusal(resource: &Resource, field: &str, message: &str) -> Finding {
    let (path, _) = split_path(field);
    let at = resource.node.place(path.segments());
    Finding::error(&resource.file, at, path.to_string(), format!("the API server: {message}"))
}
