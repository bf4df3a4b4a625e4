//! Large and hostile specs: they cost their own tenant, and no other, and take no more memory than is allowed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use serde_json::{Value, json};
use test_support::{Operator, World, tenant};

const DID: &str = "+15551234567";

/// An extension of 1.4 MB of which each byte becomes many in memory.
fn bomb() -> Value {
    json!({ "x": vec![json!({ "": 0 }); 200_000] })
}

/// The peak of resident memory, in MB.
fn peak(operator: &Operator) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", operator.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

async fn edit(world: &World, name: &str, spec: Value) {
    world.patch(name, json!({ "spec": spec })).await;
}

/// Checks that the config of `large` ends with a text of 100,000 times this letter.
async fn assert_published(world: &World, letter: &str) {
    let config = world.config_text("large").await.unwrap();
    assert!(config.ends_with(&format!(r#""text":"{}"}}"#, letter.repeat(100_000))));
}

async fn wait_ready(world: &World, name: &str, status: &str, text: &str) {
    world
        .wait(&format!("{name} is {status}: {text}"), || async {
            let object = world.tenants().get(name).await.map_err(|error| error.to_string())?;
            let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let ready = conditions.iter().find(|condition| condition["type"] == "Ready");
            let generation = object.metadata.generation.unwrap();
            match ready {
                Some(ready)
                    if ready["status"] == status
                        && ready["observedGeneration"] == generation
                        && ready.to_string().contains(text) =>
                {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await;
}

#[tokio::test]
async fn a_spec_that_is_too_large_is_refused_by_its_size_and_what_is_live_stays() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    wait_ready(&world, "acme", "True", "Published").await;
    let before = world.config_text("acme").await;

    edit(&world, "acme", json!({ "extensions": bomb(), "dids": ["+15551234568"] })).await;

    wait_ready(&world, "acme", "False", "spec must be at most 1048576 bytes long as JSON, and has 14").await;
    assert_eq!(world.config_text("acme").await, before);
    assert_eq!(world.live(DID).await.as_deref(), Some("acme"));
    assert!(peak(&operator) < 100, "{} MB", peak(&operator));

    edit(&world, "acme", json!({ "extensions": null })).await;
    wait_ready(&world, "acme", "True", "Published").await;
    world.finish().await;
}

#[tokio::test]
async fn specs_that_are_not_held_are_published_edited_and_removed() {
    let world = World::new().await;
    let operator = world.operator().env("MAX_HELD_SPEC_BYTES", "0").start().await;
    let text = |letter: &str| json!({ "text": letter.repeat(100_000) });
    world.apply(&tenant("small").dids([DID])).await;
    world.apply(&tenant("large").dids(["+15551234568"]).set("/extensions", text("a"))).await;
    wait_ready(&world, "small", "True", "Published").await;
    wait_ready(&world, "large", "True", "Published").await;
    assert_published(&world, "a").await;

    edit(&world, "large", json!({ "extensions": text("b") })).await;
    wait_ready(&world, "large", "True", "Published").await;
    assert_published(&world, "b").await;

    operator.restart().await.unwrap();
    for name in ["small", "large"] {
        world.delete(name).await;
        world
            .wait("its keys are gone", || async {
                world.config_text(name).await.map_or(Ok(()), |_| Err("its config is there".to_owned()))
            })
            .await;
    }
    world.finish().await;
}

#[tokio::test]
async fn extensions_with_names_that_a_library_reserves_are_published_as_they_are() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    let raw = json!({ "x": { "$serde_json::private::RawValue": "[1]" } });
    world.apply(&tenant("acme").dids([DID]).set("/extensions", raw)).await;
    wait_ready(&world, "acme", "True", "Published").await;
    let published = world.config_text("acme").await.unwrap();
    let value = r#"{"$serde_json::private::RawValue":"[1]"}"#;
    assert!(published.ends_with(&format!(r#","x":{value}}}"#)), "{published}");
    world.finish().await;
}

#[tokio::test]
async fn tenants_that_are_too_large_together_exchange_numbers_one_after_the_other() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    let (names, dids) = (["a", "b", "c"], ["+15551234561", "+15551234562", "+15551234563"]);
    let text = json!({ "text": "x".repeat(800_000) });
    for (name, did) in names.into_iter().zip(dids) {
        world.apply(&tenant(name).dids([did]).set("/extensions", text.clone())).await;
        wait_ready(&world, name, "True", "Published").await;
    }
    operator.stop().await.unwrap();
    let rotated = [dids[1], dids[2], dids[0]];
    for (name, did) in names.into_iter().zip(rotated) {
        world.set_dids(name, [did]).await;
    }

    operator.run_again().await.unwrap();

    for (name, did) in names.into_iter().zip(rotated) {
        world.wait_live(did, Some(name)).await;
        wait_ready(&world, name, "True", "Published").await;
    }
    assert!(operator.logs().contains("publishing one after the other"), "it is logged");
    world.finish().await;
}
