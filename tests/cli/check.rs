//! `check`: before and after an install.

use local_cluster::RedisOptions;
use test_support::World;

use super::command::{run, run_with};

#[tokio::test]
async fn before_an_install_the_cluster_and_redis_are_checked() {
    let world = World::with_redis(RedisOptions::default().set("maxmemory-policy", "allkeys-lru")).await;
    let checked = run(&world, &["check", "--pre"]).await;
    assert_eq!(checked.code, 0, "warnings don't count");
    for line in [
        "✓ the API server answers (v1.",
        "✓ it is that of this program",
        "✓ it runs every command that a publish needs",
    ] {
        assert!(checked.out.contains(line), "{line}: {}", checked.out);
    }
    assert!(checked.out.contains("! maxmemory-policy evicts no key of a tenant"), "{}", checked.out);
    let short = run(&world, &["check", "--pre", "-o", "short", "--color", "never"]).await;
    assert!(!short.out.contains("the API server answers") && short.out.contains("note    "), "{}", short.out);
    let json = run(&world, &["check", "--pre", "-o", "json"]).await.json();
    assert_eq!(json["success"], true);
    let without = run_with(world.kubeconfig(), &[], &["check", "--pre"]).await;
    assert!(without.code == 2 && without.out.contains("--pre needs --redis-url"), "{without:?}");
    world.finish().await;
}

#[tokio::test]
async fn without_an_operator_the_check_fails() {
    let world = World::with_own_cluster().await;
    let checked = run(&world, &["check"]).await;
    assert_eq!(checked.code, 1);
    assert!(checked.out.contains("✗ an operator is installed"), "{}", checked.out);
    world.finish().await;
}
