//! Logs, the audit log and metrics of requests, and the secrets that they never contain.

use std::fmt::Write;

use serde_json::json;
use test_support::World;

use crate::client::{Admin, config, open, raw, send};

const DID: &str = "+15551234567";

#[tokio::test]
async fn a_request_id_is_returned_or_generated() {
    let world = World::new().await;
    let operator = open(&world).start().await;
    let admin = Admin::of(&operator);

    let returned = send(admin.request("GET", "/health").header("x-request-id", "req/42-a")).await;
    assert_eq!(returned.headers["x-request-id"], "req/42-a");
    let generated = admin.get("/health").await.headers["x-request-id"].clone();
    assert_eq!(generated.len(), 16);
    assert_ne!(generated, admin.get("/health").await.headers["x-request-id"]);
    for odd in ["with space", &"x".repeat(129)] {
        let response = send(admin.request("GET", "/health").header("x-request-id", odd)).await;
        assert_eq!(response.headers["x-request-id"].len(), 16);
    }
    world
        .wait("the request is logged", || async {
            operator.logs().contains("req/42-a").then_some(()).ok_or_else(String::new)
        })
        .await;
    world.finish().await;
}

#[tokio::test]
async fn every_write_is_audited_and_every_request_is_logged_at_debug() {
    let world = World::new().await;
    world.exempt_all();
    let operator = open(&world).env("LOG_FORMAT", "json").start().await;
    let admin = Admin::of(&operator);

    admin.publish(&config("acme", &[DID])).await.ok();
    admin.map(DID, "acme").await.ok();
    admin.map("12", "acme").await.rejected(400, "invalid_did_e164");
    admin.unmap(DID).await.ok();
    admin.get("/dids/+15551234567").await.rejected(404, "did_unmapped");

    let lines = || {
        let logs = operator.logs();
        logs.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let of = |target: &str| lines().into_iter().filter(|line| line["target"] == target).collect::<Vec<_>>();
    let access = "runtime_operator::admin::access_log";
    world
        .wait("all requests are logged", || async {
            if of(access).len() == 5 { Ok(()) } else { Err(format!("{:?}", of(access))) }
        })
        .await;
    let audit = of("audit");
    let lines: Vec<_> = audit
        .iter()
        .map(|line| {
            json!([line["route"], line["tenant"], line["did"], line["result"], line["status"], line["user"]])
        })
        .collect();
    assert_eq!(
        lines,
        [
            json!(["/tenants/:tenantId/config", "acme", null, "ok", 200, "anonymous"]),
            json!(["/dids/map", "acme", DID, "ok", 200, "anonymous"]),
            json!(["/dids/map", null, null, "invalid_did_e164", 400, "anonymous"]),
            json!(["/dids/unmap", "acme", DID, "ok", 200, "anonymous"]),
        ]
    );
    assert!(audit.iter().all(|line| line["level"] == "INFO" && line["request_id"].is_string()));
    assert!(of(access).iter().all(|line| line["level"] == "DEBUG" && line["milliseconds"].is_number()));
    world.close().await;
}

#[tokio::test]
async fn metrics_have_closed_labels_for_arbitrary_requests() {
    let world = World::new().await;
    let operator = open(&world).start().await;
    let admin = Admin::of(&operator);
    for number in 10..30 {
        admin.get(&format!("/dids/+1555{number}")).await.rejected(404, "did_unmapped");
        admin.get(&format!("/nope/{number}")).await.rejected(404, "not_found");
        send(admin.request(&format!("M{number}"), "/health")).await.rejected(405, "method_not_allowed");
    }
    admin.get("/health").await.ok();

    let metrics = operator.metrics().await;

    for line in [
        r#"runtime_operator_admin_requests_total{method="GET",route="/dids/:didE164",status="4xx"} 20"#,
        r#"runtime_operator_admin_requests_total{method="other",route="unknown",status="4xx"} 40"#,
        r#"runtime_operator_admin_requests_total{method="GET",route="/health",status="2xx"} 1"#,
        r#"runtime_operator_admin_request_duration_seconds_count{method="GET",route="/dids/:didE164"} 20"#,
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("M10") && !metrics.contains("nope"), "{metrics}");
    world.finish().await;
}

#[tokio::test]
async fn logs_metrics_and_errors_contain_no_secret() {
    const CANARY: &str = "canary-7f3a";
    let world = World::new().await;
    world.exempt_all();
    let operator = open(&world)
        .env("ALLOW_RUNTIME_SECRET_READ", "true")
        .env("RUST_LOG", "trace")
        .env("RUNTIME_ADMIN_AUTH", "kubernetes")
        .start()
        .await;
    let open_operator =
        open(&world).env("ALLOW_RUNTIME_SECRET_READ", "true").env("RUST_LOG", "trace").start().await;
    let admin = Admin::of(&open_operator);
    let mut responses = String::new();

    let mut good = config("acme", &[DID]);
    good["webhookSecret"] = json!(CANARY);
    let shown = admin.post("/tenants/acme/config?includeSecrets=1", good.clone()).await.ok();
    assert_eq!(shown["config"]["webhookSecret"], CANARY);
    writeln!(responses, "{:?}", admin.publish(&good).await).unwrap();
    writeln!(responses, "{:?}", admin.get("/tenants/acme/config").await).unwrap();
    let mut bad = good.clone();
    bad["webhookSecret"] = json!({ CANARY: CANARY });
    bad["contractVersion"] = json!(CANARY);
    bad["dids"] = json!([CANARY]);
    writeln!(responses, "{:?}", admin.publish(&bad).await).unwrap();
    writeln!(
        responses,
        "{:?}",
        admin.post_text("/tenants/acme/config", format!("{{\"webhookSecret\":\"{CANARY}\" {CANARY}")).await
    )
    .unwrap();
    writeln!(responses, "{:?}", admin.post_text("/dids/map", format!("{{\"{CANARY}\":{CANARY}}}")).await)
        .unwrap();
    let path = format!("/tenants/acme/config?webhookSecret={CANARY}");
    writeln!(responses, "{:?}", admin.post(&path, good.clone()).await).unwrap();
    world.set_key("tenantcfg:broken", format!("{{\"webhookSecret\":\"{CANARY}\"")).await;
    writeln!(responses, "{:?}", admin.get("/tenants/broken/config").await).unwrap();
    // A token is a secret, too.
    let guarded = Admin::of(&operator).with_token(CANARY);
    writeln!(responses, "{:?}", guarded.get("/dids/+15551234567").await).unwrap();
    let odd =
        format!("GET /x HTTP/1.1\r\nhost: localhost\r\nauthorization: {CANARY}\r\nconnection: close\r\n\r\n");
    responses.push_str(&raw(guarded.address(), odd.as_bytes()).await);
    world.redis().kill().await.unwrap();
    writeln!(responses, "{:?}", admin.publish(&good).await).unwrap();

    let metrics = operator.metrics().await + &open_operator.metrics().await;
    let logs = operator.logs() + &open_operator.logs();
    assert!(logs.contains("TRACE") && metrics.contains("admin_requests"));
    for (what, text) in [("a response", &responses), ("metrics", &metrics), ("logs", &logs)] {
        let at = text.lines().find(|line| line.contains(CANARY));
        assert!(at.is_none(), "{what}: {at:?}");
    }
    world.close().await;
}
