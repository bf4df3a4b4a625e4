//! Credentials that change while the operator runs: whoever rotates them in the right order notices nothing, in the wrong
//! one is told what is wrong; neither needs a restart.

use local_cluster::RedisOptions;

use super::refusals::edit_meanwhile;
use super::support::{Operator, World, tenant};
use super::{DID, OTHER};

/// How often an operator has connected so that it follows what happens.
fn checks(operator: &Operator) -> usize {
    operator.logs().matches("everything in Redis is checked").count()
}

/// Ends the operator's connections, and waits until it has new ones.
async fn reconnect(world: &World, operator: &Operator) {
    let before = checks(operator);
    world.redis_cli(&["CLIENT", "KILL", "USER", "operator"]).await;
    world
        .wait("it is connected again", || async {
            let now = checks(operator);
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
async fn a_password_that_is_rotated_in_its_file_is_used_from_the_next_connection_on() {
    let world = World::with_redis(RedisOptions::default().user("operator", ">first ~* &* +@all")).await;
    let file = world.write_file("password", "first\n");
    let builder = world.operator().env("REDIS_URL", world.redis().bare_url().replace("://", "://operator@"));
    let operator = builder.env("REDIS_PASSWORD_FILE", file.to_str().unwrap()).start().await;
    acme_by(&world, &operator).await;

    // Both hold for a while, as with every rotation that is meant to go unnoticed.
    world.redis_cli(&["ACL", "SETUSER", "operator", ">second"]).await;
    world.write_file("password", "second\n");
    world.redis_cli(&["ACL", "SETUSER", "operator", "<first"]).await;
    reconnect(&world, &operator).await;
    world.set_dids("acme", [DID, "+15550001111"]).await;
    world.wait_ready("acme").await;
    assert!(!operator.logs().contains("refuses the user or password"), "{}", operator.logs());

    // The file comes too late.
    world.redis_cli(&["ACL", "SETUSER", "operator", "resetpass", ">third"]).await;
    world.redis_cli(&["CLIENT", "KILL", "USER", "operator"]).await;
    world.wait_not_ready(&operator, "refuses the user or password").await;
    let words = ["refuses the user or password", "check the credential files"];
    edit_meanwhile(&world, &operator, ("RedisWrongPassword", &words), async || {
        world.write_file("password", "third\n");
    })
    .await;
    assert_eq!(world.live(OTHER).await.as_deref(), Some("acme"));
    world.finish().await;
}

#[tokio::test]
async fn a_certificate_of_the_server_that_is_renewed_goes_unnoticed_and_a_new_authority_is_told() {
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
