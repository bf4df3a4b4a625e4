//! Connects to the primary: finds its address, opens a connection, and checks the server.

use std::sync::Arc;

use redis::aio::MultiplexedConnection;

use super::error::StoreError;
use super::handshake::handshake;
use super::open::open;
use super::push_buffer::PushBuffer;
use super::sentinel::primary_address;
use super::settings::Endpoint;

/// Returns a new connection to the primary, logged in and checked, and the primary's address.
pub(in crate::store) async fn connect(
    endpoint: &Endpoint,
    pushes: Option<&PushBuffer>,
) -> Result<(MultiplexedConnection, Arc<str>), StoreError> {
    let sentinel_service = endpoint.sentinel_service();
    let (client, address) = if let Some(service) = sentinel_service {
        let (host, port) = primary_address(endpoint, service).await?;
        (endpoint.client_at(&host, port)?, format!("{host}:{port}"))
    } else {
        (endpoint.client()?, endpoint.address())
    };
    let opened = open(&client, pushes).await;
    let mut connection = opened.map_err(|error| StoreError::from_redis(&error, &address))?;
    let checked = handshake(&mut connection, sentinel_service.is_some()).await;
    checked.map_err(|error| error.into_store_error(&address))?;
    Ok((connection, address.into()))
}
