//! The handlers of the routes that read or write Redis. They get authorized requests only.

mod configs;
mod did_request;
mod dids;
mod health;
mod inspect;
mod merge;
mod probed;
mod quick_replies;
mod weight;

use std::sync::Arc;

use secrecy::SecretSlice;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};
use tracing::warn;

use self::probed::Probed;
use super::endpoint::Endpoint;
use super::limits::{MAX_ARGUMENT_BYTES, MAX_LOGGED_BYTES, MAX_STORED_BYTES, SMALL_BYTES};
use super::response::ApiError;
use crate::contract::routes::ErrorCode;
use crate::contract::{NotJson, TenantId};
use crate::http::{ByteBudget, Peer, Reservation};
use crate::store::{Store, StoreError, StoredConfig, WriteError};

/// Handles requests that are already authorized.
pub(super) struct Handlers {
    store: Store,
    answers: Arc<ByteBudget>,
    /// Held while a document above [`SMALL_BYTES`] is read, parsed or written: one after the other, so that other requests
    /// don't wait for them and only one is in memory in all its forms.
    large: Semaphore,
    /// The last probe of Redis.
    probed: Mutex<Option<Probed>>,
}

/// A stored config that was read, with the part of the budget for its response, and the permit of a large one.
struct ReadConfig<'h> {
    bytes: SecretSlice<u8>,
    answer: Option<Reservation>,
    _permit: Option<SemaphorePermit<'h>>,
}

impl Handlers {
    /// `answers` is the budget of responses that are not sent yet.
    pub(super) fn new(store: Store, answers: Arc<ByteBudget>) -> Self {
        Self { store, answers, large: Semaphore::new(1), probed: Mutex::default() }
    }

    /// Reads a stored config; a large one after the others, and if the budget has room for the response. `None`: there is
    /// none. `code` is for a failure of Redis, and for a config that is too large to be read.
    async fn read(
        &self,
        peer: Peer,
        tenant: &TenantId,
        endpoint: Endpoint,
        code: ErrorCode,
    ) -> Result<Option<ReadConfig<'_>>, ApiError> {
        let read = async |most| {
            let stored = self.store.config(tenant, most).await;
            stored.map_err(|error| store_failed(endpoint, &error, code))
        };
        let size = match read(SMALL_BYTES).await? {
            StoredConfig::Absent => return Ok(None),
            StoredConfig::Bytes(bytes) => return Ok(Some(ReadConfig { bytes, answer: None, _permit: None })),
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
            StoredConfig::Absent => Ok(None),
            StoredConfig::Bytes(bytes) => Ok(Some(ReadConfig { bytes, answer, _permit: permit })),
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
}

pub(super) fn parse_tenant_id(text: Option<&str>) -> Result<TenantId, ApiError> {
    let required = || ApiError::from(ErrorCode::TenantIdRequired);
    let tenant = TenantId::parse_trimmed(text.unwrap_or_default()).map_err(|_| required())?;
    if tenant.as_str().len() > MAX_ARGUMENT_BYTES {
        return Err(required().with_message(format!("must have at most {MAX_ARGUMENT_BYTES} bytes")));
    }
    Ok(tenant)
}

fn invalid_json(error: &NotJson) -> ApiError {
    ApiError::from(ErrorCode::InvalidJson).with_message(format!("the body {error}"))
}

fn too_many_values() -> ApiError {
    ApiError::from(ErrorCode::PayloadTooLarge).with_message("the body has too many values")
}

/// Logs that what is stored as a config is none.
fn log_invalid_config(tenant: &TenantId, error: &dyn std::fmt::Display) {
    let error = shortened(error.to_string());
    warn!(tenant = tenant.as_str(), error, "stored config violates the runtime contract");
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
