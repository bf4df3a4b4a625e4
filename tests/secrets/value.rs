//! The published part of a Secret.

use serde_json::{Value, json};
use test_support::{World, tenant};

use super::{ONE, TWO, published, wait_published};

#[tokio::test]
async fn the_value_is_published_beside_the_reference() {
    let world = World::new().await;
    world.operator().start().await;

    world.apply(&tenant("acme").dids([ONE]).secret("whsec")).await;
    world
        .apply(&tenant("beta").dids([TWO]).set("/webhookSecretRef/key", "other.key").secret("whsec-2"))
        .await;

    world.wait_ready("acme").await;
    world.wait_ready("beta").await;
    let acme = (json!("whsec"), json!("secret://acme-webhook/webhookSecret"));
    assert_eq!(published(&world, "acme").await, acme);
    assert_eq!(published(&world, "beta").await, (json!("whsec-2"), json!("secret://beta-webhook/other.key")));
    world.wait_condition("acme", "SecretResolved", "True", "Resolved").await;
    world.finish().await;
}

#[tokio::test]
async fn only_the_reference_is_published_when_values_are_disabled() {
    let world = World::new().await;
    let operator = world.operator().env("PUBLISH_WEBHOOK_SECRET", "false").start().await;

    world.apply(&tenant("acme").dids([ONE]).secret("whsec")).await;

    world.wait_ready("acme").await;
    let reference = json!("secret://acme-webhook/webhookSecret");
    assert_eq!(published(&world, "acme").await, (Value::Null, reference.clone()));
    let hash = world.status("acme").await["publishedHash"].clone();

    // The setting also applies to tenants that are already published, in both directions.
    operator.stop().await.unwrap();
    let with_values = world.operator().start().await;
    wait_published(&world, "acme", "whsec").await;
    with_values.stop().await.unwrap();
    operator.restart().await.unwrap();
    let gone = || async {
        let now = published(&world, "acme").await;
        if now == (Value::Null, reference.clone()) { Ok(()) } else { Err("the value is published".into()) }
    };
    world.wait("the value is removed", gone).await;
    world.wait_ready("acme").await;
    assert_eq!(world.status("acme").await["publishedHash"], hash, "the hash never covers the value");
    world.finish().await;
}

#[tokio::test]
async fn one_trailing_newline_is_removed_and_nothing_else() {
    let cases = [
        ("plain", "whsec", "whsec"),
        ("newline", "whsec\n", "whsec"),
        ("windows", "whsec\r\n", "whsec"),
        ("two", "whsec\n\n", "whsec\n"),
        ("return", "whsec\r", "whsec\r"),
        ("within", " wh\nsec ", " wh\nsec "),
        ("letters", "schlüssel-ключ-🔑", "schlüssel-ключ-🔑"),
        ("json", r#"","webhookSecret":"\u0041"#, r#"","webhookSecret":"\u0041"#),
    ];
    let world = World::new().await;
    world.operator().start().await;
    for (place, (name, value, _)) in cases.iter().enumerate() {
        let did = format!("+1555000010{place}");
        world.apply(&tenant(name).dids([&*did]).secret(value)).await;
    }
    for (name, _, value) in cases {
        world.wait_ready(name).await;
        assert_eq!(published(&world, name).await.0, value, "{name}");
    }
    world.finish().await;
}
