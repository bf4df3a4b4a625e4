//! What Redis holds, as the contract names it.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::Value;

use super::World;

impl World {
    /// A new connection to this world's Redis.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.redis().connection().await.unwrap()
    }

    /// The tenant id to which a number is mapped.
    pub async fn live(&self, did: &str) -> Option<String> {
        self.key(&format!("tenantmap:did:{did}")).await
    }

    /// A tenant's config.
    pub async fn config(&self, tenant: &str) -> Option<Value> {
        self.config_text(tenant).await.map(|text| serde_json::from_str(&text).expect("a config is JSON"))
    }

    /// A tenant's config, byte for byte.
    pub async fn config_text(&self, tenant: &str) -> Option<String> {
        self.key(&format!("tenantcfg:{tenant}")).await
    }

    /// The value of any string key.
    pub async fn key(&self, key: &str) -> Option<String> {
        self.connection().await.get(key).await.unwrap()
    }

    /// All keys that match a pattern, in order.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.connection().await.keys(pattern).await.unwrap();
        keys.sort();
        keys
    }

    /// Writes from outside, as a person or another program would. Numbers that this breaks are to be exempted first:
    /// [`World::exempt`].
    pub async fn set_key(&self, key: &str, value: impl AsRef<str>) {
        self.connection().await.set::<_, _, ()>(key, value.as_ref()).await.unwrap();
    }

    /// Deletes from outside.
    pub async fn delete_key(&self, key: &str) {
        self.connection().await.del::<_, ()>(key).await.unwrap();
    }

    /// Waits until a number is mapped to a tenant, or to none.
    pub async fn wait_live(&self, did: &str, tenant: Option<&str>) {
        let what = format!("{did} is live for {tenant:?}");
        self.wait(&what, || async move {
            let live = self.live(did).await;
            if live.as_deref() == tenant { Ok(()) } else { Err(format!("it is live for {live:?}")) }
        })
        .await;
    }
}
