//! The contract's admin routes over HTTP.
//!
//! A request passes through [`server`] -> [`routes`] -> [`endpoint`] -> [`auth`] -> [`body`] -> [`handlers`] ->
//! [`response`] -> [`access_log`].

mod access;
mod access_log;
mod auth;
mod body;
mod cache;
pub mod endpoint;
mod handlers;
mod limits;
pub mod openapi;
mod response;
mod routes;
mod server;
mod settings;
mod tls;

pub use access::Access;
pub use auth::AUDIENCE;
pub use limits::Limits;
pub use server::{Server, ServerError};
pub use settings::{AdminAuth, AdminSettings};
pub use tls::TlsError;
