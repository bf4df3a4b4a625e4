//! The handlers of the routes that read or write Redis.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::warn;
use warp::http::StatusCode;

use super::access_log::AccessLog;
use super::body::Body;
use super::did_request::{DidRequest, Member};
use super::endpoint::Endpoint;
use super::limits::{
    MAX_ARGUMENT_BYTES, MAX_DOCUMENT_MEMORY, MAX_LOGGED_BYTES, MAX_STORED_BYTES, SMALL_BYTES,
};
use super::response::{ApiError, JsonResponse};
use super::weight::parsed_size;
use crate::contract::routes::ErrorCode;
use crate::contract::{
    Did, DidError, InvalidConfig, NotJson, ParseConfigError, RuntimeTenantConfig, TenantId,
};
use crate::http::{ByteBudget, Peer, Reservation};
use crate::store::{Store, StoreError, StoredConfig, WriteError};

/// Handles requests that are already authorized.
pub(super) struct Handlers {
    store: Store,
    answers: Arc<ByteBudget>,
    /// Held while a document above [`SMALL_BYTES`] is read, parsed or written: one after the other, so that other requests
    /// don't wait for them and only one is in memory in all its forms.
    large: Semaphore,
}

impl Handlers {
    /// `answers` is the budget of responses that are not sent yet.
    pub(super) fn new(store: Store, answers: Arc<ByteBudget>) -> Self {
        Self { store, answers, large: Semaphore::new(1) }
    }

    pub(super) async fn publish(
        &self,
        peer: Peer,
        argument: Option<&str>,
        body: Body,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument);
        let answer = self.reserve(peer, body.bytes.len())?;
        let _permit = self.permit(body.bytes.len()).await;
        let (parsed, body) = self.parse(body.bytes.into(), secrets).await;
        let (config, tenant) = match (parsed, tenant) {
            (Err(UnusableConfig::NotJson(error)), _) => return Err(invalid_json(&error)),
            (_, Err(error)) => return Err(error),
            (Err(UnusableConfig::TooManyValues), _) => {
                let error = ApiError::from(ErrorCode::PayloadTooLarge);
                return Err(error.with_message("the config has too many values"));
            }
            (Err(UnusableConfig::Invalid(invalid)), _) => return Err(ApiError::invalid_config(&invalid)),
            (Ok(config), Ok(tenant)) => (config, tenant),
        };
        if config.tenant_id != tenant {
            let error = ApiError::from(ErrorCode::TenantIdMismatch);
            return Err(error.with_message("the tenantId of the config must be that of the path"));
        }
        self.store.put_config(&tenant, &body).await.map_err(|error| {
            write_failed(Endpoint::PublishConfig, &error, ErrorCode::RuntimePublishFailed)
        })?;
        let text = format!(r#"{{"status":"ok","config":{}}}"#, config.shown);
        Ok(JsonResponse::counted(text, answer))
    }

    pub(super) async fn read_config(
        &self,
        peer: Peer,
        argument: Option<&str>,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument)?;
        let code = ErrorCode::RuntimeConfigReadFailed;
        let (stored, answer, _permit) = self.stored_config(peer, &tenant, Endpoint::ReadConfig, code).await?;
        match self.parse(stored, secrets).await.0 {
            Ok(config) => {
                let text = format!(r#"{{"config":{}}}"#, config.shown);
                Ok(JsonResponse::counted(text, answer))
            }
            Err(error) => {
                let error = shortened(error.to_string());
                warn!(tenant = tenant.as_str(), error, "stored config violates the runtime contract");
                Err(ApiError::from(code).with_message("the stored config violates the runtime contract"))
            }
        }
    }

    /// Reads a stored config; a large one after the others, and if the budget has room for the response.
    async fn stored_config(
        &self,
        peer: Peer,
        tenant: &TenantId,
        endpoint: Endpoint,
        code: ErrorCode,
    ) -> Result<(SecretSlice<u8>, Option<Reservation>, Option<SemaphorePermit<'_>>), ApiError> {
        let read = async |most| {
            let stored = self.store.config(tenant, most).await;
            stored.map_err(|error| store_failed(endpoint, &error, code))
        };
        let size = match read(SMALL_BYTES).await? {
            StoredConfig::Absent => return Err(ErrorCode::RuntimeConfigNotFound.into()),
            StoredConfig::Bytes(bytes) => return Ok((bytes, None, None)),
            StoredConfig::Larger(size) => size,
        };
        if size > MAX_STORED_BYTES {
            warn!(tenant = tenant.as_str(), size, "stored config is too large to be read");
            return Err(ApiError::from(code)
                .with_message(format!("the stored config has more than {MAX_STORED_BYTES} bytes")));
        }
        let answer = self.reserve(peer, size)?;
        let permit = self.permit(size).await;
        match read(size).await? {
            StoredConfig::Absent => Err(ErrorCode::RuntimeConfigNotFound.into()),
            StoredConfig::Bytes(bytes) => Ok((bytes, answer, permit)),
            // It has grown since.
            StoredConfig::Larger(_) => Err(ErrorCode::Overloaded.into()),
        }
    }

    /// Reserves room for a response of about this size. Small ones need no reservation.
    fn reserve(&self, peer: Peer, bytes: usize) -> Result<Option<Reservation>, ApiError> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        self.answers.reserve(peer, bytes).map(Some).ok_or_else(|| ErrorCode::Overloaded.into())
    }

    /// Waits until no other large document is in work. Small ones don't wait.
    async fn permit(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        if bytes <= SMALL_BYTES { None } else { self.large.acquire().await.ok() }
    }

    pub(super) async fn map(&self, body: &Body, log: &mut AccessLog) -> Result<JsonResponse, ApiError> {
        let request = did_request(body)?;
        let did = did_member(&request.did, log)?;
        let tenant = match &request.tenant {
            Member::Text(text) => parse_tenant_id(Some(text))?,
            Member::Absent | Member::NoText => return Err(ErrorCode::TenantIdRequired.into()),
        };
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
        let did = did_member(&did_request(body)?.did, log)?;
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
                Ok(JsonResponse::new(StatusCode::SERVICE_UNAVAILABLE, body))
            }
        }
    }

    /// Parses a config from a body or from Redis, and returns the bytes as well. Large ones are parsed on a blocking thread.
    async fn parse(
        &self,
        bytes: SecretSlice<u8>,
        secrets: bool,
    ) -> (Result<ParsedConfig, UnusableConfig>, SecretSlice<u8>) {
        if bytes.expose_secret().len() <= SMALL_BYTES {
            return (ParsedConfig::parse(bytes.expose_secret(), secrets), bytes);
        }
        let bytes = Arc::new(bytes);
        let shared = Arc::clone(&bytes);
        let parse = move || ParsedConfig::parse(shared.expose_secret(), secrets);
        let parsed = tokio::task::spawn_blocking(parse).await;
        let parsed = parsed.unwrap_or_else(|_| ParsedConfig::parse(&[], secrets));
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

/// The reason why bytes are no config that a request can use.
#[derive(Debug, thiserror::Error)]
enum UnusableConfig {
    #[error(transparent)]
    NotJson(NotJson),
    #[error(transparent)]
    Invalid(InvalidConfig),
    #[error("must have fewer values")]
    TooManyValues,
}

impl From<ParseConfigError> for UnusableConfig {
    fn from(error: ParseConfigError) -> Self {
        match error {
            ParseConfigError::NotJson(error) => Self::NotJson(error),
            ParseConfigError::Invalid(invalid) => Self::Invalid(invalid),
        }
    }
}

impl ParsedConfig {
    fn parse(bytes: &[u8], secrets: bool) -> Result<Self, UnusableConfig> {
        if bytes.len() > SMALL_BYTES && parsed_size(bytes) > MAX_DOCUMENT_MEMORY {
            return Err(UnusableConfig::TooManyValues);
        }
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
    let required = || ApiError::from(ErrorCode::TenantIdRequired);
    let tenant = TenantId::parse_trimmed(text.unwrap_or_default()).map_err(|_| required())?;
    if tenant.as_str().len() > MAX_ARGUMENT_BYTES {
        return Err(required().with_message(format!("must have at most {MAX_ARGUMENT_BYTES} bytes")));
    }
    Ok(tenant)
}

/// Cuts a text that a client may have made long.
fn shortened(mut text: String) -> String {
    if text.len() > MAX_LOGGED_BYTES {
        let end = (0..=MAX_LOGGED_BYTES).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or_default());
        text.push('…');
    }
    text
}

fn parse_did(text: &str) -> Result<Did, ApiError> {
    Did::parse(text).map_err(|error| match error {
        DidError::Empty => ErrorCode::DidRequired.into(),
        DidError::NotE164 => ErrorCode::InvalidDidE164.into(),
    })
}

fn did_request(body: &Body) -> Result<DidRequest, ApiError> {
    serde_json::from_slice(&body.bytes).map_err(|error| invalid_json(&NotJson::from(error)))
}

fn did_member(member: &Member, log: &mut AccessLog) -> Result<Did, ApiError> {
    let did = match member {
        Member::Absent => return Err(ErrorCode::DidRequired.into()),
        Member::Text(text) => parse_did(text)?,
        Member::NoText => return Err(ErrorCode::InvalidDidE164.into()),
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
