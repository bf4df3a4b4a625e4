//! Errors that the contract's table does not list, and failures of Redis.

use local_cluster::RedisOptions;
use runtime_operator::store::PERMISSIONS;
use serde_json::json;
use test_support::World;

use crate::client::{Admin, config, open, raw, send};

const DID: &str = "+15551234567";
const LOOKUP: &str = "/dids/+15551234567";

#[tokio::test]
async fn unknown_routes_and_methods_get_json_errors() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    for path in [
        "",
        "/",
        "/nope",
        "/tenants/acme/publish-from-tenant",
        "/dids",
        "/tenants/acme",
        "/dids/+1555/x",
        "/tenants/a/b/config",
        "/Health",
    ] {
        assert_eq!(
            admin.get(path).await.rejected(404, "not_found"),
            json!({ "error": "not_found" }),
            "{path}"
        );
    }
    let outside =
        raw(admin.address(), b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(
        outside.starts_with("HTTP/1.1 404 ") && outside.ends_with("{\"error\":\"not_found\"}"),
        "{outside}"
    );

    for (method, path, allow) in [
        ("DELETE", LOOKUP, "GET, HEAD"),
        ("POST", LOOKUP, "GET, HEAD"),
        ("PUT", "/tenants/acme/config", "GET, HEAD, POST"),
        ("PATCH", "/dids/map", "POST"),
        ("POST", "/tenants/acme/quick-replies", "GET, HEAD, PUT"),
        ("GET", "/dids/unmap", "POST"),
        ("OPTIONS", "/health", "GET, HEAD"),
        ("BREW", "/openapi.json", "GET, HEAD"),
    ] {
        let response = send(admin.request(method, path)).await;
        response.rejected(405, "method_not_allowed");
        assert_eq!(response.headers["allow"], allow, "{method} {path}");
    }
    let head = send(admin.request("HEAD", "/health")).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    world.finish().await;
}

#[tokio::test]
async fn a_body_must_be_json_and_be_declared_as_json() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);
    let body = json!({ "didE164": DID, "tenantId": "acme" }).to_string();
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "application/json; charset=utf-16"),
        ("content-encoding", "gzip"),
    ] {
        let request = admin.request("POST", "/dids/map").header(name, value).body(body.clone());
        send(request).await.rejected(415, "unsupported_media_type");
    }
    for broken in ["", "{", "{\"didE164\":}", "{} {}", "{'didE164':1}", "nul", "\"\\ud800\""] {
        for path in ["/dids/map", "/dids/unmap", "/tenants/acme/config"] {
            let rejected = admin.post_text(path, broken).await.rejected(400, "invalid_json");
            assert!(rejected["message"].as_str().unwrap().contains("must be JSON"), "{rejected}");
        }
    }
    // A byte order mark before the JSON is not part of it.
    admin.post_text("/dids/map", "\u{feff}{}").await.rejected(400, "did_required");
    admin.post_text("/tenants/acme/config", format!("\u{feff}{}", config("acme", &[DID]))).await.ok();
    assert_eq!(world.config_text("acme").await.unwrap(), config("acme", &[DID]).to_string());
    world.delete_key("tenantcfg:acme").await;
    admin.post_text("/dids/map", &b"{\"didE164\":\"\xff\"}"[..]).await.rejected(400, "invalid_json");
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    for kind in [None, Some("application/json; charset=UTF-8"), Some("application/vnd.x+json")] {
        let request = admin.request("POST", "/dids/map").body(body.clone());
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        send(request).await.ok();
    }
    world.close().await;
}

#[tokio::test]
async fn a_body_is_limited_in_nesting() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let nested = |levels: usize| {
        let text = config("acme", &[DID]).to_string();
        text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(levels), "]".repeat(levels)), 1)
    };
    for levels in [127, 100_000] {
        admin.post_text("/tenants/acme/config", nested(levels)).await.rejected(400, "invalid_json");
    }
    let bomb = "[".repeat(60_000);
    admin.post_text("/dids/map", bomb).await.rejected(400, "invalid_json");

    // In a response the config is nested one level deeper, and must still be parsable.
    for response in
        [admin.post_text("/tenants/acme/config", nested(126)).await, admin.get("/tenants/acme/config").await]
    {
        assert!(response.status == 200 && response.text.contains(&"[".repeat(126)), "{response:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_body_is_limited_to_ten_megabytes() {
    const MAX: usize = 10 * 1024 * 1024;
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let sized = |size: usize| {
        let mut text = config("acme", &[DID]).to_string();
        let padding = size - text.len() - r#","x":"""#.len();
        text.truncate(text.len() - 1);
        format!(r#"{text},"x":"{}"}}"#, "p".repeat(padding))
    };
    assert_eq!(sized(MAX).len(), MAX);

    admin.post_text("/tenants/acme/config", sized(MAX + 1)).await.rejected(413, "payload_too_large");
    let head = "POST /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let chunked = format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", MAX + 1, sized(MAX + 1));
    let response = raw(admin.address(), chunked.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 413 ") && response.contains("payload_too_large"), "{response}");
    assert_eq!(world.keys("tenantcfg:*").await, Vec::<String>::new());

    admin.post_text("/tenants/acme/config", sized(MAX)).await.ok();
    assert_eq!(world.config_text("acme").await.unwrap().len(), MAX);
    assert_eq!(admin.get("/tenants/acme/config").await.ok()["config"]["tenantId"], "acme");
    // A client that expects a 100 gets the error before it sends the body.
    let expects = format!(
        "POST /api/admin/runtime/tenants/acme/config HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        MAX + 1
    );
    let response = raw(admin.address(), expects.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 413 ") && response.contains("payload_too_large"), "{response}");
    world.finish().await;
}

#[tokio::test]
async fn an_unparsable_stored_config_is_a_failed_read_and_not_shown() {
    let world = World::new().await;
    let operator = open(&world).start().await;
    let admin = Admin::of(&operator);
    for stored in ["", "{", "[]", r#"{"webhookSecret":"canary"}"#, "canary"] {
        world.set_key("tenantcfg:acme", stored).await;
        let response = admin.get("/tenants/acme/config").await;
        response.rejected(500, "runtime_config_read_failed");
        assert!(!response.text.contains("canary"), "{response:?}");
    }
    assert!(!operator.logs().contains("canary"));
    world.finish().await;
}

#[tokio::test]
async fn without_redis_each_route_fails_with_its_own_code_and_recovers() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);
    admin.map(DID, "acme").await.ok();
    world.redis().kill().await.unwrap();

    admin.get(LOOKUP).await.rejected(500, "runtime_lookup_failed");
    admin.get("/tenants/acme/config").await.rejected(500, "runtime_config_read_failed");
    let quick_replies = "/tenants/acme/quick-replies";
    admin.get(quick_replies).await.rejected(500, "runtime_quick_replies_read_failed");
    let none = json!({ "quickReplies": [] });
    admin.put(quick_replies, none).await.rejected(500, "runtime_quick_replies_write_failed");
    admin.map(DID, "acme").await.rejected(500, "runtime_map_failed");
    admin.unmap(DID).await.rejected(500, "runtime_unmap_failed");
    admin.publish(&config("acme", &[DID])).await.rejected(500, "runtime_publish_failed");
    // A probe of Redis counts for a second.
    let health = world
        .wait("the next probe fails", || async {
            let health = admin.get("/health").await;
            if health.status == 503 { Ok(health) } else { Err(format!("{health:?}")) }
        })
        .await;
    let body = health.body();
    assert_eq!(
        [&body["ok"], &body["error"], &body["status"], &body["redis"]],
        [&json!(false), &json!("RedisUnreachable"), &json!("degraded"), &json!({ "connected": false })]
    );
    assert_eq!(body.get("latencyMs"), None);
    // An invalid request is rejected without Redis.
    admin.map("12", "acme").await.rejected(400, "invalid_did_e164");

    world.redis().restart().await.unwrap();
    world
        .wait("the routes work again", || async {
            let response = admin.map(DID, "acme").await;
            if response.status == 200 { Ok(()) } else { Err(format!("{response:?}")) }
        })
        .await;
    assert_eq!(admin.get(LOOKUP).await.ok()["tenantId"], "acme");
    world.close().await;
}

#[tokio::test]
async fn the_documented_redis_permissions_are_enough_for_every_route() {
    let world = World::with_redis(RedisOptions::default().user("operator", PERMISSIONS)).await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);

    admin.get("/health").await.ok();
    admin.publish(&config("acme", &[DID])).await.ok();
    admin.map(DID, "acme").await.ok();
    admin.get(LOOKUP).await.ok();
    admin.get("/tenants/acme/config").await.ok();
    admin.unmap(DID).await.ok();
    world.close().await;
}
