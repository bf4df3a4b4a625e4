//! Secrets that can't be used.

use serde_json::{Value, json};
use test_support::proxy::{ErrorResponse, FaultInjector, KubeProxy};
use test_support::{World, tenant};

use super::{ONE, THREE, TWO, data, patch_secret, wait_published};

/// Changes of a Secret, each with the resulting reason and a part of the message.
fn faults() -> [(&'static str, Value, &'static str, &'static str); 5] {
    [
        ("no-key", data(None), "SecretKeyNotFound", "webhookSecret"),
        ("empty", data(Some("")), "SecretEmpty", "must not be empty"),
        ("newline", data(Some("Cg==")), "SecretEmpty", "must not be empty"),
        ("bytes", data(Some("//4=")), "SecretNotUtf8", "UTF-8"),
        (
            "other-key",
            json!({ "data": { "webhookSecret": null, "webhooksecret": "eA==" } }),
            "SecretKeyNotFound",
            "key",
        ),
    ]
}

async fn wait_fault(world: &World, name: &str, reason: &str, words: &str) {
    let message = world.wait_condition(name, "SecretResolved", "False", reason).await;
    let secret = format!("{}/{name}-webhook", world.namespace());
    assert!(message.contains(&secret) && message.contains(words), "{message}");
    world.wait_condition(name, "Ready", "False", reason).await;
    world.wait_condition(name, "Reconciling", "True", reason).await;
    world.wait_event(name, reason).await;
}

#[tokio::test]
async fn every_secret_fault_has_a_reason_and_unpublishes_nothing() {
    let world = World::new().await;
    world.operator().start().await;
    for (place, (name, ..)) in faults().iter().enumerate() {
        let did = format!("+1555000010{place}");
        world.apply(&tenant(name).dids([&*did])).await;
    }
    for (name, patch, reason, words) in faults() {
        world.wait_ready(name).await;
        let config = world.config_text(name).await;

        patch_secret(&world, &format!("{name}-webhook"), patch).await;

        wait_fault(&world, name, reason, words).await;
        assert_eq!(world.config_text(name).await, config, "it stays published");
        world.wait_condition(name, "Published", "True", "Published").await;
        assert_eq!(world.status(name).await["publishedDidCount"], 1);

        patch_secret(&world, &format!("{name}-webhook"), data(Some("bWVuZGVk"))).await;

        world.wait_ready(name).await;
        wait_published(&world, name, "mended").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_tenant_is_first_published_once_its_secret_is_valid() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("missing").dids([ONE]).without_secret()).await;
    world.apply(&tenant("empty").dids([TWO]).secret("")).await;
    world.apply(&tenant("keyless").dids([THREE]).without_secret()).await;
    world.apply_secret_in(world.namespace(), "keyless-webhook", &json!({ "another": "value" })).await;

    wait_fault(&world, "missing", "SecretNotFound", "must exist").await;
    wait_fault(&world, "empty", "SecretEmpty", "must not be empty").await;
    wait_fault(&world, "keyless", "SecretKeyNotFound", "must have the key").await;
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.wait_condition("missing", "DidsClaimed", "True", "Claimed").await;
    world.wait_condition("missing", "Published", "False", "SecretNotFound").await;

    for name in ["missing", "empty", "keyless"] {
        world.apply_secret(&format!("{name}-webhook"), "whsec").await;
        world.wait_ready(name).await;
        wait_published(&world, name, "whsec").await;
    }
    world.finish().await;
}

#[tokio::test]
async fn a_deleted_secret_unmaps_no_did() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.wait_ready("acme").await;
    let config = world.config_text("acme").await;

    world.delete_secret("acme-webhook").await;

    wait_fault(&world, "acme", "SecretNotFound", "stays live").await;
    assert_eq!(world.config_text("acme").await, config);

    // Without it nothing new is published; deletion needs no Secret.
    world.set_dids("acme", [ONE, TWO]).await;
    wait_fault(&world, "acme", "SecretNotFound", "stays live").await;
    assert_eq!(world.config_text("acme").await, config);
    assert_eq!(world.live(TWO).await, None);
    world.wait_condition("acme", "Published", "False", "SecretNotFound").await;

    world.apply_secret("acme-webhook", "second").await;
    world.wait_ready("acme").await;
    wait_published(&world, "acme", "second").await;
    assert_eq!(world.live(TWO).await.as_deref(), Some("acme"));

    world.delete_secret("acme-webhook").await;
    world.delete("acme").await;
    world.wait_deleted("acme").await;
    assert_eq!(world.keys("tenant*").await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_failed_secret_read_is_named_in_the_first_status() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    world.operator().kubeconfig(&kubeconfig).start().await;
    proxy.fail_path("/secrets/acme-webhook", ErrorResponse { code: 500, retry_after: None });

    world.apply(&tenant("acme").dids([ONE])).await;

    let message = world.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    assert!(message.starts_with("Secret ") && message.ends_with("; nothing is live"), "{message}");
    assert!(message.contains("injected by the proxy"), "the message has the cause: {message}");
    proxy.heal_path();
    world.wait_ready("acme").await;
    world.finish().await;
}

#[tokio::test]
async fn a_secret_that_appears_and_cant_be_read_is_no_longer_reported_as_missing() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    world.operator().kubeconfig(&kubeconfig).start().await;
    world.apply(&tenant("acme").dids([ONE]).without_secret()).await;
    world.wait_condition("acme", "Ready", "False", "SecretNotFound").await;
    proxy.fail_path("/secrets/acme-webhook", ErrorResponse { code: 500, retry_after: None });

    world.apply_secret("acme-webhook", "whsec_later").await;

    world.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    proxy.heal_path();
    world.wait_ready("acme").await;
    world.finish().await;
}
