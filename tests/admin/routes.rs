//! Every route behaves as the old publisher's.

use serde_json::{Value, json};
use test_support::World;

use crate::client::{Admin, KOKORO, config, open, raw};

const DID: &str = "+15551234567";

#[tokio::test]
async fn every_route_responds_as_the_old_publisher_did() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);

    let mapped = admin.map(DID, "acme").await;
    assert_eq!(mapped.ok(), json!({ "status": "ok", "warning": "runtime_config_not_found" }));
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));

    let mut shown = config("acme", &[DID]);
    let published = admin.publish(&shown).await;
    shown.as_object_mut().unwrap().shift_remove("webhookSecret");
    assert_eq!(published.ok(), json!({ "status": "ok", "config": shown }));
    assert_eq!(admin.get("/tenants/acme/config").await.ok(), json!({ "config": shown }));
    assert_eq!(admin.map(DID, "acme").await.ok(), json!({ "status": "ok" }));

    assert_eq!(admin.get("/dids/+15551234567").await.ok(), json!({ "didE164": DID, "tenantId": "acme" }));
    assert_eq!(admin.unmap(DID).await.ok(), json!({ "status": "ok", "tenantId": "acme" }));
    admin.unmap(DID).await.rejected(404, "did_unmapped");
    admin.get("/dids/+15551234567").await.rejected(404, "did_unmapped");

    let health = admin.get("/health").await.ok();
    assert!(health["ok"] == true && health["latencyMs"].is_u64() && health["status"] == "ok", "{health}");
    assert!(health["redis"]["connected"] == true && health["redis"]["latencyMs"].is_u64(), "{health}");
    let checked = health["checkedAt"].as_str().unwrap();
    assert!(checked.len() == 24 && checked.ends_with('Z') && checked.as_bytes()[19] == b'.', "{health}");
    world.close().await;
}

#[tokio::test]
async fn a_config_is_stored_byte_for_byte_and_maps_no_did() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    // Another order, white space, members of newer publishers, numbers in unusual notations.
    let text = KOKORO.replacen('{', "{ \"x-new\": {\"b\": [1.50, 1e2], \"a\": null},\n\t", 1);

    admin.post_text("/tenants/acme-dental/config", text.clone()).await.ok();

    assert_eq!(world.config_text("acme-dental").await, Some(text));
    assert_eq!(world.keys("tenantmap:did:*").await, Vec::<String>::new());
    let shown = admin.get("/tenants/acme-dental/config").await.ok();
    assert_eq!(shown["config"]["x-new"], json!({ "b": [1.5, 100.0], "a": null }));
    world.finish().await;
}

#[tokio::test]
async fn a_did_is_found_in_every_spelling() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);
    admin.map(" +1 555\u{a0}123\t45 67\u{feff}", "\u{3000}acme ").await.ok();
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));

    for spelling in [
        "+15551234567",
        "%2B15551234567",
        "%2b1%20555%20123%204567",
        "%20+1555%09123%C2%A04567%20",
        "+1555123456%37",
        "+15551234567/",
        "+15551234567?x=1",
    ] {
        let response = admin.get(&format!("/dids/{spelling}")).await;
        assert_eq!(response.ok(), json!({ "didE164": DID, "tenantId": "acme" }), "{spelling}");
    }
    let bare =
        format!("GET /api/admin/runtime/dids/{DID} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    assert!(raw(admin.address(), bare.as_bytes()).await.contains("\"tenantId\":\"acme\""));
    for wrong in
        ["15551234567", "%201555", "+0555", "+1-555", "+1%00555", "%zz", "+1%FF", "%25%32%42", "+١٢٣"]
    {
        admin.get(&format!("/dids/{wrong}")).await.rejected(400, "invalid_did_e164");
    }
    for empty in ["", "%20", "%C2%A0%09", "%E2%80%A8"] {
        admin.get(&format!("/dids/{empty}")).await.rejected(400, "did_required");
    }
    admin.unmap("+1 (555) 123").await.rejected(400, "invalid_did_e164");
    admin.unmap("+1 555 123 4567").await.ok();
    world.close().await;
}

#[tokio::test]
async fn a_tenant_id_is_decoded_and_trimmed_only() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    for (segment, tenant) in [
        ("%20acme%C2%A0", "acme"),
        ("a%2Fb", "a/b"),
        ("A+b", "A+b"),
        ("caf%C3%A9%20%22q%22", "café \"q\""),
        ("%2A%3A%25", "*:%"),
    ] {
        let path = format!("/tenants/{segment}/config");
        admin.post(&path, config(tenant, &[DID])).await.ok();

        assert_eq!(admin.get(&path).await.ok()["config"]["tenantId"], tenant);
        assert!(world.config_text(tenant).await.is_some(), "{tenant}");
    }
    for segment in ["%20", "", "%E2%80%A9", "%ff"] {
        let path = format!("/tenants/{segment}/config");
        admin.get(&path).await.rejected(400, "tenant_id_required");
        admin.post(&path, config("acme", &[DID])).await.rejected(400, "tenant_id_required");
    }
    admin.get("/tenants/unknown/config").await.rejected(404, "runtime_config_not_found");
    // The id in a config is not trimmed: the two ids are two tenants.
    admin.post("/tenants/acme/config", config("acme ", &[DID])).await.rejected(400, "tenant_id_mismatch");
    world.finish().await;
}

#[tokio::test]
async fn an_invalid_config_is_rejected_with_every_violation() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let mut wrong = config("acme", &["+1 555 123 4567"]);
    wrong["tts"] = json!({ "mode": "kokoro_http", "kokoroUrl": "", "rate": 9 });
    wrong["caps"]["maxCallsPerMinuteTenant"] = json!(0);
    wrong["tenantId"] = json!("other");

    let rejected = admin.post("/tenants/acme/config", wrong).await.rejected(400, "invalid_runtime_config");

    let details = rejected["details"].as_array().unwrap();
    let places: Vec<_> =
        details.iter().map(|violation| json!([violation["code"], violation["path"]])).collect();
    assert_eq!(
        places,
        [
            json!(["invalid_string", ["dids", 0]]),
            json!(["too_small", ["caps", "maxCallsPerMinuteTenant"]]),
            json!(["too_small", ["tts", "kokoroUrl"]]),
            json!(["too_big", ["tts", "rate"]]),
        ]
    );
    assert!(
        details.iter().all(|violation| violation["message"].as_str().unwrap().starts_with("must ")),
        "{details:?}"
    );
    for (body, path) in [
        (json!([]), json!([])),
        (json!("x"), json!([])),
        (json!(null), json!([])),
        (json!({}), json!(["contractVersion"])),
    ] {
        let rejected = admin.post("/tenants/acme/config", body).await.rejected(400, "invalid_runtime_config");
        assert_eq!(rejected["details"][0]["path"], path);
    }
    assert_eq!(world.keys("tenantcfg:*").await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_document_with_redacted_or_blank_values_is_rejected_and_a_stored_one_is_shown() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let valid = config("acme", &[DID]);
    for (pointer, value) in [
        ("/webhookSecretRef", "[redacted]"),
        ("/tts/kokoroUrl", "[redacted-host:tts.example.com]"),
        ("/webhookSecret", " \n"),
    ] {
        let mut document = valid.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        document.pointer_mut(parent).unwrap()[name] = json!(value);
        let rejected = admin.post("/tenants/acme/config", document.clone()).await;
        rejected.rejected(400, "invalid_runtime_config");
        world.set_key("tenantcfg:acme", &document.to_string()).await;
        admin.get("/tenants/acme/config").await.ok();
    }
    let mut text = valid;
    text["assistantContext"] = json!({ "hours": "[redacted]" });
    admin.post("/tenants/acme/config", text).await.ok();
    world.finish().await;
}

#[tokio::test]
async fn errors_have_the_precedence_of_the_contract() {
    let world = World::new().await;
    world.exempt_all();
    let admin = Admin::of(&open(&world).start().await);
    let none = Value::Null;
    for (did, tenant, code) in [
        (json!(""), json!(""), "did_required"),
        (none.clone(), json!("acme"), "did_required"),
        (json!("12"), json!(""), "invalid_did_e164"),
        (json!(15_551_234_567_u64), json!("acme"), "invalid_did_e164"),
        (json!(DID), json!("\u{a0}"), "tenant_id_required"),
        (json!(DID), none, "tenant_id_required"),
        (json!(DID), json!(7), "tenant_id_required"),
    ] {
        let body = json!({ "didE164": did, "tenantId": tenant });
        admin.post("/dids/map", body).await.rejected(400, code);
    }
    for body in [json!({}), json!([]), json!("x"), json!(null)] {
        admin.post("/dids/map", body.clone()).await.rejected(400, "did_required");
        admin.post("/dids/unmap", body).await.rejected(400, "did_required");
    }
    admin.post("/tenants/%20/config", json!({})).await.rejected(400, "tenant_id_required");
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.close().await;
}

#[tokio::test]
async fn a_secret_is_shown_only_if_setting_and_query_allow_it() {
    let world = World::new().await;
    let stored = config("acme", &[DID]);
    for allowed in [false, true] {
        let operator = open(&world).env("ALLOW_RUNTIME_SECRET_READ", allowed.to_string()).start().await;
        let admin = Admin::of(&operator);
        for (query, wanted) in [("", false), ("?includeSecrets=0", false), ("?includeSecrets=YES", true)] {
            let path = format!("/tenants/acme/config{query}");
            for response in [admin.post(&path, stored.clone()).await, admin.get(&path).await] {
                let secret = response.ok()["config"].get("webhookSecret").cloned();
                let shown = (allowed && wanted).then(|| stored["webhookSecret"].clone());
                assert_eq!(secret, shown, "{allowed} {query}");
            }
        }
        operator.stop().await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn disabled_routes_respond_503_to_every_request() {
    let world = World::new().await;
    // Without a token: a disabled route does not authenticate.
    let admin = Admin::of(&world.operator().start().await);
    for path in ["/health", "/dids/+15551234567", "/tenants/acme/config", "/openapi.json", "/nope", ""] {
        let body = admin.get(path).await.rejected(503, "runtime_admin_disabled");
        assert_eq!(body, json!({ "error": "runtime_admin_disabled" }));
    }
    admin.map(DID, "acme").await.rejected(503, "runtime_admin_disabled");
    admin.unmap(DID).await.rejected(503, "runtime_admin_disabled");
    admin.publish(&config("acme", &[DID])).await.rejected(503, "runtime_admin_disabled");
    admin.post_text("/dids/map", "{").await.rejected(503, "runtime_admin_disabled");
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_served_description_is_the_committed_one() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);

    let served = admin.get("/openapi.json").await.ok();

    let committed: Value =
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")))
            .unwrap();
    assert!(served == committed, "stale: run `runtime-operator contract openapi > docs/openapi.json`");
    assert_eq!(served["openapi"], "3.1.0");
    world.finish().await;
}

#[tokio::test]
async fn a_destination_is_any_text_that_the_runtime_dials() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    for destination in ["5551234567", "tel:+15551234567", "+1 555 123 4567", "sip:desk@example.com"] {
        let mut dialled = config("acme", &[DID]);
        dialled["callForwarding"] = json!({ "enabled": true, "destination": destination });
        let published = admin.publish(&dialled).await.ok();
        assert_eq!(published["config"]["callForwarding"]["destination"], destination);
        let read = admin.get("/tenants/acme/config").await.ok();
        assert_eq!(read["config"]["callForwarding"]["destination"], destination);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_reference_that_is_the_secret_itself_is_hidden_like_one() {
    let world = World::new().await;
    let operator = open(&world).env("ALLOW_RUNTIME_SECRET_READ", "true").start().await;
    let admin = Admin::of(&operator);
    for (reference, shown) in [
        ("env:TELNYX_SECRET", true),
        ("secret://vault/acme", true),
        ("canary-literal", false),
        (" env:CANARY", false),
        ("ENV:CANARY", false),
    ] {
        let mut literal = config("acme", &[DID]);
        literal["webhookSecretRef"] = json!(reference);
        let published = admin.publish(&literal).await.ok()["config"]["webhookSecretRef"].clone();
        let read = admin.get("/tenants/acme/config").await.ok()["config"]["webhookSecretRef"].clone();
        let expected = if shown { json!(reference) } else { Value::Null };
        assert_eq!((&published, &read), (&expected, &expected), "{reference}");
        let with_secrets = admin.get("/tenants/acme/config?includeSecrets=required").await.ok();
        assert_eq!(with_secrets["config"]["webhookSecretRef"], reference);
    }
    assert!(!operator.logs().contains("canary-literal"));
    world.finish().await;
}
