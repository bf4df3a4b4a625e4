//! Watches that are interrupted or refused: it is said which, and they are resumed soon.

use test_support::proxy::{FaultInjector, KubeProxy, PathFault};
use test_support::{Operator, World, tenant};

const DID: &str = "+15551234567";
const OTHER: &str = "+15557654321";
const FORBIDDEN: &str =
    "runtimetenants.runtime.veralux.io is forbidden: User \"operator\" cannot list resource";

/// An operator behind a proxy to the API server, with one published tenant.
async fn behind_a_proxy() -> (World, KubeProxy, Operator) {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    let operator = world.operator().kubeconfig(&kubeconfig).start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    (world, proxy, operator)
}

/// The time for which the watch of a resource has been interrupted, by the metric.
async fn interrupted(operator: &Operator, resource: &str) -> f64 {
    let text = operator.metrics().await;
    let name = format!("runtime_operator_watch_interrupted_seconds{{resource=\"{resource}\"");
    let line = text.lines().find(|line| line.starts_with(&name)).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_refused_watch_is_named_until_it_is_granted_again() {
    let (world, proxy, operator) = behind_a_proxy().await;
    assert!(interrupted(&operator, "runtimetenants").await < 0.001);

    proxy.fail_path("/runtimetenants", PathFault::Refusal(403, "Forbidden", FORBIDDEN));
    proxy.cut_open();

    let why = world.wait_not_ready(&operator, "runtimetenants").await;
    let named = format!("can't watch runtimetenants in the namespace {}: ", world.namespace());
    assert!(why.contains(&named) && why.contains(FORBIDDEN), "{why}");
    assert!(!why.contains("secrets"), "the other watch works: {why}");
    assert!(interrupted(&operator, "runtimetenants").await > 0.0);
    assert!(interrupted(&operator, "secrets").await < 0.001);
    assert!(operator.logs().contains("watch interrupted; retrying"));
    world.patch("acme", serde_json::json!({ "spec": { "dids": [OTHER] } })).await;

    proxy.heal_path();

    world.wait_operator_ready(&operator).await;
    assert!(interrupted(&operator, "runtimetenants").await < 0.001);
    world.wait_live(OTHER, Some("acme")).await;
    world.finish().await;
}

#[tokio::test]
async fn a_watch_that_is_refused_at_the_start_is_named_in_place_of_starting() {
    let world = World::new().await;
    let proxy = KubeProxy::start(world.kubeconfig(), FaultInjector::default()).await;
    let kubeconfig = world.write_file("proxy.kubeconfig", &proxy.kubeconfig(world.namespace()));
    proxy.fail_path("/secrets", PathFault::Html(404));

    let operator = world.operator().kubeconfig(&kubeconfig).spawn().await;

    let why = world.wait_not_ready(&operator, "secrets").await;
    assert!(
        why.contains("can't list secrets") && why.contains("or a proxy before it, answered 404"),
        "{why}"
    );
    assert!(!why.contains('<') && !why.contains("starting"), "{why}");
    proxy.heal_path();
    world.wait_operator_ready(&operator).await;
    world.finish().await;
}

#[tokio::test]
async fn a_crd_that_was_deleted_and_made_again_is_watched_again() {
    let world = World::with_own_cluster().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;

    world.kubectl_text(&["delete", "crd", "runtimetenants.runtime.veralux.io"]);

    world.wait_live(DID, None).await;
    let why = world.wait_not_ready(&operator, "runtimetenants").await;
    assert!(why.contains("can't watch runtimetenants") || why.contains("can't list runtimetenants"), "{why}");

    world.kubectl_text(&["create", "-f", &format!("{}/crds/runtimetenants.yaml", test_support::REPOSITORY)]);
    world.kubectl_text(&[
        "wait",
        "--for=condition=Established",
        "crd/runtimetenants.runtime.veralux.io",
        "--timeout=60s",
    ]);

    world.wait_operator_ready(&operator).await;
    world.apply(&tenant("acme").dids([OTHER])).await;
    world.wait_ready("acme").await;
    world.finish().await;
}
