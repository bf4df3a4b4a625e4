//! The contents of a Pod's volumes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{
    ConfigMap, KeyToPath, Pod, Secret, ServiceAccount, Volume, VolumeProjection,
};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};

type Files = Vec<(String, Vec<u8>)>;

/// Writes a volume, and returns its folder.
pub(super) async fn write(
    client: &Client,
    pod: &Pod,
    volume: &Volume,
    folder: &Path,
) -> Result<PathBuf, String> {
    let path = folder.join(&volume.name);
    fs::create_dir_all(&path).map_err(|error| error.to_string())?;
    let namespace = pod.namespace().unwrap();
    let group = pod.spec.as_ref().and_then(|spec| spec.security_context.as_ref()?.fs_group);
    let group = group.map(|group| u32::try_from(group).unwrap());
    let (files, mode) = if let Some(source) = &volume.secret {
        let name = source.secret_name.as_ref().unwrap();
        (pick(secret(client, &namespace, name).await?, source.items.as_deref())?, source.default_mode)
    } else if let Some(source) = &volume.config_map {
        (
            pick(config_map(client, &namespace, &source.name).await?, source.items.as_deref())?,
            source.default_mode,
        )
    } else if let Some(source) = &volume.projected {
        let mut files = Files::new();
        for source in source.sources.iter().flatten() {
            files.extend(projected(client, pod, source).await?);
        }
        (files, source.default_mode)
    } else if volume.empty_dir.is_some() {
        chown(&path, None, group).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o2777)).unwrap();
        return Ok(path);
    } else {
        return Err(format!("the volume {} is of a kind that is not known here", volume.name));
    };
    let mode = u32::try_from(mode.unwrap_or(0o644)).unwrap();
    for (name, bytes) in files {
        let file = path.join(name);
        fs::write(&file, bytes).map_err(|error| error.to_string())?;
        chown(&file, None, group).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    Ok(path)
}

/// Returns all members of a Secret.
pub(super) async fn secret(client: &Client, namespace: &str, name: &str) -> Result<Files, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = api.get(name).await.map_err(|error| format!("the Secret {name}: {error}"))?;
    Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
}

/// Returns all members of a `ConfigMap`.
pub(super) async fn config_map(client: &Client, namespace: &str, name: &str) -> Result<Files, String> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let map = api.get(name).await.map_err(|error| format!("the ConfigMap {name}: {error}"))?;
    Ok(map.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.into_bytes())).collect())
}

/// Returns the requested members, by their requested names.
fn pick(files: Files, items: Option<&[KeyToPath]>) -> Result<Files, String> {
    let Some(items) = items else { return Ok(files) };
    let one = |item: &KeyToPath| {
        let found = files.iter().find(|(key, _)| *key == item.key);
        let (_, bytes) = found.ok_or_else(|| format!("no key {}", item.key))?;
        Ok((item.path.clone(), bytes.clone()))
    };
    items.iter().map(one).collect()
}

async fn projected(client: &Client, pod: &Pod, source: &VolumeProjection) -> Result<Files, String> {
    let namespace = pod.namespace().unwrap();
    if let Some(token) = &source.service_account_token {
        let token_text =
            request_token(client, pod, token.audience.as_deref(), token.expiration_seconds).await?;
        return Ok(vec![(token.path.clone(), token_text.into_bytes())]);
    }
    if let Some(map) = &source.config_map {
        return pick(config_map(client, &namespace, &map.name).await?, map.items.as_deref());
    }
    if let Some(secret_source) = &source.secret {
        let files = secret(client, &namespace, &secret_source.name).await?;
        return pick(files, secret_source.items.as_deref());
    }
    let items = source.downward_api.iter().flat_map(|api| api.items.iter().flatten());
    items
        .map(|item| {
            let path = item.field_ref.as_ref().map(|field| field.field_path.as_str()).unwrap_or_default();
            Ok((item.path.clone(), field(pod, path, "")?.into_bytes()))
        })
        .collect()
}

/// Returns a field of the Pod, as in a `fieldRef`.
pub(super) fn field(pod: &Pod, path: &str, address: &str) -> Result<String, String> {
    match path {
        "metadata.name" => Ok(pod.name_any()),
        "metadata.namespace" => Ok(pod.namespace().unwrap()),
        "metadata.uid" => Ok(pod.uid().unwrap()),
        "status.podIP" => Ok(address.into()),
        _ => Err(format!("the field {path} is not supported")),
    }
}

/// Returns a token of the Pod's `ServiceAccount`, bound to the Pod.
async fn request_token(
    client: &Client,
    pod: &Pod,
    audience: Option<&str>,
    seconds: Option<i64>,
) -> Result<String, String> {
    let account = pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
    let bound = BoundObjectReference {
        api_version: Some("v1".into()),
        kind: Some("Pod".into()),
        name: Some(pod.name_any()),
        uid: pod.uid(),
    };
    let spec = TokenRequestSpec {
        audiences: audience.map(ToOwned::to_owned).into_iter().collect(),
        bound_object_ref: Some(bound),
        expiration_seconds: seconds,
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(&account, &PostParams::default(), &request).await;
    answer.map(|answer| answer.status.unwrap().token).map_err(|error| error.to_string())
}
