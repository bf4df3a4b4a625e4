//! The process ends within a few seconds, whatever its clients do.

use std::time::Duration;

use test_support::World;
use test_support::hostile::{ask_and_read_nothing, send_half};

#[tokio::test]
async fn half_requests_and_unread_responses_do_not_delay_the_end() {
    let world = World::new().await;
    let operator =
        world.operator().env("ENABLE_RUNTIME_ADMIN", "true").env("RUNTIME_ADMIN_AUTH", "none").start().await;
    let [telemetry, admin] =
        [operator.telemetry_url(), operator.admin_url()].map(|url| url.replace("http://", ""));
    let mut held = send_half(&telemetry, 1, "GET /livez HTTP/1.1\r\nhost").await;
    held.extend(send_half(&admin, 1, "GET /api/admin/runtime/health HTTP/1.1\r\nhost").await);
    let body = "POST /api/admin/runtime/dids/map HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{";
    held.extend(send_half(&admin, 1, body).await);
    let metrics = "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(300);
    held.push(ask_and_read_nothing(&telemetry, &metrics).await);
    // Later responses show that the connections above were accepted.
    assert!(operator.probe("livez").await.is_some());
    let health = format!("{}/api/admin/runtime/health", operator.admin_url());
    let health = reqwest::Client::builder().no_proxy().build().unwrap().get(health).send().await.unwrap();
    assert_eq!(health.status(), 200);

    let stopped = operator.stop().await.unwrap();

    // The times of a head, a body and an unread response are 10 s and more.
    assert!(stopped.status.success() && stopped.took < Duration::from_secs(9), "{stopped:?}");
    assert!(operator.logs().contains("shutdown complete"), "{}", operator.log_tail());
    drop(held);
    world.finish().await;
}

#[tokio::test]
async fn a_signal_during_startup_ends_the_process() {
    let world = World::with_own_cluster().await;
    world.cluster().api_server().kill().await.unwrap();
    // Without a cluster id the start waits for the API server.
    let operator = world.operator().without("CLUSTER_ID").spawn().await;
    world
        .wait("it waits for the API server", || async {
            if operator.logs().contains("API server unreachable") { Ok(()) } else { Err(operator.log_tail()) }
        })
        .await;
    let stopped = operator.stop().await.unwrap();
    assert!(stopped.status.success(), "{stopped:?}");
    assert!(operator.logs().contains("received signal during startup"), "{}", operator.log_tail());
    world.finish().await;
}
