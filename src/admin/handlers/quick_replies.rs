//! The quick replies of a config: read, and replaced.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::configs::{UnusableConfig, parse};
use super::weight::parsed_size;
use super::{
    Handlers, invalid_json, log_invalid_config, merge, parse_tenant_id, too_many_values, write_failed,
};
use crate::admin::body::Body;
use crate::admin::endpoint::Endpoint;
use crate::admin::limits::MAX_DOCUMENT_MEMORY;
use crate::admin::response::{ApiError, JsonResponse};
use crate::contract::routes::ErrorCode;
use crate::contract::{InvalidConfig, QUICK_REPLIES, check_quick_replies, read_json};
use crate::http::Peer;

/// The number of attempts to replace a config that others write at the same time.
const MAX_ATTEMPTS: usize = 5;

impl Handlers {
    pub(in crate::admin) async fn read_quick_replies(
        &self,
        peer: Peer,
        argument: Option<&str>,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument)?;
        let code = ErrorCode::RuntimeQuickRepliesReadFailed;
        let Some(read) = self.read(peer, &tenant, Endpoint::ReadQuickReplies, code).await? else {
            return Ok(JsonResponse::ok(r#"{"quickReplies":[],"runtimeConfigMissing":true}"#.to_owned()));
        };
        let (parsed, bytes) = parse(read.bytes, false).await;
        if let Err(error) = parsed {
            log_invalid_config(&tenant, &error);
            return Err(ApiError::from(code).with_message("the stored config violates the runtime contract"));
        }
        let quick_replies = merge::of(bytes.expose_secret()).ok().flatten();
        let quick_replies = quick_replies.as_deref().unwrap_or("[]");
        let text = format!(r#"{{"quickReplies":{quick_replies},"runtimeConfigMissing":false}}"#);
        Ok(JsonResponse::counted(text, read.answer))
    }

    pub(in crate::admin) async fn write_quick_replies(
        &self,
        peer: Peer,
        argument: Option<&str>,
        body: Body,
    ) -> Result<JsonResponse, ApiError> {
        let tenant = parse_tenant_id(argument)?;
        let quick_replies = quick_replies_of(&body)?;
        drop(body);
        let (endpoint, code) = (Endpoint::WriteQuickReplies, ErrorCode::RuntimeQuickRepliesWriteFailed);
        for _ in 0..MAX_ATTEMPTS {
            let Some(read) = self.read(peer, &tenant, endpoint, code).await? else {
                let error = ApiError::from(ErrorCode::RuntimeConfigNotFound);
                return Err(error.with_message("the tenant has no config: publish one first"));
            };
            let merged = merge::merged(read.bytes.expose_secret(), &quick_replies).map_err(|error| {
                log_invalid_config(&tenant, &error);
                ApiError::from(code).with_message("the stored config is not JSON")
            })?;
            let (parsed, merged) = parse(merged.into_bytes().into(), false).await;
            let invalid = match parsed {
                // What else is stored is written again, so that it must be fit to be published.
                Ok(config) => InvalidConfig { violations: config.unfit, omitted: 0 },
                Err(UnusableConfig::Invalid(invalid)) => invalid,
                Err(error) => {
                    log_invalid_config(&tenant, &error);
                    return Err(code.into());
                }
            };
            if !invalid.violations.is_empty() {
                return Err(ApiError::invalid_config(ErrorCode::InvalidRuntimeConfigAfterMerge, &invalid));
            }
            let replaced = self.store.replace_config(&tenant, &read.bytes, &merged).await;
            if replaced.map_err(|error| write_failed(endpoint, &error, code))? {
                return Ok(JsonResponse::counted(
                    format!(r#"{{"status":"ok","quickReplies":{quick_replies}}}"#),
                    read.answer,
                ));
            }
        }
        Err(ApiError::from(code).with_message("the config kept changing"))
    }
}

/// Returns the JSON of the body's quick replies, if they are valid.
fn quick_replies_of(body: &Body) -> Result<String, ApiError> {
    if parsed_size(&body.bytes) > MAX_DOCUMENT_MEMORY {
        return Err(too_many_values());
    }
    let document = read_json(&body.bytes).map_err(|error| invalid_json(&error))?;
    let quick_replies = document.get(QUICK_REPLIES).unwrap_or(&Value::Null);
    check_quick_replies(quick_replies).map_err(|invalid| invalid_quick_replies(&invalid))?;
    // As it was written, numbers and all.
    Ok(merge::of(&body.bytes).ok().flatten().unwrap_or_default())
}

/// The error as the platform's other publishers write it: their library's messages by the member of the body.
fn invalid_quick_replies(invalid: &InvalidConfig) -> ApiError {
    let messages: Vec<String> = invalid.violations.iter().map(ToString::to_string).collect();
    let details = json!({ "formErrors": [], "fieldErrors": { QUICK_REPLIES: messages } });
    ApiError::from(ErrorCode::InvalidQuickReplies).with("details", details)
}
