//! The description of the admin routes as OpenAPI 3.1, generated from the tables that the routes use.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::endpoint::Endpoint;
use crate::contract::routes::{ADMIN_PREFIX, ErrorCode};
use crate::contract::{QUICK_REPLIES, config_members_schema, config_schema, did_schema};
use crate::store::{Facts, MAX_QUESTIONS};

/// White space as defined by JavaScript's `\s`, for use inside a character class.
const SPACE: &str = r"\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";

/// The document that `GET /api/admin/runtime/openapi.json` returns.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for endpoint in Endpoint::ALL {
        let path = paths.entry(path(endpoint)).or_insert_with(|| json!({}));
        path[endpoint.method().as_str().to_ascii_lowercase()] = operation(endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "runtime-operator admin routes",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Look up what the voice runtime reads from Redis, and publish, map and unmap by hand what no \
                            RuntimeTenant holds. Every error response is {\"error\": code}; `HEAD` is accepted in \
                            place of `GET`.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": [] }, { "key": [] }],
        "paths": paths,
        "components": components(),
    })
}

/// The path with `{name}` in place of `:name`.
fn path(endpoint: Endpoint) -> String {
    let segments = endpoint.template().split('/').map(|segment| match segment.strip_prefix(':') {
        Some(name) => format!("{{{name}}}"),
        None => segment.to_owned(),
    });
    format!("{ADMIN_PREFIX}{}", segments.collect::<Vec<_>>().join("/"))
}

fn operation(endpoint: Endpoint) -> Value {
    let (id, summary) = match endpoint {
        Endpoint::PublishConfig => {
            ("publishConfig", "Store a config under its tenant's key, without mapping numbers")
        }
        Endpoint::ReadConfig => ("readConfig", "Read a tenant's config, without its webhook secret"),
        Endpoint::ReadQuickReplies => ("readQuickReplies", "Read the quick replies of a tenant's config"),
        Endpoint::WriteQuickReplies => {
            ("writeQuickReplies", "Replace the quick replies of a tenant's config, and nothing else of it")
        }
        Endpoint::MapDid => ("mapDid", "Map a number to a tenant id, whether or not the tenant has a config"),
        Endpoint::UnmapDid => ("unmapDid", "Remove a number's mapping, and return its tenant id"),
        Endpoint::LookUpDid => ("lookUpDid", "Return the tenant id that a number is mapped to"),
        Endpoint::Health => ("health", "Report whether Redis replies, and its latency"),
        Endpoint::Inspect => (
            "inspect",
            "Report what Redis holds for numbers and tenants, without secrets, for the command line",
        ),
        Endpoint::OpenApi => ("describe", "Return this document"),
    };
    let mut operation = json!({
        "operationId": id,
        "summary": summary,
        "parameters": parameters(endpoint),
        "responses": responses(endpoint),
    });
    if endpoint == Endpoint::Health {
        operation["security"] = json!([]);
    }
    if let Some(schema) = request_schema(endpoint) {
        let content = json!({ "application/json": { "schema": schema } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn parameters(endpoint: Endpoint) -> Value {
    let mut parameters = Vec::new();
    if endpoint.template().contains(":tenantId") {
        let description = "The tenant id, percent-encoded; white space at both ends is removed.";
        parameters.push(parameter("tenantId", "path", description, &tenant_text()));
    }
    if endpoint.template().contains(":didE164") {
        let description = "The number in E.164, with the plus sign as `+` or `%2B`; white space is removed.";
        parameters.push(parameter("didE164", "path", description, &did_text()));
    }
    if endpoint.shows_config() {
        let description = "`1`, `true`, `yes`, `on` or `required`, in any case: includes the webhook secret if the settings allow \
                           it. Needs a separate permission.";
        parameters.push(parameter("includeSecrets", "query", description, &json!({ "type": "string" })));
    }
    if endpoint == Endpoint::Inspect {
        parameters.extend(inspect_parameters());
    }
    let description = "Returned in the response and written to the logs. Generated if it is absent, longer than 128 \
                       characters, or not visible ASCII.";
    parameters.push(parameter("x-request-id", "header", description, &json!({ "type": "string" })));
    parameters.into()
}

fn parameter(name: &str, place: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "description": description, "schema": schema })
}

fn inspect_parameters() -> [Value; 5] {
    let list = |items: Value| json!({ "type": "array", "maxItems": MAX_QUESTIONS, "items": items });
    let truth = json!({ "type": "string" });
    [
        parameter(
            "did",
            "query",
            "Numbers; the tenants to which they are mapped are reported too.",
            &list(did_text()),
        ),
        parameter("tenant", "query", "Tenant ids.", &list(tenant_text())),
        parameter("documents", "query", "Includes the config of one tenant, with `***` for secrets.", &truth),
        parameter("server", "query", "Includes the state of the server, and the epochs.", &truth),
        parameter("rehearse", "query", "Rehearses a publish, which changes nothing.", &truth),
    ]
}

/// The schema of a text that is not empty when trimmed.
fn tenant_text() -> Value {
    json!({ "type": "string", "minLength": 1, "pattern": format!("[^{SPACE}]"), "examples": ["acme"] })
}

/// The schema of a phone number that is E.164 without its white space.
fn did_text() -> Value {
    let pattern = format!(r"^[{SPACE}]*\+[{SPACE}]*[1-9]([{SPACE}]*[0-9]){{1,14}}[{SPACE}]*$");
    json!({ "type": "string", "pattern": pattern, "examples": ["+1 555 123 4567"] })
}

fn request_schema(endpoint: Endpoint) -> Option<Value> {
    let members = match endpoint {
        Endpoint::PublishConfig => {
            return Some(json!({ "$ref": "#/components/schemas/RuntimeTenantConfig" }));
        }
        Endpoint::WriteQuickReplies => json!({ "quickReplies": quick_replies_schema() }),
        Endpoint::MapDid => json!({ "didE164": did_text(), "tenantId": tenant_text() }),
        Endpoint::UnmapDid => json!({ "didE164": did_text() }),
        _ => return None,
    };
    Some(object_with(&members))
}

/// The schema of an object that has all these members, and may have others.
fn object_with(members: &Value) -> Value {
    let required: Vec<_> = members.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    json!({ "type": "object", "required": required, "properties": members })
}

fn success_schema(endpoint: Endpoint) -> Value {
    let shown = json!({ "$ref": "#/components/schemas/ShownConfig" });
    let ok = json!({ "const": "ok" });
    let text = json!({ "type": "string" });
    match endpoint {
        Endpoint::PublishConfig => object_with(&json!({ "status": ok, "config": shown })),
        Endpoint::ReadConfig => object_with(&json!({ "config": shown })),
        Endpoint::ReadQuickReplies => object_with(&json!({
            "quickReplies": quick_replies_schema(),
            "runtimeConfigMissing": { "type": "boolean", "description": "True if the tenant has no config." },
        })),
        Endpoint::WriteQuickReplies => {
            object_with(&json!({ "status": ok, "quickReplies": quick_replies_schema() }))
        }
        Endpoint::MapDid => {
            let mut schema = object_with(&json!({ "status": ok }));
            schema["properties"]["warning"] = json!({
                "const": ErrorCode::RuntimeConfigNotFound.as_str(),
                "description": "The tenant has no config: calls to the number fail until it has one.",
            });
            schema
        }
        Endpoint::UnmapDid => object_with(&json!({ "status": ok, "tenantId": text })),
        Endpoint::LookUpDid => object_with(&json!({ "didE164": did_schema(), "tenantId": text })),
        Endpoint::Health => {
            let mut schema = object_with(&json!({ "ok": { "const": true }, "latencyMs": milliseconds() }));
            add_health_members(&mut schema, "ok");
            schema
        }
        Endpoint::Inspect => {
            let settings = SchemaSettings::draft2020_12().with(|settings| {
                settings.inline_subschemas = true;
                settings.meta_schema = None;
            });
            settings.into_generator().into_root_schema_for::<Facts>().to_value()
        }
        Endpoint::OpenApi => json!({ "type": "object", "required": ["openapi", "info", "paths"] }),
    }
}

fn milliseconds() -> Value {
    json!({ "type": "integer", "minimum": 0 })
}

/// Adds the members that only a caller gets whose token or key is valid.
fn add_health_members(schema: &mut Value, status: &str) {
    let redis = json!({
        "type": "object",
        "required": ["connected"],
        "properties": { "connected": { "type": "boolean" }, "latencyMs": milliseconds() },
    });
    schema["properties"]["status"] = json!({ "const": status });
    schema["properties"]["redis"] = redis;
    schema["properties"]["checkedAt"] = json!({ "type": "string", "format": "date-time" });
}

fn quick_replies_schema() -> Value {
    config_schema()["properties"][QUICK_REPLIES].clone()
}

/// The error codes of a route, the contract's own first.
#[must_use]
pub fn codes(endpoint: Endpoint) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    if let Some(route) = endpoint.route() {
        codes.extend(route.refusals);
        codes.push(route.failure);
    }
    if endpoint.writes() {
        codes.extend([
            ErrorCode::InvalidJson,
            ErrorCode::RequestTimeout,
            ErrorCode::PayloadTooLarge,
            ErrorCode::UnsupportedMediaType,
        ]);
    }
    if endpoint != Endpoint::Health {
        codes.push(ErrorCode::Forbidden);
    }
    codes.extend([
        ErrorCode::Unauthorized,
        ErrorCode::AdminAuthRequired,
        ErrorCode::AdminAuthInvalid,
        ErrorCode::AdminForbidden,
        ErrorCode::RateLimited,
        ErrorCode::OriginNotAllowed,
        ErrorCode::RuntimeAdminDisabled,
        ErrorCode::Overloaded,
    ]);
    codes
}

fn responses(endpoint: Endpoint) -> Value {
    let mut responses = Map::new();
    responses.insert("200".to_owned(), response("Done", &success_schema(endpoint)));
    let mut by_status = BTreeMap::<u16, Vec<&str>>::new();
    for code in codes(endpoint) {
        by_status.entry(code.status()).or_default().push(code.as_str());
    }
    for (status, codes) in by_status {
        let mut schema =
            json!({ "$ref": "#/components/schemas/ApiError", "properties": { "error": { "enum": codes } } });
        if endpoint.route().and_then(|route| route.unhealthy) == Some(status) {
            schema = json!({ "anyOf": [schema, { "$ref": "#/components/schemas/Unhealthy" }] });
        }
        let mut response = response(&codes.join(", "), &schema);
        match status {
            401 => response["headers"]["WWW-Authenticate"] = json!({ "schema": { "const": "Bearer" } }),
            503 => response["headers"]["Retry-After"] = json!({ "schema": { "type": "string" } }),
            _ => {}
        }
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

fn response(description: &str, schema: &Value) -> Value {
    json!({
        "description": description,
        "headers": { "x-request-id": { "required": true, "schema": { "type": "string" } } },
        "content": { "application/json": { "schema": schema } },
    })
}

fn components() -> Value {
    let text = || json!({ "type": "string" });
    let violation = object_with(&json!({
        "code": { "type": "string", "description": "The kind of violation." },
        "path": {
            "type": "array",
            "items": { "type": ["string", "integer"] },
            "description": "The place in the document: names and indexes. Empty for the whole document.",
        },
        "message": { "type": "string", "description": "The rule that is violated there." },
    }));
    let by_member = json!({
        "type": "object",
        "required": ["formErrors", "fieldErrors"],
        "description": "Of invalid_quick_replies: messages by the member of the body.",
    });
    let mut error = object_with(&json!({ "error": text() }));
    for (name, schema) in [
        ("message", json!({ "type": "string", "description": "Explains the error to people." })),
        (
            "owner",
            json!({ "type": "string", "description": "namespace/name of the RuntimeTenant that holds the tenant id or number." }),
        ),
        ("details", json!({ "anyOf": [{ "type": "array", "items": violation }, by_member] })),
        ("omitted", json!({ "type": "integer", "description": "The number of further violations." })),
    ] {
        error["properties"][name] = schema;
    }
    let mut unhealthy = object_with(&json!({ "ok": { "const": false }, "error": text() }));
    add_health_members(&mut unhealthy, "degraded");
    let mut token = json!({ "type": "http", "scheme": "bearer" });
    token["description"] =
        "A token that the cluster's TokenReview accepts, for the audience of the API server or for \
                            `runtime-operator`."
            .into();
    json!({
        "schemas": {
            "RuntimeTenantConfig": config_schema(),
            "ShownConfig": config_members_schema(),
            "ApiError": error,
            "Unhealthy": unhealthy,
        },
        "securitySchemes": {
            "token": token,
            "key": {
                "type": "apiKey",
                "in": "header",
                "name": "x-admin-key",
                "description": "A key of the key file; it may also be sent as a bearer token.",
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::routes::Method;

    #[test]
    fn every_route_is_described_with_all_its_error_codes() {
        let document = document();
        for endpoint in Endpoint::ALL {
            let operation =
                &document["paths"][path(endpoint)][endpoint.method().as_str().to_ascii_lowercase()];
            for code in endpoint.route().into_iter().flat_map(|route| route.refusals) {
                let described = operation["responses"][code.status().to_string()].to_string();
                assert!(
                    described.contains(&format!("\"{}\"", code.as_str())),
                    "{endpoint:?} {code:?}: {described}"
                );
            }
            assert_eq!(operation.get("requestBody").is_some(), endpoint.method() != Method::Get);
        }
    }
}
