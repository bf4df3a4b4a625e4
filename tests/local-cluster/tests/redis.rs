//! Redis servers of every kind that the operator supports.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use local_cluster::{Redis, RedisOptions, SentinelOptions, Sentinels};
use redis::{AsyncCommands, Client, ErrorKind, ServerErrorKind};

async fn set(redis: &Redis, key: &str, value: &str) {
    redis.connection().await.unwrap().set::<_, _, ()>(key, value).await.unwrap();
}

async fn get(redis: &Redis, key: &str) -> Option<String> {
    redis.connection().await.unwrap().get(key).await.unwrap()
}

/// The timeout of a failover, which includes a Sentinel's pause (`TILT`, 30 s) after it was not scheduled for two seconds.
async fn wait_for(redis: &Redis, key: &str, value: &str) {
    let begin = Instant::now();
    while get(redis, key).await.as_deref() != Some(value) {
        assert!(begin.elapsed() < Duration::from_secs(90), "{key} is not {value}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn data_survives_a_kill_on_the_same_port() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    let address = redis.address();
    set(&redis, "a", "1").await;

    redis.restart().await.unwrap();

    assert_eq!((redis.address(), get(&redis, "a").await), (address, Some("1".into())));
}

#[tokio::test]
async fn an_in_memory_server_is_empty_after_a_restart() {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    set(&redis, "a", "1").await;

    redis.restart().await.unwrap();

    assert_eq!(get(&redis, "a").await, None);
}

#[tokio::test]
async fn a_frozen_server_replies_only_after_a_thaw() {
    let redis = Redis::start(RedisOptions::default()).await.unwrap();
    set(&redis, "a", "1").await;
    let mut connection = redis.connection().await.unwrap();

    redis.freeze().await.unwrap();
    let asked = tokio::time::timeout(Duration::from_millis(300), connection.get::<_, String>("a")).await;
    assert!(asked.is_err(), "a frozen server replied");

    redis.thaw().unwrap();
    assert_eq!(get(&redis, "a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn a_password_is_required_and_acl_rules_limit_a_user() {
    let options = RedisOptions::default().password("p@ss/word").user("limited", ">own ~mine:* +get +set");
    let redis = Redis::start(options).await.unwrap();
    set(&redis, "a", "1").await;

    let bare = Client::open(redis.bare_url()).unwrap();
    let error =
        bare.get_multiplexed_async_connection().await.unwrap().get::<_, String>("a").await.unwrap_err();
    assert_eq!(error.code(), Some("NOAUTH"), "{error}");

    let limited = Client::open(format!("redis://limited:own@{}", redis.address())).unwrap();
    let mut connection = limited.get_multiplexed_async_connection().await.unwrap();
    connection.set::<_, _, ()>("mine:a", "2").await.unwrap();
    let error = connection.get::<_, String>("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::NoPerm), "{error}");
}

#[tokio::test]
async fn tls_is_required_and_a_client_certificate_where_configured() {
    let redis = Redis::start(RedisOptions::default().tls().client_certificates()).await.unwrap();
    set(&redis, "a", "1").await;
    assert!(redis.url().starts_with("rediss://"));

    let plain = Client::open(redis.url().replace("rediss://", "redis://")).unwrap();
    assert!(plain.get_multiplexed_async_connection().await.is_err());

    let ca = std::fs::read(&redis.tls().unwrap().ca).unwrap();
    let certificates = redis::TlsCertificates { client_tls: None, root_cert: Some(ca) };
    let nameless = Client::build_with_tls(redis.url(), certificates).unwrap();
    let refused = match nameless.get_multiplexed_async_connection().await {
        Ok(mut connection) => connection.get::<_, String>("a").await.is_err(),
        Err(_) => true,
    };
    assert!(refused, "a client without a certificate got in");
}

#[tokio::test]
async fn bounded_memory_runs_out() {
    let redis = Redis::start(RedisOptions::default().max_memory("2mb")).await.unwrap();
    let mut connection = redis.connection().await.unwrap();

    let error =
        connection.set::<_, _, ()>("big", "x".repeat(4 << 20)).await.and(connection.set("b", "1").await);

    assert_eq!(error.map(|(): ()| ()).unwrap_err().code(), Some("OOM"));
}

#[tokio::test]
async fn a_replica_follows_its_primary_through_password_and_tls_and_refuses_writes() {
    let primary = Redis::start(RedisOptions::default().password("secret").tls()).await.unwrap();
    let replica = Redis::start(RedisOptions::default().replica_of(&primary)).await.unwrap();

    set(&primary, "a", "1").await;

    wait_for(&replica, "a", "1").await;
    let error = replica.connection().await.unwrap().set::<_, _, ()>("b", "2").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly), "{error}");
}

#[tokio::test]
async fn sentinels_promote_the_replica_when_the_primary_dies() {
    let primary = Redis::start(RedisOptions::default().password("secret")).await.unwrap();
    let replica = Redis::start(RedisOptions::default().replica_of(&primary)).await.unwrap();
    set(&primary, "a", "1").await;
    wait_for(&replica, "a", "1").await;
    let sentinels = Sentinels::start(&primary, SentinelOptions::default()).await.unwrap();
    assert_eq!(sentinels.primary().await.unwrap(), Some(primary.address()));

    primary.kill().await.unwrap();
    assert_eq!(sentinels.wait_failover(&primary.address()).await.unwrap(), replica.address());

    set(&replica, "a", "2").await;
    primary.restart().await.unwrap();
    wait_for(&primary, "a", "2").await;
}
