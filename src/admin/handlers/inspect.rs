//! Facts of numbers, tenants and the server, for the command line.

use super::{Handlers, parse_tenant_id};
use crate::admin::endpoint::Endpoint;
use crate::admin::response::{ApiError, JsonResponse};
use crate::contract::routes::{ErrorCode, parse_boolean};
use crate::contract::{Did, DidError};
use crate::store::{FactsQuery, MAX_QUESTIONS};

impl Handlers {
    /// Answers what Redis holds for the numbers and tenants of a query, without secrets.
    pub(in crate::admin) async fn inspect(&self, query: &str) -> Result<JsonResponse, ApiError> {
        let query = facts_query(query)?;
        // Configs are read one after the other, and no two requests at the same time.
        let _permit = self.large.acquire().await;
        let facts = self.store.facts(&query).await.map_err(|error| {
            let failed = super::store_failed(Endpoint::Inspect, &error, ErrorCode::RuntimeInspectFailed);
            failed.with_message(error.reason().as_str())
        })?;
        // Serializing numbers and texts can't fail.
        Ok(JsonResponse::ok(serde_json::to_string(&facts).unwrap_or_default()))
    }
}

/// Reads `did`, `tenant`, `documents`, `server` and `rehearse`; other members are ignored.
fn facts_query(text: &str) -> Result<FactsQuery, ApiError> {
    let mut query = FactsQuery::default();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
        let is_true = parse_boolean(&value) == Some(true);
        match &*name {
            "did" => query.dids.push(parse_did(&value)?),
            "tenant" => query.tenants.push(parse_tenant_id(Some(&value))?),
            "documents" => query.documents = is_true,
            "server" => query.server = is_true,
            "rehearse" => query.rehearse = is_true,
            _ => {}
        }
    }
    let asked = query.dids.len() + query.tenants.len();
    let most = if query.documents { 1 } else { MAX_QUESTIONS };
    if asked > most {
        let message = format!("at most {most} numbers and tenants can be asked for");
        return Err(ApiError::from(ErrorCode::PayloadTooLarge).with_message(message));
    }
    Ok(query)
}

/// Parses a number. A plus sign arrives as a space where it is not percent-encoded.
fn parse_did(text: &str) -> Result<Did, ApiError> {
    let with_plus = || text.strip_prefix(' ').and_then(|digits| Did::parse(&format!("+{digits}")).ok());
    Did::parse(text).or_else(|error| with_plus().ok_or(error)).map_err(|error| match error {
        DidError::Empty => ErrorCode::DidRequired.into(),
        DidError::NotE164 => ErrorCode::InvalidDidE164.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_tenants_are_read_and_bounded() {
        let query =
            facts_query("did=%2B15551234567&did=+15551234568&tenant=%20acme&documents=0&server=1&x=y")
                .unwrap();
        let numbers: Vec<&str> = query.dids.iter().map(Did::as_str).collect();
        assert_eq!(numbers, ["+15551234567", "+15551234568"]);
        assert_eq!((query.tenants[0].as_str(), query.server, query.documents), ("acme", true, false));
        // White space is no plus sign where there is one.
        let spaced = facts_query("did=%20%2B1%205551234567%C2%A0&did=+%2B15551234568").unwrap();
        assert_eq!(spaced.dids.iter().map(Did::as_str).collect::<Vec<_>>(), ["+15551234567", "+15551234568"]);
        assert_eq!(facts_query("").unwrap(), FactsQuery::default());
        for (wrong, code) in [
            ("did=", ErrorCode::DidRequired),
            ("did=555", ErrorCode::InvalidDidE164),
            ("tenant=", ErrorCode::TenantIdRequired),
            ("tenant=a&tenant=b&documents=1", ErrorCode::PayloadTooLarge),
            (&"tenant=a&".repeat(MAX_QUESTIONS + 1), ErrorCode::PayloadTooLarge),
        ] {
            assert_eq!(facts_query(wrong).unwrap_err().code, code, "{wrong}");
        }
    }
}
