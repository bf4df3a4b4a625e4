//! A tenant that takes a number over and can't be published does not hold up the tenant that gives it away.

use test_support::proxy::{ErrorResponse, PathFault};
use test_support::tenant;

use super::{ONE, Proxied, THREE, TWO};

/// A holder of two numbers, and a tenant that waits for the first one and whose Secret can't be read any more.
async fn holder_and_unreadable_taker() -> Proxied {
    let proxied = Proxied::start().await;
    proxied.apply(&tenant("holder").dids([ONE, TWO])).await;
    proxied.wait_ready("holder").await;
    proxied.apply(&tenant("taker").dids([THREE, ONE])).await;
    proxied.wait_condition("taker", "Ready", "False", "DidConflict").await;
    proxied.wait_live(THREE, Some("taker")).await;
    proxied.proxy.fail_path("/secrets/taker-webhook", ErrorResponse { code: 500, retry_after: None });
    proxied
}

#[tokio::test]
async fn a_number_is_released_although_the_secret_of_its_taker_cant_be_read() {
    let proxied = holder_and_unreadable_taker().await;

    proxied.set_dids("holder", [TWO]).await;

    proxied.wait_live(ONE, None).await;
    proxied.wait_ready("holder").await;
    for (reason, message) in proxied.events("holder").await {
        assert!(!message.contains("taker"), "{reason}: {message}");
    }
    proxied.proxy.heal_path();
    proxied.wait_live(ONE, Some("taker")).await;
    proxied.wait_ready("taker").await;
    proxied.world.finish().await;
}

#[tokio::test]
async fn a_holder_is_deleted_although_the_secret_of_its_taker_cant_be_read() {
    let proxied = holder_and_unreadable_taker().await;

    proxied.delete("holder").await;

    proxied.wait_deleted("holder").await;
    assert_eq!((proxied.live(ONE).await, proxied.live(TWO).await), (None, None));
    assert_eq!(proxied.live(THREE).await.as_deref(), Some("taker"), "what it had stays");
    proxied.proxy.heal_path();
    proxied.wait_live(ONE, Some("taker")).await;
    proxied.world.finish().await;
}

#[tokio::test]
async fn of_two_tenants_that_swap_numbers_the_readable_one_is_published() {
    let proxied = Proxied::start().await;
    proxied.apply(&tenant("acme").dids([ONE])).await;
    proxied.apply(&tenant("globex").dids([TWO])).await;
    for name in ["acme", "globex"] {
        proxied.wait_ready(name).await;
    }
    proxied.proxy.fail_path("/secrets/globex-webhook", PathFault::Html(502));

    proxied.set_dids("globex", [ONE]).await;
    proxied.set_dids("acme", [TWO]).await;

    proxied.wait_live(TWO, Some("acme")).await;
    proxied.proxy.heal_path();
    proxied.wait_live(ONE, Some("globex")).await;
    for name in ["acme", "globex"] {
        proxied.wait_ready(name).await;
    }
    proxied.world.finish().await;
}
