//! The settings of the admin routes, and the access that follows from them.

use std::path::PathBuf;

use super::browsers::Origin;
use crate::http::ListenAddress;

/// The settings of the admin routes.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// The address to serve them on.
    pub addr: ListenAddress,
    /// False: every route responds 503 `runtime_admin_disabled`.
    pub enabled: bool,
    /// True: `includeSecrets` adds the webhook secret to a response.
    pub allow_secret_read: bool,
    /// The authentication of callers.
    pub auth: AdminAuth,
    /// The file with the keys of [`AdminAuth::Key`].
    pub key_file: Option<PathBuf>,
    /// The origins whose pages may call the routes.
    pub origins: Vec<Origin>,
    /// The files with the certificate chain and the key; none: plain HTTP.
    pub tls: Option<(PathBuf, PathBuf)>,
}

/// The authentication of callers of the admin routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAuth {
    /// Bearer tokens, which the API server reviews.
    Kubernetes,
    /// The keys of a file.
    Key,
    /// None: every client that reaches the address is served.
    None,
}

/// Decides which callers may use the admin routes.
#[derive(Clone)]
pub enum Access {
    /// Callers with a bearer token that the API server's TokenReview and SubjectAccessReview accept.
    Kubernetes(kube::Client),
    /// Callers with a key of this file.
    Key(PathBuf),
    /// Every caller.
    Open,
}
