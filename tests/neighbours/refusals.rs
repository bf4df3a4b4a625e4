//! A refusal is taken for an answer only where the API server itself gives it; any other is tried again.

use hyper::Method;
use test_support::proxy::PathFault;
use test_support::{World, tenant};

use super::{ONE, Proxied, is_guarded, wait_guarded};

const POLICY: &str = "runtimetenants.runtime.veralux.io \"acme\" is forbidden: ValidatingAdmissionPolicy 'freeze' with \
                      binding 'freeze' denied request: changes are frozen";

#[tokio::test]
async fn a_finalizer_that_a_policy_refuses_is_tried_again_and_the_status_is_written() {
    for (code, reason) in [(403, "Forbidden"), (422, "Invalid")] {
        let proxied = Proxied::start().await;
        let fault = PathFault::Refusal(code, reason, POLICY);
        proxied.proxy.fail_requests(Method::PATCH, "/runtimetenants/acme", fault);
        proxied.apply(&tenant("acme").dids([ONE])).await;
        // Ready, although it has no finalizer.
        proxied.wait_condition("acme", "Ready", "True", "Published").await;
        proxied.wait_failed(1).await;
        assert!(!is_guarded(&proxied, "acme").await);

        proxied.proxy.heal_path();

        wait_guarded(&proxied, "acme").await;
        proxied.world.finish().await;
    }
}

#[tokio::test]
async fn a_clean_stop_writes_the_finalizers_that_are_still_missing() {
    let proxied = Proxied::start().await;
    let fault = PathFault::Refusal(403, "Forbidden", POLICY);
    proxied.proxy.fail_requests(Method::PATCH, "/runtimetenants/acme", fault);
    proxied.apply(&tenant("acme").dids([ONE])).await;
    proxied.wait_condition("acme", "Ready", "True", "Published").await;
    // The next attempt is seconds away.
    proxied.wait_failed(3).await;
    proxied.proxy.heal_path();

    proxied.operator.stop().await.unwrap();

    assert!(is_guarded(&proxied, "acme").await);
    proxied.world.finish().await;
}

#[tokio::test]
async fn a_page_of_a_proxy_in_place_of_a_status_write_is_tried_again() {
    let proxied = Proxied::start().await;
    proxied.proxy.fail_path("/runtimetenants/acme/status", PathFault::Html(404));
    proxied.apply(&tenant("acme").dids([ONE])).await;
    proxied.wait_live(ONE, Some("acme")).await;
    proxied.wait_failed(2).await;

    proxied.proxy.heal_path();

    proxied.wait_ready("acme").await;
    proxied.world.finish().await;
}

#[tokio::test]
async fn a_page_of_a_proxy_in_place_of_a_secret_is_no_missing_secret() {
    let proxied = Proxied::start().await;
    proxied.proxy.fail_path("/secrets/acme-webhook", PathFault::Html(404));
    proxied.apply(&tenant("acme").dids([ONE])).await;

    let message = proxied.wait_condition("acme", "Ready", "Unknown", "SecretUnreadable").await;
    assert!(message.contains("404") && !message.contains('<'), "{message}");

    proxied.proxy.heal_path();
    proxied.wait_ready("acme").await;
    proxied.world.finish().await;
}

#[tokio::test]
async fn nothing_is_ready_before_its_keys_are_guarded() {
    let proxied = Proxied::start().await;
    let slow = PathFault::Slow(std::time::Duration::from_secs(2));
    proxied.proxy.fail_requests(Method::PATCH, "/runtimetenants/acme", slow);
    proxied.apply(&tenant("acme").dids([ONE])).await;

    proxied.wait_condition("acme", "Ready", "True", "Published").await;

    assert!(is_guarded(&proxied, "acme").await);
    proxied.world.finish().await;
}

#[tokio::test]
async fn names_that_are_longer_than_those_of_events_may_be_get_their_events() {
    let world = World::new().await;
    world.operator().env("POD_NAME", "p".repeat(140)).start().await;
    let name = "a".repeat(240);
    world.apply(&tenant("acme").named(&name).dids([ONE])).await;

    world.wait_event(&name, "Published").await;
    world.finish().await;
}
