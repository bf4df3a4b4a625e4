//! Numbers: mapped, unmapped and looked up.

use serde::Serialize;
use serde_json::json;

use super::did_request::{DidRequest, Member};
use super::{Handlers, invalid_json, parse_tenant_id, store_failed, write_failed};
use crate::admin::access_log::AccessLog;
use crate::admin::body::Body;
use crate::admin::endpoint::Endpoint;
use crate::admin::response::{ApiError, JsonResponse};
use crate::contract::routes::ErrorCode;
use crate::contract::{Did, DidError, NotJson};

impl Handlers {
    pub(in crate::admin) async fn map(
        &self,
        body: &Body,
        log: &mut AccessLog,
    ) -> Result<JsonResponse, ApiError> {
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

    pub(in crate::admin) async fn unmap(
        &self,
        body: &Body,
        log: &mut AccessLog,
    ) -> Result<JsonResponse, ApiError> {
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

    pub(in crate::admin) async fn look_up(
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
}

/// The response to a lookup, which is the most frequent request.
#[derive(Serialize)]
struct LookupResponse {
    #[serde(rename = "didE164")]
    did: Did,
    #[serde(rename = "tenantId")]
    tenant: String,
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
