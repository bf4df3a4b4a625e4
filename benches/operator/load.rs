//! What the operator is given to do.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::site::{self, Site};

/// How many requests are under way at once.
const CONCURRENCY: usize = 32;

/// A tenant of 2 kB with two numbers and a Secret.
pub struct Tenant {
    pub name: String,
    number: usize,
    series: u64,
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

    fn did(&self, which: usize) -> String {
        format!("+1{}{:07}", self.series, self.number * 2 + which)
    }

    fn resource(&self) -> Value {
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

pub async fn create(site: &Site, tenant: &Tenant) {
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), site::NAMESPACE);
    let secret =
        json!({ "metadata": { "name": tenant.name }, "stringData": { "webhookSecret": "whsec_bench" } });
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    let resource: DynamicObject = serde_json::from_value(tenant.resource()).unwrap();
    site.tenants().create(&PostParams::default(), &resource).await.unwrap();
}

pub async fn create_secrets(site: &Site, count: usize) {
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), site::NAMESPACE);
    stream::iter(0..count)
        .for_each_concurrent(CONCURRENCY, |number| {
            let secrets = secrets.clone();
            async move {
                let name = Tenant::numbered("t", number).name;
                let secret =
                    json!({ "metadata": { "name": name }, "stringData": { "webhookSecret": "whsec_bench" } });
                secrets
                    .create(&PostParams::default(), &serde_json::from_value(secret).unwrap())
                    .await
                    .unwrap();
            }
        })
        .await;
}

pub async fn create_all(site: &Site, series: &str, count: usize) -> Duration {
    let began = Instant::now();
    stream::iter(0..count)
        .for_each_concurrent(CONCURRENCY, |number| async move {
            let resource: DynamicObject =
                serde_json::from_value(Tenant::numbered(series, number).resource()).unwrap();
            site.tenants().create(&PostParams::default(), &resource).await.unwrap();
        })
        .await;
    began.elapsed()
}

/// Lists everything in pages, as a client does that starts.
pub async fn list_all(site: &Site) -> Duration {
    let began = Instant::now();
    let mut params = ListParams::default().limit(500);
    loop {
        let page = site.tenants().list(&params).await.unwrap();
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return began.elapsed(),
        }
    }
}

pub async fn delete_all(site: &Site, series: &str) {
    let all = site.tenants().list(&ListParams::default()).await.unwrap();
    stream::iter(all.items.into_iter().filter_map(|item| item.metadata.name))
        .filter(|name| std::future::ready(name.starts_with(&format!("{series}-"))))
        .for_each_concurrent(CONCURRENCY, |name| async move {
            site.tenants().delete(&name, &DeleteParams::default()).await.unwrap();
        })
        .await;
}

pub async fn delete(site: &Site, tenant: &Tenant) {
    site.tenants().delete(&tenant.name, &DeleteParams::default()).await.unwrap();
}

pub async fn rotate(site: &Site, tenant: &Tenant, value: &str) {
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), site::NAMESPACE);
    let patch = json!({ "stringData": { "webhookSecret": value } });
    secrets.patch(&tenant.name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}
