//! Does the same as `kubectl apply --server-side -f` and `kubectl wait --for=condition=Established`.

use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::{self, Scope};
use kube::{Client, ResourceExt};
use serde_json::Value;

use crate::{Error, Result};

/// The timeout for a CRD to be served, and for a kind to be known.
const TIMEOUT: Duration = Duration::from_secs(90);

pub(crate) async fn yaml(client: &Client, text: &str) -> Result<()> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| Error::Document { number: 1, why: error.to_string() })?;
    for (index, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
        let object: DynamicObject = serde_json::from_value(document)
            .map_err(|error| Error::Document { number: index + 1, why: error.to_string() })?;
        apply(client, index + 1, object).await?;
    }
    Ok(())
}

async fn apply(client: &Client, number: usize, object: DynamicObject) -> Result<()> {
    let types = object.types.clone().unwrap_or_default();
    let gvk = GroupVersionKind::try_from(&types).map_err(|error| Error::Document {
        number,
        why: format!("apiVersion and kind must be there: {error}"),
    })?;
    let name = object.metadata.name.clone();
    let name = name.ok_or_else(|| Error::Document { number, why: "metadata.name must be there".into() })?;
    let api = api(client, &gvk, object.metadata.namespace.as_deref()).await?;
    let applied =
        api.patch(&name, &PatchParams::apply("local-cluster").force(), &Patch::Apply(&object)).await?;
    if gvk.kind == "CustomResourceDefinition" {
        served(client, &applied.name_any()).await?;
    }
    Ok(())
}

/// Returns the API of a kind, and waits for a kind that was just defined.
async fn api(client: &Client, gvk: &GroupVersionKind, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
    let begin = Instant::now();
    loop {
        match discovery::pinned_kind(client, gvk).await {
            Ok((resource, capabilities)) if capabilities.scope == Scope::Namespaced => {
                return Ok(Api::namespaced_with(client.clone(), namespace.unwrap_or("default"), &resource));
            }
            Ok((resource, _)) => return Ok(Api::all_with(client.clone(), &resource)),
            // An unknown group fails immediately.
            Err(error) if begin.elapsed() > Duration::from_secs(20) => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Waits until a CRD is Established and each of its versions can be listed: the API server serves a new one a moment after
/// the condition.
async fn served(client: &Client, name: &str) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let begin = Instant::now();
    loop {
        let definition = definitions.get(name).await?;
        if is_established(&definition) && all_list(client, &definition).await {
            return Ok(());
        }
        if begin.elapsed() > TIMEOUT {
            return Err(Error::Waited { what: format!("{name} is not served"), waited: begin.elapsed() });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.iter().filter_map(|status| status.conditions.as_ref()).flatten();
    conditions.into_iter().any(|condition| condition.type_ == "Established" && condition.status == "True")
}

async fn all_list(client: &Client, definition: &CustomResourceDefinition) -> bool {
    let spec = &definition.spec;
    for version in spec.versions.iter().filter(|version| version.served) {
        let gvk = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &spec.names.plural);
        let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
        if api.list_metadata(&ListParams::default().limit(1)).await.is_err() {
            return false;
        }
    }
    true
}
