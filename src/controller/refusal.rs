//! Classifies a failed write to the API server: outdated, in need of a change of the object, or transient.
//!
//! A code alone says nothing: a proxy, a load balancer or an admission policy on the way answers with the same ones.

use kube::core::Status;

/// The meaning of an error of a request to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The API server says that the object is gone, or has changed since it was read. A watch will show it.
    Outdated,
    /// The object can't be written until it is changed: its schema refuses it, or it is too large.
    NeedsChange,
    /// It may succeed later: no response, an overloaded server, a policy, a missing permission, an answer of something else than the
    /// API server.
    Transient,
}

/// The reason that kube gives to a body that is no `Status` (its client's `handle_api_errors`).
const NO_STATUS: &str = "Failed to parse error data";

/// True for a response of the API server itself: the body is a `Status`, and no page of a proxy on the way.
#[must_use]
pub fn is_from_api_server(status: &Status) -> bool {
    status.reason != NO_STATUS
}

/// True where the API server itself says that the object does not exist.
#[must_use]
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if is_from_api_server(status) && status.is_not_found())
}

impl Refusal {
    /// The meaning of the error of a write.
    #[must_use]
    pub fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Transient };
        if is_too_large(status) {
            return Self::NeedsChange;
        }
        match status.code {
            _ if !is_from_api_server(status) => Self::Transient,
            404 | 409 => Self::Outdated,
            422 if is_by_schema(status) => Self::NeedsChange,
            _ => Self::Transient,
        }
    }
}

/// True where the API server, whatever is before it, or etcd refuses an object for its size.
fn is_too_large(status: &Status) -> bool {
    status.code == 413
        || ["etcdserver: request is too large", "trying to send message larger than max"]
            .iter()
            .any(|text| status.message.contains(text))
}

/// True where the schema or a rule of the CRD refuses an object. A policy and a webhook refuse with the same code, and may
/// change their mind.
fn is_by_schema(status: &Status) -> bool {
    status.is_invalid()
        && status.message.contains(" is invalid: ")
        && !status.message.contains("denied request")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u16, reason: &str, message: &str) -> Refusal {
        Refusal::of(&kube::Error::Api(Status::failure(message, reason).with_code(code).boxed()))
    }

    #[test]
    fn an_object_that_is_gone_or_has_changed_is_one_that_the_api_server_says_so_of() {
        assert_eq!(refusal(404, "NotFound", "runtimetenants \"acme\" not found"), Refusal::Outdated);
        assert_eq!(refusal(409, "Conflict", "the object has been modified"), Refusal::Outdated);
        for code in [404, 409] {
            assert_eq!(refusal(code, NO_STATUS, "<html></html>"), Refusal::Transient, "{code} of a proxy");
        }
    }

    #[test]
    fn a_schema_and_a_size_wait_for_a_change_and_a_policy_does_not() {
        let invalid = "RuntimeTenant.runtime.veralux.io \"acme\" is invalid: spec.dids: Invalid value: \"x\"";
        assert_eq!(refusal(422, "Invalid", invalid), Refusal::NeedsChange);
        assert_eq!(refusal(413, "RequestEntityTooLarge", "limit is 3145728"), Refusal::NeedsChange);
        assert_eq!(refusal(413, NO_STATUS, "<html></html>"), Refusal::NeedsChange, "a proxy's limit");
        assert_eq!(refusal(500, "InternalError", "etcdserver: request is too large"), Refusal::NeedsChange);
        let policy = "runtimetenants.runtime.veralux.io \"acme\" is forbidden: ValidatingAdmissionPolicy 'freeze' with \
                      binding 'freeze' denied request: not now";
        assert_eq!(refusal(422, "Invalid", policy), Refusal::Transient);
        let webhook = "admission webhook \"freeze.example.com\" denied request: spec is invalid: not now";
        assert_eq!(refusal(422, "Invalid", webhook), Refusal::Transient);
    }

    #[test]
    fn everything_else_is_transient() {
        for (code, reason) in
            [(401, "Unauthorized"), (403, "Forbidden"), (429, "TooManyRequests"), (500, "InternalError")]
        {
            assert_eq!(refusal(code, reason, "no"), Refusal::Transient, "{code}");
        }
        assert_eq!(Refusal::of(&kube::Error::LinesCodecMaxLineLengthExceeded), Refusal::Transient);
    }
}
