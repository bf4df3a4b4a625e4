//! Values that another client wrote may be huge: no script decodes one above 1 MiB, or reads all of a larger one.

use runtime_operator::store::{Applied, Operation};

use test_support::store_fixture::*;

const A: &str = "+15550000001";
const B: &str = "+15550000002";
const HUGE: usize = 64 << 20;

/// The memory of Redis' script engine, right after a script.
async fn script_memory(world: &World) -> usize {
    let info: String = world.run("INFO memory").await;
    let field = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory_vm_eval:").or(line.strip_prefix("used_memory_lua:")));
    field.unwrap().trim().parse().unwrap()
}

/// A value of which each script would have to copy everything.
async fn huge(world: &World, key: &str) {
    let _: i64 = world.run(&format!("DEL {key}")).await;
    let _: i64 = world.run(&format!("SETRANGE {key} {HUGE} x")).await;
}

/// Returns an older publisher's config of a bit more than 1 MiB.
fn large(tenant: &str, dids: &[&str]) -> String {
    serde_json::json!({ "tenantId": tenant, "dids": dids, "x": "x".repeat(1 << 20) }).to_string()
}

#[tokio::test]
async fn a_huge_external_value_is_not_copied_by_any_script() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.apply_one(acme.clone()).await;
    let (config, mapping) = ("tenantcfg:acme", format!("tenantmap:did:{A}"));
    let small = async |what: &str| {
        let memory = script_memory(&world).await;
        assert!(memory < HUGE / 4, "{what}: {memory}");
    };
    for key in [config, &*mapping] {
        huge(&world, key).await;
        assert!(!world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact);
        small("inspect").await;
        assert_eq!(world.apply_one(acme.clone()).await, published());
        small("apply").await;
    }
    huge(&world, config).await;
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    small("remove").await;
    huge(&world, "tenantcfg:globex").await;
    assert!(world.store.map(&parse_did(B), &tenant_id("globex")).await.unwrap());
    small("map").await;
    huge(&world, &format!("tenantmap:did:{B}")).await;
    assert!(world.store.unmap(&parse_did(B)).await.unwrap().is_some());
    small("unmap").await;
}

#[tokio::test]
async fn a_large_config_of_the_same_bytes_is_adopted() {
    let world = World::new().await;
    let text = "x".repeat((1 << 20) + 1000);
    let acme = tenant("acme", &[A]).with_text(&text);
    world.set("tenantcfg:acme", &acme.json()).await;
    assert!(matches!(world.apply_one(acme.clone()).await, Applied::Published { .. }));
    assert!(world.store.inspect(&[tenant_id("acme")]).await.unwrap()[0].intact);
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.config("acme").await, None);
}

#[tokio::test]
async fn a_removal_keeps_a_large_external_config() {
    let world = World::new().await;
    let acme = tenant("acme", &[A]);
    world.apply_one(acme.clone()).await;
    let large = large("acme", &[A, B]);
    world.set("tenantcfg:acme", &large).await;
    world.set(&format!("tenantmap:did:{B}"), "acme").await;
    assert_eq!(world.apply_one(Operation::Remove(acme.removal())).await, Applied::Removed { keys: true });
    assert_eq!(world.config("acme").await, Some(large), "a number may need it");
    assert_eq!(world.tenant_of(A).await, None);
}
