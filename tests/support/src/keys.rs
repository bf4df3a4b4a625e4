//! The contract's keys in Redis.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::Value;

use super::World;

impl World {
    /// Opens a new connection to this world's Redis.
    pub async fn connection(&self) -> MultiplexedConnection {
        self.redis().connection().await.unwrap()
    }

    /// Returns the tenant id to which a DID is mapped.
    pub async fn live(&self, did: &str) -> Option<String> {
        self.key(&format!("tenantmap:did:{did}")).await
    }

    /// Returns a tenant's config.
    pub async fn config(&self, tenant: &str) -> Option<Value> {
        self.config_text(tenant).await.map(|text| serde_json::from_str(&text).expect("a config is JSON"))
    }

    /// Returns a tenant's config, byte for byte.
    pub async fn config_text(&self, tenant: &str) -> Option<String> {
        self.key(&format!("tenantcfg:{tenant}")).await
    }

    /// Returns the value of any string key.
    pub async fn key(&self, key: &str) -> Option<String> {
        self.connection().await.get(key).await.unwrap()
    }

    /// Returns all keys that match a pattern, in order.
    pub async fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.connection().await.keys(pattern).await.unwrap();
        keys.sort();
        keys
    }

    /// Writes a key as an external client. DIDs whose mapping or config this breaks must be exempted first, with
    /// [`World::exempt`].
    pub async fn set_key(&self, key: &str, value: impl AsRef<str>) {
        self.connection().await.set::<_, _, ()>(key, value.as_ref()).await.unwrap();
    }

    /// Deletes a key as an external client.
    pub async fn delete_key(&self, key: &str) {
        self.connection().await.del::<_, ()>(key).await.unwrap();
    }

    /// Waits until a DID is mapped to a tenant, or to none.
    pub async fn wait_live(&self, did: &str, tenant: Option<&str>) {
        let what = format!("{did} is live for {tenant:?}");
        self.wait(&what, || async move {
            let live = self.live(did).await;
            if live.as_deref() == tenant { Ok(()) } else { Err(format!("it is live for {live:?}")) }
        })
        .await;
    }
}
