//! The contract's admin routes over HTTP.
//!
//! A request passes through [`server`] -> [`routes`] -> [`endpoint`] -> [`auth`] -> [`body`] -> [`handlers`] ->
//! [`response`] -> [`access_log`].

mod access_log;
mod auth;
mod body;
mod browsers;
pub mod endpoint;
mod handlers;
pub mod limits;
pub mod openapi;
mod response;
mod routes;
mod server;
mod settings;
mod tls;

pub use auth::{AUDIENCE, KeyFileNotice, KeyLineError, Keys, NewKey, Role};
pub use browsers::{InvalidOrigin, Origin};
pub use limits::Limits;
pub use server::{Server, ServerError};
pub use settings::{Access, AdminAuth, AdminSettings};
pub use tls::TlsError;
