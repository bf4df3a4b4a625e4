//! The shared connection: one for all callers, replaced when it breaks, with the current credentials.

use std::path::PathBuf;

use local_cluster::{Redis, RedisOptions, SentinelOptions, Sentinels};
use runtime_operator::domain::reason::Reason;
use runtime_operator::store::{Operation, RedisSettings, Store, StoreError};

use test_support::store_fixture::*;

const A: &str = "+15550000001";

async fn operator_connections(world: &World) -> usize {
    world.run::<String>("CLIENT LIST").await.matches("name=runtime-operator").count()
}

#[tokio::test]
async fn many_callers_share_one_connection() {
    let world = World::new().await;
    let calls = (0..200).map(|_| world.store.ping());
    futures::future::try_join_all(calls).await.unwrap();
    assert_eq!(operator_connections(&world).await, 1);
}

#[tokio::test]
async fn a_restart_is_hidden_from_the_next_caller() {
    let world = World::with(RedisOptions::default()).await;
    world.apply_one(tenant("acme", &[A])).await;
    world.redis.restart().await.unwrap();
    assert_eq!(world.tenant_of(A).await.as_deref(), Some("acme"));
    world.redis.restart().await.unwrap();
    let results = futures::future::join_all((0..50).map(|_| world.store.ping())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test]
async fn calls_in_an_outage_fail_immediately_and_recover_after_it() {
    let world = World::new().await;
    world.redis.stop().await.unwrap();
    for result in futures::future::join_all((0..50).map(|_| world.store.ping())).await {
        assert_eq!(result.unwrap_err().reason().as_str(), "RedisUnreachable");
    }
    world.redis.restart().await.unwrap();
    eventually(async || world.store.ping().await.is_ok()).await;
}

#[tokio::test]
async fn a_cancelled_call_does_not_cancel_the_shared_connect() {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let store = Store::new(settings(&redis.url())).unwrap();
    // The first call begins to connect when it is polled once.
    assert!(futures::FutureExt::now_or_never(store.ping()).is_none());
    store.ping().await.unwrap();
}

#[tokio::test]
async fn user_and_password_are_read_again_on_every_connect() {
    let folder = tempfile::tempdir().unwrap();
    let (user, password) = (folder.path().join("user"), folder.path().join("password"));
    std::fs::write(&user, "first\n").unwrap();
    std::fs::write(&password, "one\n").unwrap();
    let options = RedisOptions::default().in_memory().user("first", ">one ~* +@all").password("admin");
    let world = World::with(options).await;
    let store = Store::new(RedisSettings {
        username_file: Some(user.clone()),
        password_file: Some(password.clone()),
        // The files take precedence over the URL.
        ..settings(&format!("redis://x:y@{}", world.redis.address()))
    })
    .unwrap();
    store.ping().await.unwrap();

    let () = world.run("ACL SETUSER second on >two ~* +@all").await;
    std::fs::write(&user, "second").unwrap();
    std::fs::write(&password, "two\r\n").unwrap();
    store.ping().await.unwrap();
    // Redis closes the connections of a deleted user.
    let _: i64 = world.run("ACL DELUSER first").await;
    store.ping().await.unwrap();
    let clients: String = world.run("CLIENT LIST").await;
    assert!(
        clients.lines().any(|line| line.contains("name=runtime-operator") && line.contains("user=second"))
    );
}

#[tokio::test]
async fn tls_works_with_a_private_authority_and_a_client_certificate() {
    let redis = Redis::start(RedisOptions::default().in_memory().client_certificates()).await.unwrap();
    let files = redis.tls().unwrap().clone();
    let whole = RedisSettings {
        ca_file: Some(files.ca.clone()),
        cert_file: Some(files.cert.clone()),
        key_file: Some(files.key.clone()),
        ..settings(&redis.url())
    };
    Store::new(whole.clone()).unwrap().ping().await.unwrap();

    let anonymous = RedisSettings { cert_file: None, key_file: None, ..whole.clone() };
    let failed = Store::new(anonymous).unwrap().ping().await.unwrap_err();
    assert_eq!(failed.reason().as_str(), "RedisUnreachable", "{failed}");

    let other = Redis::start(RedisOptions::default().in_memory().tls()).await.unwrap();
    let distrusted = RedisSettings { ca_file: Some(other.tls().unwrap().ca.clone()), ..whole };
    let failed = Store::new(distrusted).unwrap().ping().await.unwrap_err();
    assert!(failed.to_string().contains("certificate"), "{failed}");
}

#[tokio::test]
async fn a_file_without_a_certificate_or_a_key_is_named() {
    let redis = Redis::start(RedisOptions::default().in_memory().client_certificates()).await.unwrap();
    let files = redis.tls().unwrap().clone();
    let folder = tempfile::tempdir().unwrap();
    let empty: PathBuf = folder.path().join("empty.pem");
    std::fs::write(&empty, "no PEM\n").unwrap();
    let whole = RedisSettings {
        ca_file: Some(files.ca.clone()),
        cert_file: Some(files.cert.clone()),
        key_file: Some(files.key.clone()),
        ..settings(&redis.url())
    };
    for (unusable, what) in [
        (RedisSettings { ca_file: Some(empty.clone()), ..whole.clone() }, "no certificate"),
        (RedisSettings { cert_file: Some(empty.clone()), ..whole.clone() }, "no certificate"),
        (RedisSettings { key_file: Some(empty.clone()), ..whole.clone() }, "no private key"),
        (RedisSettings { key_file: Some(files.cert.clone()), ..whole.clone() }, "no private key"),
    ] {
        let named = if what == "no private key" { unusable.key_file.clone() } else { Some(empty.clone()) };
        let error = Store::new(unusable).unwrap().ping().await.unwrap_err();
        let StoreError::File { file, cause } = &error else { panic!("{error}") };
        assert_eq!((Some(file), error.reason()), (named.as_ref(), Reason::RedisFileUnusable), "{error}");
        assert!(cause.contains(what), "{error}");
    }
    let sentinel = RedisSettings {
        sentinels: vec![redis.address()],
        sentinel_service: Some("any".to_owned()),
        ca_file: Some(empty.clone()),
        ..settings(&redis.url())
    };
    assert_eq!(Store::new(sentinel).unwrap().ping().await.unwrap_err().reason(), Reason::RedisFileUnusable);
}

#[tokio::test]
async fn certificate_files_are_read_again_on_every_connect() {
    let redis = Redis::start(RedisOptions::default().in_memory().tls()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca: PathBuf = folder.path().join("ca.pem");
    std::fs::write(&ca, "not yet").unwrap();
    let store = Store::new(RedisSettings { ca_file: Some(ca.clone()), ..settings(&redis.url()) }).unwrap();
    assert!(store.ping().await.is_err());
    std::fs::copy(&redis.tls().unwrap().ca, &ca).unwrap();
    eventually(async || store.ping().await.is_ok()).await;
}

#[tokio::test]
async fn sentinels_lead_to_the_primary_before_and_after_a_failover() {
    let primary = Redis::start(RedisOptions::default().password("s3cret")).await.unwrap();
    let replica = Redis::start(RedisOptions::default().replica_of(&primary)).await.unwrap();
    let sentinels = Sentinels::start(&primary, SentinelOptions::default()).await.unwrap();
    let mut addresses = sentinels.addresses();
    addresses.insert(0, "127.0.0.1:1".to_owned());
    let store = Store::new(RedisSettings {
        sentinels: addresses,
        sentinel_service: Some(sentinels.service().to_owned()),
        ..settings("redis://:s3cret@primary.invalid/0")
    })
    .unwrap();
    let epoch = store.acquire_epoch().await.unwrap();
    let cluster = runtime_operator::domain::ClusterId::new("here");
    let operation = || [Operation::from(tenant("acme", &[A]))];
    assert_eq!(store.apply(epoch, &cluster, &operation()).await, Ok(vec![published()]));

    primary.kill().await.unwrap();
    assert_eq!(sentinels.wait_failover(&primary.address()).await.unwrap(), replica.address());
    eventually(async || {
        let Ok(epoch) = store.acquire_epoch().await else { return false };
        store.apply(epoch, &cluster, &operation()).await.is_ok()
    })
    .await;
    assert_eq!(store.lookup(&parse_did(A)).await.unwrap().as_deref(), Some("acme"));
}

#[tokio::test]
async fn every_sentinel_without_the_service_is_named_in_the_error() {
    let redis = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    let sentinels =
        Sentinels::start(&redis, SentinelOptions { count: 1, quorum: 1, ..SentinelOptions::default() })
            .await
            .unwrap();
    let store = Store::new(RedisSettings {
        sentinels: vec!["127.0.0.1:1".to_owned(), sentinels.addresses().remove(0)],
        sentinel_service: Some("other".to_owned()),
        ..settings("redis://primary.invalid")
    })
    .unwrap();
    let StoreError::NoPrimary { service, cause } = store.ping().await.unwrap_err() else { panic!() };
    assert_eq!(service, "other");
    assert!(cause.contains("127.0.0.1:1") && cause.contains(&sentinels.addresses()[0]), "{cause}");
}

#[tokio::test]
async fn store_settings_and_errors_quote_no_password() {
    let with = settings("redis://user:s3cret@127.0.0.1:1");
    let store = Store::new(with.clone()).unwrap();
    let failed = store.ping().await.unwrap_err();
    assert!(!format!("{with:?} {store:?} {failed} {failed:?}").contains("s3cret"));
}
