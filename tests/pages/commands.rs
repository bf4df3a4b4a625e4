//! Runs each page, command by command, on a cluster, a Redis and an operator of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use local_cluster::RedisOptions;
use regex::Regex;
use runtime_operator::store::PERMISSIONS;
use test_support::{Operator, OperatorBuilder, Shell, World, tenant};

const PASSWORD: &str = "operators-own";

fn page(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)).unwrap()
}

/// Runs a page's commands with these variables in addition to those that every page has.
async fn run(name: &str, world: &World, operator: &Operator, more: &[(&str, &str)]) {
    let (telemetry, redis, admin) = (operator.telemetry_url(), world.redis().url(), operator.admin_url());
    let mut variables = vec![
        ("TELEMETRY", &*telemetry),
        ("NAMESPACE", world.namespace()),
        ("REDIS_URL", &*redis),
        ("URL", &*admin),
    ];
    variables.extend(more);
    // The longest name first, since $REDIS_URL begins with $REDIS.
    variables.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let ran = Shell::start(world.kubeconfig(), &variables).run_page(name, &page(name)).await;
    assert!(ran >= 3, "{name} has only {ran} commands");
}

/// Runs a page that breaks Redis on purpose: the reader ignores violations.
async fn world_without_reader(options: RedisOptions) -> World {
    let world = World::with_redis(options).await;
    world.exempt_all();
    world
}

#[tokio::test]
async fn backup_and_restore() {
    let world = world_without_reader(RedisOptions::default()).await;
    let operator = world.operator().start().await;
    let folder = tempfile::tempdir().unwrap();
    run("backup.md", &world, &operator, &[("BACKUP", folder.path().to_str().unwrap())]).await;
    world.close().await;
}

fn limited(world: &World) -> OperatorBuilder<'_> {
    let url = world.redis().url().replace("redis://", &format!("redis://operator:{PASSWORD}@"));
    world.operator().env("REDIS_URL", url)
}

#[tokio::test]
async fn security_with_exactly_the_permissions_of_the_page() {
    let user = format!(">{PASSWORD} {PERMISSIONS}");
    let world = world_without_reader(RedisOptions::default().user("operator", &user)).await;
    let operator = limited(&world).start().await;
    let passwords = [("OPERATOR_PASSWORD", PASSWORD), ("RUNTIME_PASSWORD", "runtimes-own")];

    run("security.md", &world, &operator, &passwords).await;

    // Everything that an operator does with Redis, of which nothing was rejected.
    world.apply(&tenant("acme").dids(["+15551238001", "+15551238002"])).await;
    world.wait_ready("acme").await;
    world.apply_secret("acme-webhook", "rotated").await;
    world
        .wait("the rotated secret is published", || async {
            let config = world.config("acme").await.unwrap_or_default();
            if config["webhookSecret"] == "rotated" { Ok(()) } else { Err(format!("{config}")) }
        })
        .await;
    world.redis_cli(&["FLUSHALL"]).await;
    world
        .wait("everything is restored", || async { world.live("+15551238001").await.ok_or_else(String::new) })
        .await;
    world.delete("acme").await;
    world.wait_deleted("acme").await;
    let log: Vec<redis::Value> = redis::from_redis_value(world.redis_cli(&["ACL", "LOG"]).await).unwrap();
    let refused: Vec<String> = log.iter().map(|entry| format!("{entry:?}")).collect();
    let of_ours: Vec<&String> =
        refused.iter().filter(|entry| entry.contains("name=runtime-operator")).collect();
    assert!(of_ours.is_empty(), "{of_ours:?}");
    world.close().await;
}

#[test]
fn the_page_on_security_lists_exactly_the_permissions_that_the_operator_checks() {
    let text = page("security.md");
    let line = text.lines().find(|line| line.contains("acl setuser operator")).unwrap();
    let rule = Regex::new(r"(?:^|\s)'?([~+][^\s']+)'?").unwrap();
    let shown: BTreeSet<String> = rule.captures_iter(line).map(|found| found[1].replace('\\', "")).collect();
    let needed: BTreeSet<String> = PERMISSIONS.split_whitespace().map(str::to_owned).collect();
    assert_eq!(shown, needed);
}

#[tokio::test]
async fn scaling() {
    let world = World::new().await;
    let operator = world.operator().leader_elect().start().await;
    run("scaling.md", &world, &operator, &[]).await;
    world.finish().await;
}

#[tokio::test]
async fn several_clusters_on_one_redis() {
    let mut world = World::new().await;
    let one = world.namespace().to_owned();
    let operator = world.operator().env("CLUSTER_ID", "one").env("WATCH_NAMESPACES", &one).start().await;
    let two = world.add_namespace().await;
    let _other = world.operator().env("CLUSTER_ID", "two").env("WATCH_NAMESPACES", &two).start().await;
    run("multi-cluster.md", &world, &operator, &[("ONE", &one), ("TWO", &two)]).await;
    world.finish().await;
}

#[tokio::test]
async fn gitops() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    run("gitops.md", &world, &operator, &[]).await;
    world.finish().await;
}

#[tokio::test]
async fn migration_from_the_imperative_publisher() {
    let world = world_without_reader(RedisOptions::default()).await;
    let operator =
        world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUNTIME_ADMIN_AUTH", "none").start().await;
    run("migration.md", &world, &operator, &[("TOKEN", "anybodys")]).await;
    world.close().await;
}
