//! The admin routes as a table: what each answers when it succeeds, refuses and fails.

/// What every admin route's path begins with.
pub const ADMIN_PREFIX: &str = "/api/admin/runtime";

/// An answer that is not a success: its `error` member and its HTTP status. The only place that knows either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// The tenant id is empty after trimming.
    TenantIdRequired,
    /// The body is no config that the runtime accepts; `details` says where and why.
    InvalidRuntimeConfig,
    /// The path names one tenant, the body another.
    TenantIdMismatch,
    /// Redis did not take the config.
    RuntimePublishFailed,
    /// The tenant has no config.
    RuntimeConfigNotFound,
    /// Redis did not answer, or what it holds does not parse.
    RuntimeConfigReadFailed,
    /// The number is empty after normalisation.
    DidRequired,
    /// The number is not E.164 after normalisation.
    InvalidDidE164,
    /// Redis did not take the mapping.
    RuntimeMapFailed,
    /// The number is mapped to no tenant.
    DidUnmapped,
    /// Redis did not remove the mapping.
    RuntimeUnmapFailed,
    /// Redis did not answer a lookup.
    RuntimeLookupFailed,
    /// Something unexpected while asking Redis for its health.
    RuntimeHealthFailed,
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
    /// The token's owner may not do this.
    Forbidden,
    /// There is no such route.
    NotFound,
    /// The route exists, for other methods (`Allow` names them).
    MethodNotAllowed,
    /// The body is larger than [`MAX_BODY_BYTES`].
    PayloadTooLarge,
    /// The body says that it is not JSON.
    UnsupportedMediaType,
    /// The body did not come in time.
    RequestTimeout,
    /// More requests, or larger ones, at once than are served: the client is to come again (`Retry-After`).
    Overloaded,
}

/// The largest body of a request, in bytes: 10 MB.
pub const MAX_BODY_BYTES: u64 = 10 * 1024 * 1024;

impl ErrorCode {
    /// The text of the answer's `error` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    /// The answer's HTTP status.
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
            Self::RuntimeHealthFailed => ("runtime_health_failed", 500),
            Self::TenantManaged => ("tenant_managed", 409),
            Self::DidManaged => ("did_managed", 409),
            Self::RuntimeAdminDisabled => ("runtime_admin_disabled", 503),
            Self::InvalidJson => ("invalid_json", 400),
            Self::Unauthorized => ("unauthorized", 401),
            Self::Forbidden => ("forbidden", 403),
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
}

impl Method {
    /// The method as a request has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// One admin route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The only method it takes.
    pub method: Method,
    /// Its path after [`ADMIN_PREFIX`]; a segment that begins with `:` stands for any text.
    pub path: &'static str,
    /// The HTTP status of a success.
    pub success: u16,
    /// What a request can be refused with, in the order in which it is checked.
    pub refusals: &'static [ErrorCode],
    /// What is answered when Redis does not do its part.
    pub failure: ErrorCode,
    /// The HTTP status of `{"ok":false,"error":…}`, where a route answers that when Redis is not well.
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

/// Maps a number to a tenant id.
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

/// Removes a number's mapping, and says whose it was.
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

/// Says which tenant a number is mapped to.
pub const LOOK_UP_DID: Route = Route {
    method: Method::Get,
    path: "/dids/:didE164",
    success: 200,
    refusals: &[ErrorCode::DidRequired, ErrorCode::InvalidDidE164, ErrorCode::DidUnmapped],
    failure: ErrorCode::RuntimeLookupFailed,
    unhealthy: None,
};

/// Says whether Redis answers, and how fast.
pub const HEALTH: Route = Route {
    method: Method::Get,
    path: "/health",
    success: 200,
    refusals: &[],
    failure: ErrorCode::RuntimeHealthFailed,
    unhealthy: Some(503),
};

/// Every admin route, in the contract's order.
pub const ROUTES: [Route; 6] = [PUBLISH_CONFIG, READ_CONFIG, MAP_DID, UNMAP_DID, LOOK_UP_DID, HEALTH];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_refuses_with_a_status_of_the_clients_and_fails_with_one_of_the_servers() {
        for route in ROUTES {
            assert!(route.refusals.iter().all(|refusal| (400..500).contains(&refusal.status())), "{route:?}");
            assert_eq!(route.failure.status(), 500, "{route:?}");
            assert_eq!(route.success, 200, "{route:?}");
        }
    }

    #[test]
    fn no_two_routes_answer_to_the_same_request() {
        for (index, route) in ROUTES.iter().enumerate() {
            assert!(
                !ROUTES[..index].iter().any(|other| (other.method, other.path) == (route.method, route.path))
            );
        }
    }
}
