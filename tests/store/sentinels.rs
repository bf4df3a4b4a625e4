//! Sentinels that disagree, and Sentinels with a login of their own.

use std::time::Duration;

use local_cluster::{Redis, RedisOptions, SentinelOptions, Sentinels};
use redis::AsyncCommands;
use runtime_operator::store::{Operation, RedisSettings, Store, StoreError};
use test_support::proxy::SentinelProxy;
use tokio::time::timeout;

use test_support::store_fixture::*;

/// A primary with three Sentinels, each behind a proxy that can make it name another primary.
struct Scene {
    primary: Redis,
    sentinels: Sentinels,
    proxies: Vec<SentinelProxy>,
    cluster: runtime_operator::domain::ClusterId,
}

impl Scene {
    async fn new() -> Self {
        let primary = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
        let sentinels = Sentinels::start(&primary, SentinelOptions::default()).await.unwrap();
        let mut proxies = Vec::new();
        for address in sentinels.addresses() {
            proxies.push(SentinelProxy::start(address, Vec::new()).await);
        }
        Self { primary, sentinels, proxies, cluster: runtime_operator::domain::ClusterId::new("here") }
    }

    /// Makes a Sentinel name this Redis as the primary.
    fn lie(&self, sentinel: usize, named: &Redis) {
        self.proxies[sentinel].translate(vec![(self.primary.port(), named.port())]);
    }

    fn store(&self) -> Store {
        Store::new(RedisSettings {
            sentinels: self.proxies.iter().map(SentinelProxy::address).collect(),
            sentinel_service: Some(self.sentinels.service().to_owned()),
            ..settings("redis://primary.invalid/0")
        })
        .unwrap()
    }

    async fn publish(&self, store: &Store, tenant_name: &str) {
        let epoch = store.acquire_epoch().await.unwrap();
        let operation = Operation::from(tenant(tenant_name, &[]));
        store.apply(epoch, &self.cluster, &[operation]).await.unwrap();
    }
}

async fn keys(redis: &Redis) -> Vec<String> {
    redis.connection().await.unwrap().keys("*").await.unwrap()
}

#[tokio::test]
async fn a_sentinel_that_contradicts_two_others_is_not_followed() {
    let scene = Scene::new().await;
    let other = Redis::start(RedisOptions::default().in_memory()).await.unwrap();
    for liar in 0..3 {
        for (sentinel, proxy) in scene.proxies.iter().enumerate() {
            proxy.translate(Vec::new());
            if sentinel == liar {
                scene.lie(liar, &other);
            }
        }
        scene.publish(&scene.store(), &format!("tenant-{liar}")).await;
        assert!(keys(&scene.primary).await.contains(&format!("tenantcfg:tenant-{liar}")));
        assert!(keys(&other).await.is_empty(), "the Sentinel {liar} was followed");
    }
}

#[tokio::test]
async fn sentinels_that_disagree_are_reported_and_the_current_primary_stays() {
    let scene = Scene::new().await;
    let others = [
        Redis::start(RedisOptions::default()).await.unwrap(),
        Redis::start(RedisOptions::default()).await.unwrap(),
    ];
    let store = scene.store();
    scene.publish(&store, "before").await;
    let mut tracking = store.track(&scene.cluster);
    tracking.next().await.unwrap();

    scene.lie(0, &others[0]);
    scene.lie(1, &others[1]);

    let mut report = tracking.report();
    let report_has = async |is: bool, report: &mut tokio::sync::watch::Receiver<_>| {
        let changed =
            report.wait_for(|report: &runtime_operator::store::RedisReport| report.sentinels.is_some() == is);
        timeout(Duration::from_secs(90), changed).await.expect("the report did not change").unwrap().clone()
    };
    let warning = report_has(true, &mut report).await.warnings().remove(0);
    for named in [scene.primary.address(), others[0].address(), others[1].address()] {
        assert!(warning.contains(&named), "{warning}");
    }
    assert!(scene.proxies.iter().all(|proxy| warning.contains(&proxy.address())), "{warning}");
    // New connections lead to the same primary.
    let mut raw = scene.primary.connection().await.unwrap();
    let _: i64 =
        redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").query_async(&mut raw).await.unwrap();
    eventually(async || store.ping().await.is_ok()).await;
    scene.publish(&store, "meanwhile").await;
    assert!(keys(&scene.primary).await.contains(&"tenantcfg:meanwhile".to_owned()));
    for other in &others {
        assert!(keys(other).await.is_empty());
    }
    // A process that has no primary yet follows none of them.
    let StoreError::NoPrimary { cause, .. } = scene.store().ping().await.unwrap_err() else { panic!() };
    assert!(cause.contains("config-epoch"), "{cause}");

    for proxy in &scene.proxies {
        proxy.translate(Vec::new());
    }
    report_has(false, &mut report).await;
}

#[tokio::test]
async fn sentinels_with_a_password_of_their_own_are_asked_with_it_and_named_without() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "of-sentinels\n").unwrap();
    let primary = Redis::start(RedisOptions::default().in_memory().password("of-redis")).await.unwrap();
    let options = SentinelOptions { password: Some("of-sentinels".to_owned()), ..SentinelOptions::default() };
    let sentinels = Sentinels::start(&primary, options).await.unwrap();
    let with = |file| RedisSettings {
        sentinels: sentinels.addresses(),
        sentinel_service: Some(sentinels.service().to_owned()),
        sentinel_password_file: file,
        ..settings("redis://:of-redis@primary.invalid/0")
    };
    Store::new(with(Some(file.clone()))).unwrap().ping().await.unwrap();

    let error = Store::new(with(None)).unwrap().ping().await.unwrap_err().to_string();
    for address in sentinels.addresses() {
        assert!(error.contains(&format!("Sentinel {address} rejected the user or password")), "{error}");
    }
    assert!(error.contains("--redis-sentinel-password-file") && !error.contains("of-redis"), "{error}");
}
