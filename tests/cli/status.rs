//! `status`: everything on one screen.

use test_support::{World, tenant};

use super::command::run;

#[tokio::test]
async fn all_tenants_are_counted_and_conflicts_and_drift_are_found() {
    let world = World::with_own_cluster().await;
    let _operator = world.operator().without("WATCH_NAMESPACES").start().await;
    world.apply(&tenant("acme").dids(["+15550400001", "+15550400002"])).await;
    world.wait_ready("acme").await;
    let fine = run(&world, &["status"]).await;
    assert!(
        fine.out.contains("tenants   1: 1 Ready, 0 not, 0 suspended; 2 of 2 numbers live"),
        "{}",
        fine.out
    );
    assert!(
        fine.out.contains("primary, noeviction") && fine.out.contains("operator  not found"),
        "{}",
        fine.out
    );
    assert_eq!(fine.code, 2, "no operator was found");

    world.apply(&tenant("late").dids(["+15550400001"])).await;
    world.wait_condition("late", "Ready", "False", "DidConflict").await;
    let namespace = world.namespace();
    let conflicts = run(&world, &["status", "-A", "--conflicts"]).await;
    assert_eq!(conflicts.code, 1);
    let row = format!("+15550400001  {namespace}/acme  {namespace}/late");
    assert!(conflicts.out.contains(&row) && conflicts.out.contains("1 DidConflict"), "{}", conflicts.out);
    let json = run(&world, &["status", "-A", "--conflicts", "-o", "json"]).await.json();
    assert_eq!(json["conflicts"][0]["waiting"], format!("{namespace}/late"));
    assert_eq!(json["tenants"]["reasons"]["DidConflict"], 1);
    world.finish().await;
}

#[tokio::test]
async fn drift_is_found_once_a_person_agrees() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().without("WATCH_NAMESPACES").start().await;
    world.apply(&tenant("acme").dids(["+15550400003"])).await;
    world.apply(&tenant("other").dids(["+15550400004"])).await;
    world.wait_ready("acme").await;
    world.wait_ready("other").await;
    operator.stop().await.unwrap();
    assert_eq!(run(&world, &["status", "-A", "--drift"]).await.code, 2, "nothing was agreed to");
    let none = run(&world, &["status", "-A", "--drift", "--yes"]).await;
    assert!(none.out.contains("drift     none"), "{}", none.out);

    world.exempt_all();
    world.delete_key("tenantmap:did:+15550400003").await;
    world.set_key("tenantcfg:other", "{}").await;
    let found = run(&world, &["status", "-A", "--drift", "--yes"]).await;
    assert_eq!(found.code, 1);
    for line in [
        "tenantmap:did:+15550400003: not mapped",
        "tenantcfg:other: another config than the operator has published",
    ] {
        assert!(found.out.contains(line), "{line}: {}", found.out);
    }
    world.close().await;
}
