//! The status is true while something fails: resources that wait for a change say so, and what is live still; no other is
//! written.

use local_cluster::RedisOptions;
use serde_json::{Value, json};
use test_support::proxy::{FaultInjector, KubeProxy, PathFault};
use test_support::{Operator, World, tenant};

use super::refusals::failed;
use super::{DID, OTHER, apply_three, versions};

const STATUS_WRITES: &str = "runtime_operator_status_writes_total";

/// Begins an outage, edits `t0`, applies the new tenant `new`, and checks what their statuses say; `more` waits for further
/// attempts, none of which writes a status.
async fn edit_in_an_outage(
    world: &World,
    operator: &Operator,
    (reason, words): (&str, &str),
    begin: impl AsyncFnOnce(),
    more: impl AsyncFnOnce(),
) {
    let before = versions(world).await;
    let published = world.status("t0").await;
    let writes = operator.metric(STATUS_WRITES).await;
    begin().await;

    world.patch("t0", json!({ "spec": { "dids": ["+15550000000", OTHER] } })).await;
    world.apply(&tenant("new").dids([DID])).await;

    let edited = world.wait_condition("t0", "Ready", "Unknown", reason).await;
    assert!(edited.starts_with(words) && edited.ends_with("; 1 number stays live"), "{edited}");
    let new = world.wait_condition("new", "Ready", "Unknown", reason).await;
    assert!(new.starts_with(words) && new.ends_with("; nothing is live"), "{new}");
    world.wait_condition("t0", "Published", "Unknown", reason).await;
    world.wait_condition("t0", "Reconciling", "True", reason).await;
    let status = world.status("t0").await;
    assert_eq!((&status["observedGeneration"], &status["dids"]), (&json!(2), &json!("1/2")));
    for kept in ["publishedDids", "publishedDidCount", "publishedHash", "lastPublishedTime"] {
        assert_eq!(status[kept], published[kept], "{kept}: Redis holds what it held");
    }
    more().await;
    let more = operator.metric(STATUS_WRITES).await - writes;
    assert!((more - 2.0).abs() < 0.5, "one write for each changed tenant, not {more}");
    assert_eq!(versions(world).await[1..], before[1..]);
    let log = operator.logs();
    let line = log.lines().find(|line| line.contains("Ready changed") && line.contains(reason));
    assert!(line.is_some_and(|line| line.contains(world.namespace())), "{log}");
}

async fn assert_caught_up(world: World) {
    for name in ["t0", "new"] {
        world.wait_ready(name).await;
    }
    assert_eq!(world.live(OTHER).await.as_deref(), Some("t0"));
    assert_eq!(world.live(DID).await.as_deref(), Some("new"));
    assert_eq!(world.status("t0").await["dids"], "2/2");
    world.finish().await;
}

#[tokio::test]
async fn a_full_redis_shows_in_each_changed_status_and_in_no_other() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    let said = ("RedisOutOfMemory", "Redis is out of memory: raise maxmemory or remove keys");
    let begin = async || {
        world.redis_cli(&["CONFIG", "SET", "maxmemory", "1"]).await;
    };
    let more = async || {
        let so_far = failed(&operator, "RedisOutOfMemory").await;
        let retries = || async {
            let now = failed(&operator, "RedisOutOfMemory").await;
            if now >= so_far + 4.0 { Ok(()) } else { Err(format!("{now} failures")) }
        };
        world.wait("more retries", retries).await;
    };
    edit_in_an_outage(&world, &operator, said, begin, more).await;

    assert!(operator.logs().contains("reconcile failed, retrying"), "{}", operator.log_tail());
    world.redis_cli(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert_caught_up(world).await;
}

#[tokio::test]
async fn a_frozen_redis_shows_in_each_changed_status_and_in_no_other() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    let begin = async || {
        world.redis().freeze().await.unwrap();
    };
    // The tenants wait for the answer at first, and then for the end of the outage.
    let more = async || {
        world.wait_not_ready(&operator, "RedisTimedOut").await;
    };
    edit_in_an_outage(&world, &operator, ("RedisTimedOut", "Redis "), begin, more).await;

    world.redis().thaw().unwrap();
    assert_caught_up(world).await;
}

#[tokio::test]
async fn an_unreachable_redis_shows_in_each_changed_status_and_in_no_other() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    apply_three(&world).await;

    let begin = async || {
        world.redis().kill().await.unwrap();
    };
    let more = async || {
        let failed = "runtime_operator_redis_connections_total";
        let so_far = operator.metric(failed).await;
        world.wait_metric(&operator, failed, so_far + 4.0).await;
    };
    let said = ("RedisUnreachable", "Redis can't be reached at ");
    edit_in_an_outage(&world, &operator, said, begin, more).await;

    world.redis().restart().await.unwrap();
    assert_caught_up(world).await;
}

#[tokio::test]
async fn a_fault_of_the_spec_shows_while_redis_is_away() {
    let world = World::new().await;
    let _operator = world.operator().start().await;
    apply_three(&world).await;
    world.redis().kill().await.unwrap();

    world.patch("t0", json!({ "spec": { "webhookSecretRef": { "name": "none" } } })).await;
    world.patch("t1", json!({ "spec": { "suspend": true } })).await;

    let missing = world.wait_condition("t0", "Ready", "False", "SecretNotFound").await;
    assert!(missing.ends_with("; 1 number stays live"), "{missing}");
    let suspended = world.wait_condition("t1", "Ready", "True", "Suspended").await;
    assert!(suspended.ends_with("; 1 number stays live"), "{suspended}");
    world.redis().restart().await.unwrap();
    world.wait_condition("t1", "Ready", "True", "Suspended").await;
    world.finish().await;
}

#[tokio::test]
async fn a_replica_that_has_not_read_redis_leaves_what_statuses_say_of_it() {
    let world = World::with_redis(RedisOptions::default()).await;
    let earlier = world.operator().start().await;
    apply_three(&world).await;
    earlier.stop().await.unwrap();
    let (published, before) = (world.status("t0").await, versions(&world).await);
    world.redis().kill().await.unwrap();

    let _operator = world.operator().spawn().await;
    world.patch("t0", json!({ "spec": { "dids": [OTHER] } })).await;

    let message = world.wait_condition("t0", "Ready", "Unknown", "RedisUnreachable").await;
    assert!(message.ends_with("; 1 number stays live"), "{message}");
    let status = world.status("t0").await;
    for kept in ["publishedDids", "publishedDidCount", "publishedHash", "lastPublishedTime"] {
        assert_eq!(status[kept], published[kept], "{kept} decides who is live after a loss");
    }
    let conditions = status["conditions"].as_array().unwrap();
    let of = |kind: &str| conditions.iter().find(|is| is["type"] == kind).unwrap()["status"].clone();
    let unknown: Vec<Value> = ["SecretResolved", "DidsClaimed", "Published"].map(of).into();
    assert_eq!(unknown, ["Unknown", "Unknown", "Unknown"]);
    assert_eq!(versions(&world).await[1..], before[1..]);
    world.redis().restart().await.unwrap();
    world.wait_ready("t0").await;
    world.finish().await;
}

#[tokio::test]
async fn a_secret_that_cant_be_read_shows_in_one_line_while_it_lasts() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    let operator = world.operator().kubeconfig(&kubeconfig).start().await;
    let secret = format!("Secret {}/acme-webhook could not be read: ", world.namespace());
    proxy.fail_path("/secrets/acme-webhook", PathFault::Html(502));

    world.apply(&tenant("acme").dids([DID])).await;

    let message = world.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    let cause = "the API server, or a proxy before it, answered 502 Bad Gateway";
    assert_eq!(message, format!("{secret}{cause}; nothing is live"));
    let event = world.wait_event("acme", "PublishDelayed").await;
    assert_eq!(event, format!("not published yet (SecretUnreadable), retrying: {secret}{cause}"));
    let log = operator.logs();
    let line = log.lines().find(|line| line.contains("reconcile failed, retrying"));
    assert!(line.is_some_and(|line| line.contains(cause) && line.contains("acme")), "{log}");
    assert!(!log.to_lowercase().contains("<html"), "{log}");
    proxy.heal_path();
    world.wait_ready("acme").await;

    // The request hangs: the status says so before it fails.
    proxy.fail_path("/secrets/acme-webhook", PathFault::Never);
    world.apply_secret("acme-webhook", "rotated").await;
    let message = world.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    assert!(message.ends_with("; 1 number stays live"), "{message}");
    proxy.heal_path();
    world.wait_ready("acme").await;
    world.finish().await;
}
