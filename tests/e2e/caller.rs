//! Callers: DIDs that must be mapped to their tenant, with its config, at every moment.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use local_cluster::Redis;

/// Reads continuously as the voice runtime does.
pub struct Callers {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    done: AtomicBool,
    calls: AtomicU64,
    lost: Mutex<Vec<String>>,
}

impl Callers {
    /// Checks from now on that each `(DID, tenant)` stays mapped.
    pub fn of(redis: &Redis, numbers: &[(&str, &str)]) -> Self {
        let shared = Arc::<Shared>::default();
        let client = redis.client().unwrap();
        let numbers: Vec<_> =
            numbers.iter().map(|(did, tenant)| ((*did).to_owned(), (*tenant).to_owned())).collect();
        let kept = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut connection = client.get_connection().unwrap();
            let begin = Instant::now();
            while !kept.done.load(Ordering::SeqCst) {
                for (did, tenant) in &numbers {
                    if let Some(why) = call(&mut connection, did, tenant) {
                        kept.lost.lock().unwrap().push(format!("after {:?}: {why}", begin.elapsed()));
                    }
                    kept.calls.fetch_add(1, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { shared, thread: Some(thread) }
    }

    /// Fails if any call was lost so far; returns the number of calls.
    pub fn check(&self) -> u64 {
        let lost = self.shared.lost.lock().unwrap();
        assert!(lost.is_empty(), "{} calls were lost: {:#?}", lost.len(), &lost[..lost.len().min(10)]);
        self.shared.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the reason for which a call of the DID would fail.
fn call(connection: &mut redis::Connection, did: &str, tenant: &str) -> Option<String> {
    use redis::Commands;
    let mapped: Option<String> = connection.get(format!("tenantmap:did:{did}")).unwrap();
    if mapped.as_deref() != Some(tenant) {
        return Some(format!("{did} leads to {mapped:?}, not to {tenant}"));
    }
    let config: Option<String> = connection.get(format!("tenantcfg:{tenant}")).unwrap();
    let Some(config) = config else { return Some(format!("{tenant} has no config")) };
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let lists = config["dids"].as_array().is_some_and(|dids| dids.iter().any(|listed| listed == did));
    (!lists || config["contractVersion"] != "v1").then(|| format!("the config of {tenant} is {config}"))
}
