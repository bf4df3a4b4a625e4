//! Whole configs: stored, and read.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretSlice};
use serde_json::Value;

use super::weight::parsed_size;
use super::{Handlers, invalid_json, log_invalid_config, parse_tenant_id, too_many_values, write_failed};
use crate::admin::body::Body;
use crate::admin::endpoint::Endpoint;
use crate::admin::limits::{MAX_DOCUMENT_MEMORY, SMALL_BYTES};
use crate::admin::response::{ApiError, JsonResponse};
use crate::contract::routes::ErrorCode;
use crate::contract::{
    InvalidConfig, NotJson, ParseConfigError, RuntimeTenantConfig, TenantId, Violation, submitted_violations,
};
use crate::http::Peer;

impl Handlers {
    pub(in crate::admin) async fn publish(
        &self,
        peer: Peer,
        argument: Option<&str>,
        body: Body,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument);
        let answer = self.reserve(peer, body.bytes.len())?;
        let _permit = self.permit(body.bytes.len()).await;
        let (parsed, body) = parse(body.bytes.into(), secrets).await;
        let (config, tenant) = match (parsed, tenant) {
            (Err(UnusableConfig::NotJson(error)), _) => return Err(invalid_json(&error)),
            (_, Err(error)) => return Err(error),
            (Err(UnusableConfig::TooManyValues), _) => return Err(too_many_values()),
            (Err(UnusableConfig::Invalid(invalid)), _) => {
                return Err(ApiError::invalid_config(ErrorCode::InvalidRuntimeConfig, &invalid));
            }
            (Ok(config), Ok(tenant)) => (config, tenant),
        };
        if !config.unfit.is_empty() {
            let invalid = InvalidConfig { violations: config.unfit, omitted: 0 };
            return Err(ApiError::invalid_config(ErrorCode::InvalidRuntimeConfig, &invalid));
        }
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

    pub(in crate::admin) async fn read_config(
        &self,
        peer: Peer,
        argument: Option<&str>,
        secrets: bool,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument)?;
        let code = ErrorCode::RuntimeConfigReadFailed;
        let read = self.read(peer, &tenant, Endpoint::ReadConfig, code).await?;
        let read = read.ok_or(ErrorCode::RuntimeConfigNotFound)?;
        match parse(read.bytes, secrets).await.0 {
            Ok(config) => {
                let text = format!(r#"{{"config":{}}}"#, config.shown);
                Ok(JsonResponse::counted(text, read.answer))
            }
            Err(error) => {
                log_invalid_config(&tenant, &error);
                Err(ApiError::from(code).with_message("the stored config violates the runtime contract"))
            }
        }
    }
}

/// Parses a config from a body or from Redis, and returns the bytes as well. Large ones are parsed on a blocking thread.
pub(super) async fn parse(
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

/// The parts of a config that a response needs.
pub(super) struct ParsedConfig {
    tenant_id: TenantId,
    /// The places at which it must not be published, although the runtime accepts it.
    pub(super) unfit: Vec<Violation>,
    /// The JSON of the config, with the webhook secret only if it was requested.
    shown: String,
}

/// The reason why bytes are no config that a request can use.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnusableConfig {
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
        let unfit = submitted_violations(config.document());
        let shown = if secrets {
            config.to_json().expose_secret().to_owned()
        } else {
            Value::from(config.without_secret()).to_string()
        };
        Ok(Self { tenant_id: config.tenant_id().clone(), unfit, shown })
    }
}
