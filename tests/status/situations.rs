//! Prints what a new user sees of staged situations: `kubectl get rtenant -o wide`, `kubectl describe` and the log, to be read
//! by a person. `cargo test --test status -- --ignored --nocapture what_a_new_user_sees`.

use serde_json::json;
use test_support::proxy::{FaultInjector, KubeProxy, PathFault};
use test_support::{Operator, World};

use super::{DID, OTHER, apply_all_that_is_wrong};

/// Prints what is shown of a resource, and the log's lines about it.
fn show(world: &World, operator: &Operator, what: &str, name: &str) {
    println!("==== {what}\n{}", world.kubectl_text(&["get", "rtenant", name, "-o", "wide"]));
    let described = world.kubectl_text(&["describe", "rtenant", name]);
    println!("{}", described.split_once("Status:").map_or("", |(_, status)| status));
    let log = operator.logs();
    let ours = log.lines().filter(|line| !line.contains("\"level\":\"TRACE\"") && !line.contains("DEBUG"));
    let lines: Vec<_> = ours.collect();
    println!("-- log\n{}", lines[lines.len().saturating_sub(8)..].join("\n"));
}

#[tokio::test]
#[ignore = "it prints texts for a person to read"]
async fn what_a_new_user_sees() {
    let world = World::new().await;
    world.exempt_all();
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    let operator = world
        .operator()
        .kubeconfig(&kubeconfig)
        .env("RUST_LOG", "info")
        .env("LOG_FORMAT", "text")
        .start()
        .await;
    apply_all_that_is_wrong(&world).await;
    for name in ["no-secret", "one-number", "in-use", "adopt", "theirs", "suspended"] {
        world
            .wait("a status", || async { world.condition(name, "Ready").await.ok_or_else(String::new) })
            .await;
        show(&world, &operator, name, name);
    }
    world
        .patch("in-use", json!({ "metadata": { "annotations": { "runtime.veralux.io/take-over": "true" } } }))
        .await;
    world.wait_ready("in-use").await;
    world.wait_event("in-use", "TakenOver").await;
    show(&world, &operator, "a takeover", "in-use");

    proxy.fail_path("/secrets/ready-webhook", PathFault::Html(502));
    world.apply_secret("ready-webhook", "rotated").await;
    world.wait_condition("ready", "Ready", "Unknown", "SecretUnreadable").await;
    show(&world, &operator, "a Secret behind a broken proxy", "ready");
    proxy.heal_path();
    world.wait_ready("ready").await;

    world.redis_cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    world.set_dids("ready", [DID, "+15550009991"]).await;
    world.wait_condition("ready", "Ready", "Unknown", "RedisOutOfMemory").await;
    show(&world, &operator, "a full Redis", "ready");
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    world.wait_ready("ready").await;

    world.redis_cli(&["ACL", "SETUSER", "default", "-evalsha"]).await;
    world.set_dids("ready", [DID]).await;
    world.wait_condition("ready", "Ready", "Unknown", "RedisNoPermission").await;
    show(&world, &operator, "a missing right", "ready");
    world.redis_cli(&["ACL", "SETUSER", "default", "+evalsha"]).await;
    world.wait_ready("ready").await;

    // Each deletion follows a repair: deletions before it would cost one repair together.
    for _ in 0..60 {
        world.wait_live(DID, Some("ready")).await;
        world.delete_key(&format!("tenantmap:did:{DID}")).await;
    }
    world.wait_event("ready", "KeysContested").await;
    show(&world, &operator, "a repair storm", "ready");

    world.redis().kill().await.unwrap();
    world.set_dids("ready", [DID, OTHER]).await;
    world.wait_condition("ready", "Ready", "Unknown", "RedisUnreachable").await;
    show(&world, &operator, "no Redis", "ready");
    world.redis().restart().await.unwrap();
    world.close().await;
}
