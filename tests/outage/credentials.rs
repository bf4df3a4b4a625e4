//! Credentials that change while the operator runs: a rotation in the right order goes unnoticed, one in the wrong order is
//! reported; neither needs a restart.

use local_cluster::RedisOptions;
use test_support::{Operator, World, tenant};

use super::refusals::edit_meanwhile;
use super::{DID, OTHER};

/// Returns the number of resyncs, one for each connection that an operator has made for tracking.
fn resyncs(operator: &Operator) -> usize {
    operator.logs().matches("checking all ownership records in Redis").count()
}

/// Closes the operator's connections, and waits until it has new ones.
async fn reconnect(world: &World, operator: &Operator) {
    let before = resyncs(operator);
    world.redis_cli(&["CLIENT", "KILL", "USER", "operator"]).await;
    world
        .wait("it is connected again", || async {
            let now = resyncs(operator);
            if now > before { Ok(()) } else { Err(format!("{now} connections so far")) }
        })
        .await;
    world.wait_operator_ready(operator).await;
}

async fn acme_by(world: &World, operator: &Operator) {
    world.apply(&tenant("acme").dids([DID])).await;
    world.wait_ready("acme").await;
    assert_eq!(operator.probe("readyz").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_password_rotated_in_its_file_is_used_by_the_next_connection() {
    let world = World::with_redis(RedisOptions::default().user("operator", ">first ~* &* +@all")).await;
    let file = world.write_file("password", "first\n");
    let builder = world.operator().env("REDIS_URL", world.redis().bare_url().replace("://", "://operator@"));
    let operator = builder.env("REDIS_PASSWORD_FILE", file.to_str().unwrap()).start().await;
    acme_by(&world, &operator).await;

    // Both passwords are valid for a while, as in every rotation without an outage.
    world.redis_cli(&["ACL", "SETUSER", "operator", ">second"]).await;
    world.write_file("password", "second\n");
    world.redis_cli(&["ACL", "SETUSER", "operator", "<first"]).await;
    reconnect(&world, &operator).await;
    world.set_dids("acme", [DID, "+15550001111"]).await;
    world.wait_ready("acme").await;
    assert!(!operator.logs().contains("rejected the user or password"), "{}", operator.logs());

    // The file is updated too late.
    world.redis_cli(&["ACL", "SETUSER", "operator", "resetpass", ">third"]).await;
    world.redis_cli(&["CLIENT", "KILL", "USER", "operator"]).await;
    world.wait_not_ready(&operator, "rejected the user or password").await;
    let words = ["rejected the user or password", "check the credential files"];
    edit_meanwhile(&world, &operator, ("RedisWrongPassword", &words), async || {
        world.write_file("password", "third\n");
    })
    .await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    world.finish().await;
}

#[tokio::test]
async fn a_renewed_server_certificate_is_accepted_and_a_new_authority_is_reported() {
    let options = RedisOptions::default().tls().user("operator", ">secret ~* &* +@all");
    let world = World::with_redis(options).await;
    let authority = || std::fs::read_to_string(&world.redis().tls().unwrap().ca).unwrap();
    let ca = world.write_file("redis-ca.pem", &authority());
    let builder =
        world.operator().env("REDIS_URL", world.redis().bare_url().replace("://", "://operator:secret@"));
    let operator = builder.env("REDIS_CA_FILE", ca.to_str().unwrap()).start().await;
    acme_by(&world, &operator).await;

    world.redis().renew_certificate(false).await.unwrap();
    reconnect(&world, &operator).await;
    world.set_dids("acme", [DID, "+15550001111"]).await;
    world.wait_ready("acme").await;
    assert!(!operator.logs().contains("certificate"), "{}", operator.logs());

    world.redis().renew_certificate(true).await.unwrap();
    world.redis_cli(&["CLIENT", "KILL", "USER", "operator"]).await;
    world.wait_not_ready(&operator, "certificate").await;
    edit_meanwhile(
        &world,
        &operator,
        ("RedisUnreachable", &["can't be reached", "certificate"]),
        async || {
            world.write_file("redis-ca.pem", &authority());
        },
    )
    .await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    world.finish().await;
}
