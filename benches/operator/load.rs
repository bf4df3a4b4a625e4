//! The load on the operator.

use std::future::Future;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::site::{Site, TIMEOUT};

/// The number of concurrent requests.
pub const CONCURRENCY: usize = 32;

/// A tenant of 2 kB with two DIDs and a Secret.
#[derive(Clone)]
pub struct Tenant {
    pub name: String,
    pub number: usize,
    pub series: u64,
}

impl Tenant {
    pub fn numbered(series: &str, number: usize) -> Self {
        let code = series.bytes().fold(7, |code, byte| (code * 31 + u64::from(byte)) % 900);
        Self { name: format!("{series}-{number}"), number, series: 100 + code }
    }

    pub fn did_key(&self) -> String {
        format!("tenantmap:did:{}", self.did(0))
    }

    pub fn config_key(&self) -> String {
        format!("tenantcfg:{}", self.name)
    }

    pub fn did(&self, which: usize) -> String {
        format!("+1{}{:07}", self.series, self.number * 2 + which)
    }

    pub fn resource(&self) -> DynamicObject {
        serde_json::from_value(self.document()).unwrap()
    }

    fn document(&self) -> Value {
        json!({
            "apiVersion": "runtime.veralux.io/v1",
            "kind": "RuntimeTenant",
            "metadata": { "name": self.name },
            "spec": {
                "tenantId": self.name,
                "dids": [self.did(0), self.did(1)],
                "webhookSecretRef": { "name": self.name },
                "caps": { "maxConcurrentCallsTenant": 10, "maxCallsPerMinuteTenant": 60 },
                "stt": { "mode": "whisper_http", "whisperUrl": "http://whisper:9000/transcribe", "chunkMs": 100 },
                "tts": { "mode": "kokoro_http", "kokoroUrl": "http://kokoro:8880/tts", "voice": "default" },
                "assistantContext": { "about": "We open on weekdays. ".repeat(60) },
            },
        })
    }
}

/// Runs `act` for all items with bounded concurrency; returns the time that it took.
pub async fn all<T, F: Future<Output = ()>>(
    items: impl IntoIterator<Item = T>,
    concurrency: usize,
    act: impl FnMut(T) -> F,
) -> Duration {
    let began = Instant::now();
    stream::iter(items).for_each_concurrent(concurrency, act).await;
    began.elapsed()
}

pub async fn create(site: &Site, tenant: &Tenant) {
    create_secret(site, tenant).await;
    create_tenant(site, tenant).await;
}

pub async fn create_secret(site: &Site, tenant: &Tenant) {
    let secret =
        json!({ "metadata": { "name": tenant.name }, "stringData": { "webhookSecret": "whsec_bench" } });
    let secret: Secret = serde_json::from_value(secret).unwrap();
    site.secrets().create(&PostParams::default(), &secret).await.unwrap();
}

pub async fn create_tenant(site: &Site, tenant: &Tenant) {
    site.tenants().create(&PostParams::default(), &tenant.resource()).await.unwrap();
}

pub async fn delete(site: &Site, tenant: &Tenant) {
    site.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
}

/// Sets the value of the webhook secret.
pub async fn rotate(site: &Site, tenant: &Tenant, value: &str) {
    let patch = json!({ "stringData": { "webhookSecret": value } });
    site.secrets().patch(&tenant.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Applies a merge patch to the spec.
pub async fn edit(tenants: &Api<DynamicObject>, name: &str, spec: Value) {
    let patch = Patch::Merge(json!({ "spec": spec }));
    tenants.patch(name, &PatchParams::default(), &patch).await.unwrap();
}

/// Waits until the resource has its status, so that the next sample begins idle.
pub async fn wait_status(site: &Site, tenant: &Tenant) {
    let began = Instant::now();
    loop {
        let object = site.tenants().get(&tenant.name).await.unwrap();
        let observed = object.data["status"]["observedGeneration"].as_i64();
        if observed.is_some() && observed == object.metadata.generation {
            return;
        }
        assert!(began.elapsed() < TIMEOUT, "{} gets no status", tenant.name);
    }
}
