//! HTTP: probes and metrics on one port, the contract's admin routes on another. The only room that imports `warp`.
//!
//! A request's way: [`server`] -> [`routes`] -> [`endpoint`] -> [`auth`] -> [`body`] -> store -> [`answer`] ->
//! [`observe`].

mod answer;
mod auth;
mod body;
pub mod endpoint;
mod limits;
mod observe;
pub mod openapi;
pub mod probes;
mod routes;
mod server;
mod tls;

pub use auth::AUDIENCE;
pub use limits::Limits;
pub use server::{Server, ServerError};
pub use tls::TlsError;

/// Who may call the admin routes.
#[derive(Clone)]
pub enum Access {
    /// Whoever the API server lets.
    Kubernetes(kube::Client),
    /// Anybody.
    Open,
}
