//! The quick replies of a config.

use serde_json::{Value, json};
use test_support::{World, tenant};

use crate::client::{Admin, KOKORO, open};

const PATH: &str = "/tenants/acme-dental/quick-replies";

fn replies() -> Value {
    json!({ "quickReplies": [{ "id": "hours", "match": ["opening hours"], "reply": "From 9 to 5." }] })
}

#[tokio::test]
async fn quick_replies_are_replaced_and_nothing_else_of_the_config() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    assert_eq!(admin.get(PATH).await.ok(), json!({ "quickReplies": [], "runtimeConfigMissing": true }));
    let missing = admin.put(PATH, replies()).await.rejected(404, "runtime_config_not_found");
    assert!(missing["message"].is_string(), "{missing}");

    let text = KOKORO.replacen('{', "{\"x-new\":{\"b\":[1.50,1e2],\"a\":null},", 1);
    admin.post_text("/tenants/acme-dental/config", text).await.ok();
    let before: Value = serde_json::from_str(&world.config_text("acme-dental").await.unwrap()).unwrap();
    let written = admin.put(PATH, replies()).await.ok();

    assert_eq!(written, json!({ "status": "ok", "quickReplies": replies()["quickReplies"] }));
    let read = admin.get(PATH).await.ok();
    assert_eq!(read, json!({ "quickReplies": replies()["quickReplies"], "runtimeConfigMissing": false }));
    let stored = world.config_text("acme-dental").await.unwrap();
    assert!(stored.starts_with("{\"x-new\":{\"b\":[1.50,1e2],\"a\":null},"), "{stored}");
    let mut expected = before;
    expected["quickReplies"] = replies()["quickReplies"].clone();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), expected);
    world.finish().await;
}

#[tokio::test]
async fn invalid_quick_replies_are_rejected() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    admin.post_text("/tenants/acme-dental/config", KOKORO).await.ok();
    let before = world.config_text("acme-dental").await;
    let one = &replies()["quickReplies"][0];
    for wrong in [
        json!({}),
        json!([]),
        json!(null),
        json!({ "quickReplies": null }),
        json!({ "quickReplies": {} }),
        json!({ "quickReplies": [{ "match": ["abc"], "reply": "x" }] }),
        json!({ "quickReplies": [{ "match": [], "reply": "x" }] }),
        json!({ "quickReplies": [{ "match": ["hours"], "reply": "x".repeat(4001) }] }),
        json!({ "quickReplies": vec![one; 201] }),
    ] {
        let rejected = admin.put(PATH, wrong).await.rejected(400, "invalid_quick_replies");
        assert_eq!(rejected["details"]["formErrors"], json!([]), "{rejected}");
        assert!(!rejected["details"]["fieldErrors"]["quickReplies"].as_array().unwrap().is_empty());
    }
    assert_eq!(world.config_text("acme-dental").await, before);

    world.set_key("tenantcfg:acme-dental", r#"{"contractVersion":"v2"}"#).await;
    let rejected = admin.put(PATH, replies()).await.rejected(400, "invalid_runtime_config_after_merge");
    assert_eq!(rejected["details"][0]["path"], json!(["contractVersion"]));
    admin.get(PATH).await.rejected(500, "runtime_quick_replies_read_failed");
    world.set_key("tenantcfg:acme-dental", "canary").await;
    admin.put(PATH, replies()).await.rejected(500, "runtime_quick_replies_write_failed");
    world.finish().await;
}

#[tokio::test]
async fn a_config_that_could_not_be_posted_is_not_written_again() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    let config: Value = serde_json::from_str(KOKORO).unwrap();
    for (pointer, value, path) in [
        ("/audio/publicBaseUrl", "[redacted]", json!(["audio", "publicBaseUrl"])),
        ("/tts/kokoroUrl", "[redacted-host:a.example]", json!(["tts", "kokoroUrl"])),
        ("/webhookSecret", " ", json!(["webhookSecret"])),
    ] {
        let mut stored = config.clone();
        *stored.pointer_mut(pointer).unwrap() = json!(value);
        world.set_key("tenantcfg:acme-dental", stored.to_string()).await;
        let rejected = admin.put(PATH, replies()).await.rejected(400, "invalid_runtime_config_after_merge");
        assert_eq!(rejected["details"][0]["path"], path, "{rejected}");
        assert_eq!(world.config_text("acme-dental").await.unwrap(), stored.to_string());
        assert_eq!(admin.get(PATH).await.ok()["runtimeConfigMissing"], false);
    }
    world.finish().await;
}

#[tokio::test]
async fn quick_replies_of_a_resource_are_read_only() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    world.apply(&tenant("acme").dids(["+15551234567"])).await;
    world.wait_ready("acme").await;
    let path = "/tenants/acme/quick-replies";
    assert_eq!(admin.get(path).await.ok()["runtimeConfigMissing"], false);
    let rejected = admin.put(path, replies()).await.rejected(409, "tenant_managed");
    assert_eq!(rejected["owner"], format!("{}/acme", world.namespace()));
    world.finish().await;
}

#[tokio::test]
async fn concurrent_writes_lose_nothing_of_each_other() {
    let world = World::new().await;
    let admin = Admin::of(&open(&world).start().await);
    admin.post_text("/tenants/acme-dental/config", KOKORO).await.ok();
    let writes = (0..20).map(|number| {
        let admin = admin.clone();
        async move {
            let mut body = replies();
            body["quickReplies"][0]["id"] = json!(format!("writer-{number}"));
            admin.put(PATH, body).await.status
        }
    });
    let statuses = futures::future::join_all(writes).await;
    assert!(
        statuses.contains(&200) && statuses.iter().all(|status| [200, 500].contains(status)),
        "{statuses:?}"
    );
    let stored: Value = serde_json::from_str(&world.config_text("acme-dental").await.unwrap()).unwrap();
    let mut original: Value = serde_json::from_str(KOKORO).unwrap();
    original["quickReplies"] = stored["quickReplies"].clone();
    assert_eq!(stored, original);
    world.finish().await;
}
