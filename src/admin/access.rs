//! The authentication of callers.

/// Decides which callers may use the admin routes.
#[derive(Clone)]
pub enum Access {
    /// Callers with a bearer token that the API server's TokenReview and SubjectAccessReview accept.
    Kubernetes(kube::Client),
    /// Every caller.
    Open,
}
