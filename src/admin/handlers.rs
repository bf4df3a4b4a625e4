//! The handlers of the routes that read or write Redis.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::warn;
use warp::http::StatusCode;

use super::access_log::AccessLog;
use super::body::Body;
use super::endpoint::Endpoint;
use super::response::{ApiError, JsonResponse};
use crate::contract::routes::ErrorCode;
use crate::contract::{Did, DidError, NotJson, ParseConfigError, RuntimeTenantConfig, TenantId, read_json};
use crate::store::{Store, StoreError, WriteError};

/// Larger documents are parsed on a blocking thread, one after the other, so that other requests don't wait for them.
const LARGE: usize = 64 * 1024;

/// Handles requests that are already authorized.
pub(super) struct Handlers {
    store: Store,
    /// Held while a [`LARGE`] document is parsed.
    large: Semaphore,
}

impl Handlers {
    pub(super) fn new(store: Store) -> Self {
        Self { store, large: Semaphore::new(1) }
    }

    pub(super) async fn publish(
        &self,
        argument: Option<&str>,
        body: Body,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument);
        let (parsed, body) = self.parse(body.bytes.into(), secrets).await;
        let (config, tenant) = match (parsed, tenant) {
            (Err(ParseConfigError::NotJson(error)), _) => return Err(invalid_json(&error)),
            (_, Err(error)) => return Err(error),
            (Err(ParseConfigError::Invalid(invalid)), _) => return Err(ApiError::invalid_config(&invalid)),
            (Ok(config), Ok(tenant)) => (config, tenant),
        };
        if config.tenant_id != tenant {
            let error = ApiError::from(ErrorCode::TenantIdMismatch);
            return Err(error.with_message("the tenantId of the config must be that of the path"));
        }
        self.store.put_config(&tenant, &body).await.map_err(|error| {
            write_failed(Endpoint::PublishConfig, &error, ErrorCode::RuntimePublishFailed)
        })?;
        Ok(JsonResponse::ok(format!(r#"{{"status":"ok","config":{}}}"#, config.shown)))
    }

    pub(super) async fn read_config(
        &self,
        argument: Option<&str>,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument)?;
        let code = ErrorCode::RuntimeConfigReadFailed;
        let stored = self.store.config(&tenant).await;
        let stored = stored.map_err(|error| store_failed(Endpoint::ReadConfig, &error, code))?;
        let stored = stored.ok_or(ErrorCode::RuntimeConfigNotFound)?;
        match self.parse(stored, secrets).await.0 {
            Ok(config) => Ok(JsonResponse::ok(format!(r#"{{"config":{}}}"#, config.shown))),
            Err(error) => {
                warn!(tenant = tenant.as_str(), %error, "stored config violates the runtime contract");
                Err(ApiError::from(code).with_message("the stored config violates the runtime contract"))
            }
        }
    }

    pub(super) async fn map(&self, body: &Body, log: &mut AccessLog) -> Result<JsonResponse, ApiError> {
        let document = read_json(&body.bytes).map_err(|error| invalid_json(&error))?;
        let did = did_member(&document, log)?;
        let tenant = parse_tenant_id(document["tenantId"].as_str())?;
        log.tenant = Some(tenant.to_string());
        let has_config = self
            .store
            .map(&did, &tenant)
            .await
            .map_err(|error| write_failed(Endpoint::MapDid, &error, ErrorCode::RuntimeMapFailed))?;
        let mut response = json!({ "status": "ok" });
        if !has_config {
            response["warning"] = ErrorCode::RuntimeConfigNotFound.as_str().into();
        }
        Ok(JsonResponse::ok(response.to_string()))
    }

    pub(super) async fn unmap(&self, body: &Body, log: &mut AccessLog) -> Result<JsonResponse, ApiError> {
        let document = read_json(&body.bytes).map_err(|error| invalid_json(&error))?;
        let did = did_member(&document, log)?;
        let tenant = self
            .store
            .unmap(&did)
            .await
            .map_err(|error| write_failed(Endpoint::UnmapDid, &error, ErrorCode::RuntimeUnmapFailed))?;
        let tenant = tenant.ok_or(ErrorCode::DidUnmapped)?;
        log.tenant = Some(tenant.clone());
        Ok(JsonResponse::ok(json!({ "status": "ok", "tenantId": tenant }).to_string()))
    }

    pub(super) async fn look_up(
        &self,
        argument: Option<&str>,
        log: &mut AccessLog,
    ) -> Result<JsonResponse, ApiError> {
        // An argument that can't be decoded is an invalid DID, as "%" is.
        let did = parse_did(argument.unwrap_or("%"))?;
        log.did = Some(did.to_string());
        let tenant = self.store.lookup(&did).await;
        let tenant = tenant
            .map_err(|error| store_failed(Endpoint::LookUpDid, &error, ErrorCode::RuntimeLookupFailed))?;
        // For the runtime an empty text is no mapping.
        let tenant = tenant.filter(|tenant| !tenant.is_empty()).ok_or(ErrorCode::DidUnmapped)?;
        // Serializing two strings can't fail.
        Ok(JsonResponse::ok(serde_json::to_string(&LookupResponse { did, tenant }).unwrap_or_default()))
    }

    pub(super) async fn health(&self) -> Result<JsonResponse, ApiError> {
        match self.store.health().await {
            Ok(latency) => {
                let milliseconds = (latency.as_secs_f64() * 1e6).round() / 1e3;
                Ok(JsonResponse::ok(json!({ "ok": true, "latencyMs": milliseconds }).to_string()))
            }
            Err(error @ StoreError::Unexpected(_)) => {
                Err(store_failed(Endpoint::Health, &error, ErrorCode::RuntimeHealthFailed))
            }
            Err(error) => {
                warn!(%error, "Redis health check failed");
                let body = json!({ "ok": false, "error": "redis_unavailable" }).to_string();
                Ok(JsonResponse { status: StatusCode::SERVICE_UNAVAILABLE, body })
            }
        }
    }

    /// Parses a config from a body or from Redis, and returns the bytes as well.
    async fn parse(
        &self,
        bytes: SecretSlice<u8>,
        secrets: bool,
    ) -> (Result<ParsedConfig, ParseConfigError>, SecretSlice<u8>) {
        if bytes.expose_secret().len() <= LARGE {
            return (ParsedConfig::parse(bytes.expose_secret(), secrets), bytes);
        }
        let _permit = self.large.acquire().await;
        let bytes = Arc::new(bytes);
        let shared = Arc::clone(&bytes);
        let parse = move || ParsedConfig::parse(shared.expose_secret(), secrets);
        let parsed = tokio::task::spawn_blocking(parse).await;
        let parsed = parsed.unwrap_or_else(|_| ParsedConfig::parse([], secrets));
        (parsed, Arc::try_unwrap(bytes).unwrap_or_else(|shared| shared.expose_secret().to_vec().into()))
    }
}

/// The response to a lookup, which is the most frequent request.
#[derive(Serialize)]
struct LookupResponse {
    #[serde(rename = "didE164")]
    did: Did,
    #[serde(rename = "tenantId")]
    tenant: String,
}

/// The parts of a config that a response needs.
struct ParsedConfig {
    tenant_id: TenantId,
    /// The JSON of the config, with the webhook secret only if it was requested.
    shown: String,
}

impl ParsedConfig {
    fn parse(bytes: impl AsRef<[u8]>, secrets: bool) -> Result<Self, ParseConfigError> {
        let config = RuntimeTenantConfig::parse(bytes)?;
        let shown = if secrets {
            config.to_json().expose_secret().to_owned()
        } else {
            Value::from(config.without_secret()).to_string()
        };
        Ok(Self { tenant_id: config.tenant_id().clone(), shown })
    }
}

pub(super) fn parse_tenant_id(text: Option<&str>) -> Result<TenantId, ApiError> {
    TenantId::parse_trimmed(text.unwrap_or_default()).map_err(|_| ErrorCode::TenantIdRequired.into())
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text).map_err(|error| match error {
        DidError::Empty => ErrorCode::DidRequired.into(),
        DidError::NotE164 => ErrorCode::InvalidDidE164.into(),
    })
}

fn did_member(document: &Value, log: &mut AccessLog) -> Result<Did, ApiError> {
    let did = match &document["didE164"] {
        Value::Null => return Err(ErrorCode::DidRequired.into()),
        Value::String(text) => parse_did(text)?,
        _ => return Err(ErrorCode::InvalidDidE164.into()),
    };
    log.did = Some(did.to_string());
    Ok(did)
}

fn invalid_json(error: &NotJson) -> ApiError {
    ApiError::from(ErrorCode::InvalidJson).with_message(format!("the body {error}"))
}

/// Logs a failed request to Redis, and responds with the route's own code.
fn store_failed(endpoint: Endpoint, error: &StoreError, code: ErrorCode) -> ApiError {
    warn!(route = endpoint.template(), %error, "Redis request failed");
    code.into()
}

/// Responds to a write that failed, or that a resource's ownership forbids.
fn write_failed(endpoint: Endpoint, error: &WriteError, code: ErrorCode) -> ApiError {
    match error {
        WriteError::TenantManaged { owner } => {
            ApiError::from(ErrorCode::TenantManaged).with("owner", owner.as_str().into())
        }
        WriteError::DidManaged { owner } => {
            ApiError::from(ErrorCode::DidManaged).with("owner", owner.as_str().into())
        }
        WriteError::Store(error) => store_failed(endpoint, error, code),
    }
}
