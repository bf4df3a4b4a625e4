//! Rotation of Secrets.

use serde_json::json;
use test_support::{World, tenant};

use super::{ONE, THREE, TWO, patch_secret, wait_published};

#[tokio::test]
async fn a_new_value_is_published_and_the_status_hash_stays() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.wait_ready("acme").await;
    let before = world.status("acme").await;
    let mut journal = world.journal().await;

    world.apply_secret("acme-webhook", "second").await;

    wait_published(&world, "acme", "second").await;
    let note = world.wait_event("acme", "SecretRotated").await;
    assert!(!note.contains("second"), "{note}");
    world.wait_ready("acme").await;
    let after = world.status("acme").await;
    assert_eq!(after["publishedHash"], before["publishedHash"]);
    assert_eq!(after["conditions"], before["conditions"]);
    assert_eq!(journal.writes_of(&format!("tenantmap:did:{ONE}")).await, Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_secret_rotated_while_no_operator_ran_is_published_at_start() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.wait_ready("acme").await;
    operator.kill().await.unwrap();
    // The same for a Secret that was deleted and created again under the same name.
    world.delete_secret("acme-webhook").await;
    world.apply_secret("acme-webhook", "second").await;

    operator.restart().await.unwrap();

    wait_published(&world, "acme", "second").await;
    world.wait_event("acme", "SecretRotated").await;
    world.finish().await;
}

#[tokio::test]
async fn a_shared_secret_is_rotated_for_all_its_tenants() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply_secret("shared", "first").await;
    let tenants = [("acme", ONE), ("beta", TWO), ("cora", THREE)];
    for (name, did) in tenants {
        let shared = tenant(name).dids([did]).set("/webhookSecretRef/name", "shared").without_secret();
        world.apply(&shared).await;
    }
    for (name, _) in tenants {
        world.wait_ready(name).await;
        wait_published(&world, name, "first").await;
    }

    world.apply_secret("shared", "second").await;

    for (name, _) in tenants {
        wait_published(&world, name, "second").await;
    }

    // One of them gets a Secret of its own.
    world.apply(&tenant("beta").dids([TWO]).secret("own")).await;
    wait_published(&world, "beta", "own").await;
    world.apply_secret("shared", "third").await;
    wait_published(&world, "acme", "third").await;
    wait_published(&world, "cora", "third").await;
    wait_published(&world, "beta", "own").await;
    world.finish().await;
}

#[tokio::test]
async fn an_unreferenced_secret_changes_nothing() {
    let mut world = World::new().await;
    let other = world.add_namespace().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.wait_ready("acme").await;
    let before = world.get("acme").await.unwrap().metadata.resource_version;
    let mut journal = world.journal().await;

    world.apply_secret("unrelated", "x").await;
    world.apply_secret("unrelated", "y").await;
    world.apply_secret_in(&other, "acme-webhook", &json!({ "webhookSecret": "of another namespace" })).await;
    world.delete_secret("unrelated").await;
    // When this tenant is ready, the operator has seen the others.
    world.apply(&tenant("beta").dids([TWO])).await;
    world.wait_ready("beta").await;

    let writes = journal.writes().await;
    let of_acme = |key: &str| key.ends_with("acme") || key.ends_with(ONE);
    assert!(!writes.iter().any(|(key, _)| of_acme(key)), "{writes:?}");
    assert_eq!(world.get("acme").await.unwrap().metadata.resource_version, before);
    world.finish().await;
}

#[tokio::test]
async fn a_new_label_on_a_secret_publishes_nothing() {
    let world = World::new().await;
    world.operator().start().await;
    world.apply(&tenant("acme").dids([ONE]).secret("first")).await;
    world.wait_ready("acme").await;
    let mut journal = world.journal().await;

    patch_secret(&world, "acme-webhook", json!({ "metadata": { "labels": { "team": "voice" } } })).await;
    world.apply(&tenant("beta").dids([TWO])).await;
    world.wait_ready("beta").await;

    assert_eq!(journal.writes_of("tenantcfg:acme").await, Vec::<String>::new());
    let rotated = world.events("acme").await.into_iter().any(|(reason, _)| reason == "SecretRotated");
    assert!(!rotated, "nothing was rotated");
    world.finish().await;
}
