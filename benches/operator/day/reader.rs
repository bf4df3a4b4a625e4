//! Reads DIDs as the voice runtime does, and records each broken promise.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::Script;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::load::Tenant;
use crate::site::Site;

/// Reads mapping and config of each DID at one instant.
const READ: &str = include_str!("../../../tests/support/src/read_atomically.lua");
/// The number of DIDs of each reading, and its interval.
const NUMBERS: usize = 50;
const EVERY: Duration = Duration::from_millis(20);

pub struct Reader {
    done: Arc<AtomicBool>,
    reading: JoinHandle<Seen>,
}

#[derive(Default)]
pub struct Seen {
    pub readings: usize,
    pub faults: Vec<String>,
}

impl Reader {
    /// Starts reading, without the proxy that makes Redis slow for the operator.
    pub fn start(site: &Site, tenants: usize) -> Self {
        let (done, keys) = (Arc::new(AtomicBool::default()), site.keys.clone());
        let end = Arc::clone(&done);
        let reading = tokio::spawn(async move {
            let mut connection = keys.uncounted();
            let (mut seen, script, mut next) = (Seen::default(), Script::new(READ), 0);
            while !end.load(Ordering::Relaxed) {
                let numbers = (next..next + NUMBERS)
                    .map(|number| (Tenant::numbered("t", number / 2 % tenants), number % 2));
                let numbers: Vec<(Tenant, usize)> = numbers.collect();
                let mut call = script.prepare_invoke();
                for (tenant, which) in &numbers {
                    call.arg(tenant.did(*which));
                }
                let answer: Vec<(Option<String>, Option<String>)> =
                    call.invoke_async(&mut connection).await.unwrap();
                let mapped = answer.iter().filter(|(mapped, _)| mapped.is_some()).count();
                keys.note("evalsha", 1);
                keys.note("get", (NUMBERS + mapped) as u64);
                for ((tenant, which), (mapped, config)) in numbers.iter().zip(answer) {
                    seen.readings += 1;
                    seen.faults.extend(fault(tenant, *which, mapped.as_deref(), config.as_deref()));
                }
                next += NUMBERS;
                tokio::time::sleep(EVERY).await;
            }
            seen
        });
        Self { done, reading }
    }

    pub async fn finish(self) -> Seen {
        self.done.store(true, Ordering::Relaxed);
        self.reading.await.unwrap()
    }
}

/// Returns a broken promise, if any. The first DID of a tenant is always mapped to it; the second one is dropped and claimed.
fn fault(tenant: &Tenant, which: usize, mapped: Option<&str>, config: Option<&str>) -> Option<String> {
    let did = tenant.did(which);
    let Some(mapped) = mapped else { return (which == 0).then(|| format!("{did} is not mapped")) };
    if mapped != tenant.name {
        return Some(format!("{did} is mapped to {mapped}"));
    }
    let Some(config) = config else {
        return Some(format!("{did} is mapped to {mapped}, which has no config"));
    };
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let lists = config["dids"].as_array().is_some_and(|dids| dids.iter().any(|listed| *listed == did));
    let valid = config["contractVersion"] == "v1" && config["tenantId"] == *mapped && lists;
    (!valid).then(|| format!("{did} is mapped to {mapped}, whose config is not one that lists it: {config}"))
}
