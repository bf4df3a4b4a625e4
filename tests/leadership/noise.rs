//! A leader retries what failed although other clients keep it busy.

use std::time::Duration;

use test_support::{World, tenant};

const DID: &str = "+15550100001";

#[tokio::test]
async fn a_failed_resync_is_retried_while_another_client_keeps_changing_keys() {
    let world = World::new().await;
    let operator = world.operator().start().await;
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    world.exempt([DID]);
    let mut connection = world.connection().await;
    let noise = tokio::spawn(async move {
        loop {
            let mut set = redis::cmd("SET");
            set.arg(format!("tenantmap:did:{DID}")).arg("stranger");
            set.query_async::<()>(&mut connection).await.unwrap();
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    });

    world.redis_cli(&["ACL", "SETUSER", "default", "-smembers"]).await;
    // The next write is fenced, and the new epoch begins with a resync.
    world.delete_key("runtime-operator:epoch").await;
    world.wait_not_ready(&operator, "NOPERM").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.redis_cli(&["ACL", "SETUSER", "default", "+smembers"]).await;

    world.wait_operator_ready(&operator).await;
    assert!(!noise.is_finished(), "it is ready again while the noise goes on");
    noise.abort();
    world.wait_live(DID, Some("acme")).await;
    world.finish().await;
}
