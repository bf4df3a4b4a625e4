//! The admin routes as a table: the responses of each to success, refusal and failure.

/// The prefix of every admin route's path.
pub const ADMIN_PREFIX: &str = "/api/admin/runtime";

/// An unsuccessful response: its `error` member and its HTTP status. No other place knows either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// The tenant id is empty after trimming.
    TenantIdRequired,
    /// The body is no config that the runtime accepts; `details` lists the violations.
    InvalidRuntimeConfig,
    /// The path names one tenant, the body another.
    TenantIdMismatch,
    /// The config could not be written to Redis.
    RuntimePublishFailed,
    /// The tenant has no config.
    RuntimeConfigNotFound,
    /// Redis could not be read, or the stored config does not parse.
    RuntimeConfigReadFailed,
    /// The number is empty after normalisation.
    DidRequired,
    /// The number is not E.164 after normalisation.
    InvalidDidE164,
    /// The mapping could not be written to Redis.
    RuntimeMapFailed,
    /// The number is mapped to no tenant.
    DidUnmapped,
    /// The mapping could not be removed from Redis.
    RuntimeUnmapFailed,
    /// Redis could not be read for a lookup.
    RuntimeLookupFailed,
    /// Redis could not be read for an inspection.
    RuntimeInspectFailed,
    /// The health check failed unexpectedly.
    RuntimeHealthFailed,
    /// The body's quick replies violate the contract; `details` lists the violations.
    InvalidQuickReplies,
    /// With the new quick replies the stored config would violate the contract; `details` lists the violations.
    InvalidRuntimeConfigAfterMerge,
    /// Redis could not be read, or the stored config does not parse.
    RuntimeQuickRepliesReadFailed,
    /// The quick replies could not be written to Redis, or the stored config does not parse.
    RuntimeQuickRepliesWriteFailed,
    /// A resource holds this tenant id.
    TenantManaged,
    /// A resource holds this number.
    DidManaged,
    /// `ENABLE_RUNTIME_ADMIN` is false.
    RuntimeAdminDisabled,
    /// The body is not JSON.
    InvalidJson,
    /// No valid bearer token.
    Unauthorized,
    /// The token's user may not do this.
    Forbidden,
    /// No key, or more than one.
    AdminAuthRequired,
    /// The key is not in the key file.
    AdminAuthInvalid,
    /// The key's role may not do this.
    AdminForbidden,
    /// Too many requests with a wrong key from this client (`Retry-After`).
    RateLimited,
    /// The request comes from a page of an origin that is not listed.
    OriginNotAllowed,
    /// There is no such route.
    NotFound,
    /// The route exists, for other methods (`Allow` names them).
    MethodNotAllowed,
    /// The body is larger than [`MAX_BODY_BYTES`].
    PayloadTooLarge,
    /// The body's content type is not JSON.
    UnsupportedMediaType,
    /// The body did not arrive in time.
    RequestTimeout,
    /// Too many or too large concurrent requests: the client must retry later (`Retry-After`).
    Overloaded,
}

/// The largest body of a request, in bytes: 10 MB.
pub const MAX_BODY_BYTES: u64 = 10 * 1024 * 1024;

impl ErrorCode {
    /// The text of the response's `error` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The response's HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        self.parts().1
    }

    const fn parts(self) -> (&'static str, u16) {
        match self {
            Self::TenantIdRequired => ("tenant_id_required", 400),
            Self::InvalidRuntimeConfig => ("invalid_runtime_config", 400),
            Self::TenantIdMismatch => ("tenant_id_mismatch", 400),
            Self::RuntimePublishFailed => ("runtime_publish_failed", 500),
            Self::RuntimeConfigNotFound => ("runtime_config_not_found", 404),
            Self::RuntimeConfigReadFailed => ("runtime_config_read_failed", 500),
            Self::DidRequired => ("did_required", 400),
            Self::InvalidDidE164 => ("invalid_did_e164", 400),
            Self::RuntimeMapFailed => ("runtime_map_failed", 500),
            Self::DidUnmapped => ("did_unmapped", 404),
            Self::RuntimeUnmapFailed => ("runtime_unmap_failed", 500),
            Self::RuntimeLookupFailed => ("runtime_lookup_failed", 500),
            Self::RuntimeInspectFailed => ("runtime_inspect_failed", 500),
            Self::RuntimeHealthFailed => ("runtime_health_failed", 500),
            Self::InvalidQuickReplies => ("invalid_quick_replies", 400),
            Self::InvalidRuntimeConfigAfterMerge => ("invalid_runtime_config_after_merge", 400),
            Self::RuntimeQuickRepliesReadFailed => ("runtime_quick_replies_read_failed", 500),
            Self::RuntimeQuickRepliesWriteFailed => ("runtime_quick_replies_write_failed", 500),
            Self::TenantManaged => ("tenant_managed", 409),
            Self::DidManaged => ("did_managed", 409),
            Self::RuntimeAdminDisabled => ("runtime_admin_disabled", 503),
            Self::InvalidJson => ("invalid_json", 400),
            Self::Unauthorized => ("unauthorized", 401),
            Self::Forbidden => ("forbidden", 403),
            Self::AdminAuthRequired => ("admin_auth_required", 401),
            Self::AdminAuthInvalid => ("admin_auth_invalid", 401),
            Self::AdminForbidden => ("admin_forbidden", 403),
            Self::RateLimited => ("rate_limited", 429),
            Self::OriginNotAllowed => ("origin_not_allowed", 403),
            Self::NotFound => ("not_found", 404),
            Self::MethodNotAllowed => ("method_not_allowed", 405),
            Self::PayloadTooLarge => ("payload_too_large", 413),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415),
            Self::RequestTimeout => ("request_timeout", 408),
            Self::Overloaded => ("overloaded", 503),
        }
    }
}

/// The HTTP methods that the routes use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Writes; the body is JSON.
    Post,
    /// Replaces a part; the body is JSON.
    Put,
}

impl Method {
    /// The method's name in a request.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

/// One admin route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The only method that it takes.
    pub method: Method,
    /// Its path after [`ADMIN_PREFIX`]; a segment that begins with `:` stands for any text.
    pub path: &'static str,
    /// The HTTP status of a success.
    pub success: u16,
    /// The refusals of a request, in the order of the checks.
    pub refusals: &'static [ErrorCode],
    /// The response when Redis fails.
    pub failure: ErrorCode,
    /// The HTTP status of `{"ok":false,"error":…}`, where the route reports an unhealthy Redis so.
    pub unhealthy: Option<u16>,
}

/// Stores a config under its tenant's key, and nothing else.
pub const PUBLISH_CONFIG: Route = Route {
    method: Method::Post,
    path: "/tenants/:tenantId/config",
    success: 200,
    refusals: &[
        ErrorCode::TenantIdRequired,
        ErrorCode::InvalidRuntimeConfig,
        ErrorCode::TenantIdMismatch,
        ErrorCode::TenantManaged,
    ],
    failure: ErrorCode::RuntimePublishFailed,
    unhealthy: None,
};

/// Reads a tenant's config.
pub const READ_CONFIG: Route = Route {
    method: Method::Get,
    path: "/tenants/:tenantId/config",
    success: 200,
    refusals: &[ErrorCode::TenantIdRequired, ErrorCode::RuntimeConfigNotFound],
    failure: ErrorCode::RuntimeConfigReadFailed,
    unhealthy: None,
};

/// Reads the quick replies of a tenant's config.
pub const READ_QUICK_REPLIES: Route = Route {
    method: Method::Get,
    path: "/tenants/:tenantId/quick-replies",
    success: 200,
    refusals: &[ErrorCode::TenantIdRequired],
    failure: ErrorCode::RuntimeQuickRepliesReadFailed,
    unhealthy: None,
};

/// Replaces the quick replies of a tenant's config.
pub const WRITE_QUICK_REPLIES: Route = Route {
    method: Method::Put,
    path: "/tenants/:tenantId/quick-replies",
    success: 200,
    refusals: &[
        ErrorCode::TenantIdRequired,
        ErrorCode::InvalidQuickReplies,
        ErrorCode::RuntimeConfigNotFound,
        ErrorCode::InvalidRuntimeConfigAfterMerge,
        ErrorCode::TenantManaged,
    ],
    failure: ErrorCode::RuntimeQuickRepliesWriteFailed,
    unhealthy: None,
};

/// Maps a phone number to a tenant id.
pub const MAP_DID: Route = Route {
    method: Method::Post,
    path: "/dids/map",
    success: 200,
    refusals: &[
        ErrorCode::DidRequired,
        ErrorCode::InvalidDidE164,
        ErrorCode::TenantIdRequired,
        ErrorCode::DidManaged,
        ErrorCode::TenantManaged,
    ],
    failure: ErrorCode::RuntimeMapFailed,
    unhealthy: None,
};

/// Removes a phone number's mapping, and returns the tenant id to which it was mapped.
pub const UNMAP_DID: Route = Route {
    method: Method::Post,
    path: "/dids/unmap",
    success: 200,
    refusals: &[
        ErrorCode::DidRequired,
        ErrorCode::InvalidDidE164,
        ErrorCode::DidUnmapped,
        ErrorCode::DidManaged,
    ],
    failure: ErrorCode::RuntimeUnmapFailed,
    unhealthy: None,
};

/// Returns the tenant id to which a phone number is mapped.
pub const LOOK_UP_DID: Route = Route {
    method: Method::Get,
    path: "/dids/:didE164",
    success: 200,
    refusals: &[ErrorCode::DidRequired, ErrorCode::InvalidDidE164, ErrorCode::DidUnmapped],
    failure: ErrorCode::RuntimeLookupFailed,
    unhealthy: None,
};

/// Reports the health and the latency of Redis.
pub const HEALTH: Route = Route {
    method: Method::Get,
    path: "/health",
    success: 200,
    refusals: &[],
    failure: ErrorCode::RuntimeHealthFailed,
    unhealthy: Some(503),
};

/// Reports what Redis holds for some numbers and tenants, without secrets. It is the operator's own, and no part of the contract.
pub const INSPECT: Route = Route {
    method: Method::Get,
    path: "/inspect",
    success: 200,
    refusals: &[
        ErrorCode::DidRequired,
        ErrorCode::InvalidDidE164,
        ErrorCode::TenantIdRequired,
        ErrorCode::PayloadTooLarge,
    ],
    failure: ErrorCode::RuntimeInspectFailed,
    unhealthy: None,
};

/// Every admin route of the contract, in its order.
pub const ROUTES: [Route; 8] = [
    PUBLISH_CONFIG,
    READ_CONFIG,
    READ_QUICK_REPLIES,
    WRITE_QUICK_REPLIES,
    MAP_DID,
    UNMAP_DID,
    LOOK_UP_DID,
    HEALTH,
];

/// Parses a boolean in a query parameter or an environment variable: `1`, `true`, `yes`, `on`, `required` are true, `0`,
/// `false`, `no`, `off` are false, in any case.
#[must_use]
pub fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" | "required" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_a_4xx_status_and_a_failure_a_5xx_status() {
        for route in ROUTES {
            assert!(route.refusals.iter().all(|refusal| (400..500).contains(&refusal.status())), "{route:?}");
            assert_eq!(route.failure.status(), 500, "{route:?}");
            assert_eq!(route.success, 200, "{route:?}");
        }
    }

    #[test]
    fn routes_are_unique_by_method_and_path() {
        for (index, route) in ROUTES.iter().enumerate() {
            assert!(
                !ROUTES[..index].iter().any(|other| (other.method, other.path) == (route.method, route.path))
            );
        }
    }
}
