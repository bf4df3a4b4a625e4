//! Reads one Secret: from the API server's memory at the version that the watch shows, or from etcd if that is behind.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Resource};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::timeout;

use super::super::bounded::{self, Bounded};
use super::super::refusal::{is_from_api_server, is_not_found};
use crate::domain::assessment::{SecretFault, SecretFaultKind};
use crate::domain::secret::{self, SecretKey, SecretVersion};
use crate::domain::warnings::{self, Warning};
use crate::telemetry::one_line;

/// The timeout of a read from the API server's watch cache, which itself waits 3 s until it is new enough.
const CACHED_READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A Secret with its values. Never printed.
#[derive(Deserialize)]
pub struct SecretValue {
    metadata: SecretMetadata,
    data: Option<BTreeMap<String, ByteString>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretMetadata {
    name: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
}

impl SecretValue {
    /// `metadata.name`; empty only for an object that no API server sent.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The length of its values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.data.iter().flatten().map(|(_, value)| value.0.len()).sum()
    }

    /// True for this version of a Secret of this name.
    #[must_use]
    pub fn is(&self, name: &str, version: &SecretVersion) -> bool {
        self.name() == name && self.version() == *version
    }

    fn version(&self) -> SecretVersion {
        SecretVersion::new(self.metadata.uid.as_deref(), self.metadata.resource_version.as_deref())
    }

    /// The value under this key, or what is wrong with it.
    pub fn resolve(&self, key: &SecretKey) -> Result<ResolvedSecret, SecretFault> {
        let bytes = self.data.as_ref().and_then(|data| data.get(&key.key));
        let value = secret::extract(bytes.map(|bytes| &*bytes.0)).map_err(|what| key.fault(what))?;
        let warnings = warnings::of_secret(&value).iter().map(Warning::line).collect();
        Ok(ResolvedSecret { value, version: self.version(), warnings })
    }
}

/// A webhook secret that was read.
#[derive(Debug)]
pub struct ResolvedSecret {
    /// The value.
    pub value: SecretString,
    /// The version of the Secret.
    pub version: SecretVersion,
    /// The warnings about the value, without a part of it.
    pub warnings: Vec<String>,
}

/// Reads the value that `key` names from the API server's watch cache, at `resourceVersion >= version`. A timeout means
/// another API server that lags, or a restored etcd: then it is read from etcd.
pub async fn read(
    client: &Client,
    key: &SecretKey,
    version: &SecretVersion,
) -> Result<Result<ResolvedSecret, SecretFault>, kube::Error> {
    let cached = timeout(CACHED_READ_TIMEOUT, get(client, key, &not_older_than(version))).await.ok();
    let read = match cached.filter(|read| !lags(read)) {
        Some(read) => read,
        None => get(client, key, &GetParams::default()).await,
    };
    match read {
        Ok(secret) => Ok(secret.resolve(key)),
        Err(error) if is_not_found(&error) => Ok(Err(key.fault(SecretFaultKind::NotFound))),
        // A denied read stays denied until a Role changes.
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403) && is_from_api_server(&status) => {
            Ok(Err(key.fault(SecretFaultKind::Unreadable(one_line(&status.message)))))
        }
        Err(error) => Err(error),
    }
}

/// Reads a Secret; it may have a megabyte, of which one key counts.
async fn get(client: &Client, key: &SecretKey, params: &GetParams) -> kube::Result<SecretValue> {
    let request = Request::new(Secret::url_path(&(), Some(&key.secret.namespace)));
    let request = request.get(&key.secret.name, params).map_err(kube::Error::BuildRequest)?;
    match bounded::read(client, request).await? {
        Bounded::Read(secret, _) => Ok(secret),
        Bounded::TooLarge => Err(bounded::too_large()),
    }
}

/// True when the API server has not seen the requested version.
fn lags(read: &kube::Result<SecretValue>) -> bool {
    matches!(read, Err(kube::Error::Api(status)) if matches!(status.code, 400 | 410 | 504))
}

fn not_older_than(version: &SecretVersion) -> GetParams {
    version.resource_version().map_or_else(GetParams::default, GetParams::at)
}
