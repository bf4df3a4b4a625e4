//! Checks that Redis equals all resources.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use redis::cmd;
use serde_json::Value;

use crate::site::Site;

/// The members of a spec that the config contains unchanged.
const SECTIONS: [&str; 6] = ["tenantId", "dids", "caps", "stt", "tts", "assistantContext"];

/// Returns the differences, in words.
pub async fn differences(site: &Site) -> Vec<String> {
    let resources = site.tenants().list(&ListParams::default()).await.unwrap().items;
    let secrets = site.secrets().list(&ListParams::default()).await.unwrap().items;
    let secrets: BTreeMap<String, String> = secrets.into_iter().filter_map(secret).collect();
    let mut different = Vec::new();
    let (mut configs, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for resource in &resources {
        let spec = &resource.data["spec"];
        let tenant = spec["tenantId"].as_str().unwrap();
        let key = format!("tenantcfg:{tenant}");
        let config: Option<String> = site.keys.run(cmd("GET").arg(&key)).await;
        let config: Value = serde_json::from_str(&config.unwrap_or_default()).unwrap_or_default();
        for section in SECTIONS.iter().filter(|section| config[**section] != spec[**section]) {
            different.push(format!("{key}: {section} is {}, not {}", config[*section], spec[*section]));
        }
        let secret = &secrets[spec["webhookSecretRef"]["name"].as_str().unwrap()];
        if config["webhookSecret"] != **secret {
            different.push(format!("{key}: the webhook secret is another"));
        }
        configs.insert(key);
        for did in spec["dids"].as_array().unwrap() {
            let key = format!("tenantmap:did:{}", did.as_str().unwrap());
            let mapped: Option<String> = site.keys.run(cmd("GET").arg(&key)).await;
            if mapped.as_deref() != Some(tenant) {
                different.push(format!("{key} is {mapped:?}, not {tenant}"));
            }
            numbers.insert(key);
        }
    }
    for (pattern, expected) in [("tenantcfg:*", configs), ("tenantmap:did:*", numbers)] {
        let there = site.keys.all(pattern).await;
        different.extend(there.difference(&expected).map(|key| format!("{key} belongs to no resource")));
    }
    different
}

fn secret(secret: Secret) -> Option<(String, String)> {
    let value = secret.data?.remove("webhookSecret")?;
    Some((secret.metadata.name?, String::from_utf8(value.0).ok()?))
}
