//! A NAT, a load balancer or a firewall that silently forgets idle connections to Redis costs nothing.

use std::time::Duration;

use test_support::World;
use test_support::proxy::ForgetfulNat;

use super::{DID, apply_three};

#[tokio::test]
async fn a_nat_that_forgets_idle_connections_delays_no_edit() {
    let world = World::new().await;
    let idle = Duration::from_secs(6);
    let nat = ForgetfulNat::start(&world.redis().address(), idle).await;
    let operator = world.operator().env("REDIS_URL", format!("redis://{}/0", nat.address())).start().await;
    apply_three(&world).await;
    let epoch = operator.metric("runtime_operator_epoch").await;

    // Both connections live through a time in which they would have been forgotten.
    world
        .wait("two connections are kept alive", || async {
            match nat.older_than(idle * 2) {
                2 => Ok(()),
                count => Err(format!("{count}, and {} forgotten", nat.forgotten())),
            }
        })
        .await;

    world.set_dids("t0", [DID]).await;
    world.wait_ready("t0").await;
    assert_eq!(world.live(DID).await.as_deref(), Some("t0"));
    assert_eq!(world.event_count("t0", "PublishDelayed").await, 0);
    let now = operator.metric("runtime_operator_epoch").await;
    assert!((now - epoch).abs() < 0.5, "epoch {now} after {epoch}");
    world.finish().await;
}
