//! Requests of pages in a browser.

use test_support::World;

use crate::client::{Admin, Response, open, raw, send};

const LOOKUP: &str = "/dids/+15551234567";
const PANEL: &str = "https://panel.example.com";

async fn from(admin: &Admin, method: &str, path: &str, origin: &str) -> Response {
    send(admin.request(method, path).header("origin", origin)).await
}

#[tokio::test]
async fn only_pages_of_listed_origins_are_served() {
    let world = World::new().await;
    let origins = format!("{PANEL},http://localhost:3000");
    let admin = Admin::of(&open(&world).env("ADMIN_CORS_ORIGINS", origins).start().await);

    for (method, path, status) in
        [("OPTIONS", "/dids/map", 204), ("OPTIONS", "/nope", 204), ("GET", LOOKUP, 404)]
    {
        let response = from(&admin, method, path, PANEL).await;
        assert_eq!(response.status, status, "{response:?}");
        for (name, value) in [
            ("access-control-allow-origin", PANEL),
            ("access-control-allow-credentials", "true"),
            (
                "access-control-allow-headers",
                "authorization,content-type,x-admin-key,x-tenant-id,x-active-tenant",
            ),
            ("access-control-allow-methods", "GET,POST,PUT,PATCH,DELETE,OPTIONS"),
            ("vary", "Origin"),
        ] {
            assert_eq!(response.headers.get(name).map(String::as_str), Some(value), "{name}: {response:?}");
        }
    }
    for origin in [
        "https://evil.example.com",
        "null",
        "*",
        "https://panel.example.com:8443",
        "HTTPS://panel.example.com",
    ] {
        for (method, path) in [("GET", LOOKUP), ("POST", "/dids/map"), ("GET", "/health")] {
            let response = from(&admin, method, path, origin).await;
            response.rejected(403, "origin_not_allowed");
            assert!(!response.headers.contains_key("access-control-allow-origin"), "{response:?}");
            assert_eq!(response.headers["vary"], "Origin");
        }
        let preflight = from(&admin, "OPTIONS", "/dids/map", origin).await;
        assert_eq!(preflight.status, 204);
        assert!(!preflight.headers.contains_key("access-control-allow-origin"), "{preflight:?}");
    }
    // Tools send no origin.
    let tool = admin.get(LOOKUP).await;
    tool.rejected(404, "did_unmapped");
    assert_eq!(tool.headers["vary"], "Origin");
    world.finish().await;
}

#[tokio::test]
async fn without_listed_origins_no_page_is_served() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    from(&admin, "GET", LOOKUP, PANEL).await.rejected(403, "origin_not_allowed");
    from(&admin, "OPTIONS", LOOKUP, PANEL).await.rejected(405, "method_not_allowed");
    world.finish().await;
}

#[tokio::test]
async fn without_authentication_a_host_must_be_a_loopback_name() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let get = |host: &str| {
        format!("GET /api/admin/runtime{LOOKUP} HTTP/1.1\r\n{host}connection: close\r\n\r\n").into_bytes()
    };
    for host in ["host: evil.example.com\r\n", "host: 10.0.0.1\r\n", "host: a\r\nhost: localhost\r\n", ""] {
        let response = raw(admin.address(), &get(host)).await;
        assert!(
            response.starts_with("HTTP/1.1 403 ") && response.contains("origin_not_allowed"),
            "{response}"
        );
    }
    for host in ["host: localhost\r\n", "host: 127.0.0.1:8080\r\n", "host: [::1]\r\n"] {
        let response = raw(admin.address(), &get(host)).await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
    }
    world.finish().await;
}
