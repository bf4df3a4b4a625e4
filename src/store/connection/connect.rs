//! Connects to the primary: finds its address, opens a connection, and checks the server.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;

use super::error::StoreError;
use super::handshake::handshake;
use super::open::open;
use super::push_buffer::PushBuffer;
use super::sentinel::{NamedPrimary, primary_address};
use super::settings::Endpoint;

/// Returns a new connection to the primary, logged in and checked, and the primary's address.
pub(in crate::store) async fn connect(
    endpoint: &Endpoint,
    pushes: Option<&PushBuffer>,
) -> Result<(MultiplexedConnection, Arc<str>), StoreError> {
    let (mut connection, address, named) = open_at(endpoint, pushes).await?;
    let checked = handshake(&mut connection, named.is_some()).await;
    checked.map_err(|error| error.into_store_error(&address))?;
    if let Some(named) = named {
        endpoint.set_current_primary((named.host, named.port));
    }
    Ok((connection, address.into()))
}

/// Returns a new connection that is logged in and no more: for who may send few commands, and only reads.
pub(in crate::store) async fn open_unchecked(
    endpoint: &Endpoint,
) -> Result<(MultiplexedConnection, Arc<str>), StoreError> {
    let (connection, address, _) = open_at(endpoint, None).await?;
    Ok((connection, address.into()))
}

/// Opens a connection to the server of the URL, or to the primary that the Sentinels name.
async fn open_at(
    endpoint: &Endpoint,
    pushes: Option<&PushBuffer>,
) -> Result<(MultiplexedConnection, String, Option<NamedPrimary>), StoreError> {
    let (client, address, named) = if let Some(service) = endpoint.sentinel_service() {
        let named = primary_address(endpoint, service).await?;
        (endpoint.client_at(&named.host, named.port)?, named.address(), Some(named))
    } else {
        (endpoint.client()?, endpoint.address(), None)
    };
    let opened = open(&client, pushes).await;
    let connection = opened.map_err(|error| StoreError::from_redis(&error, &address))?;
    Ok((connection, address, named))
}
