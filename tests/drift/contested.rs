//! A client that breaks keys in a loop causes bounded work and an event, and delays no other tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use test_support::{World, tenant};

use super::{DID, MAPPING, OTHER, legacy, live_acme};

/// The repair limit of one resource: a burst, and then a rate per second.
const BURST: f64 = 50.0;
const RATE: f64 = 2.0;

/// Deletes and redirects acme's DID as fast as Redis executes it, until it is stopped.
struct Breaker {
    stop: Arc<AtomicBool>,
    times: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
    began: Instant,
}

impl Breaker {
    async fn start(world: &World) -> Self {
        let (stop, times) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (ends, count) = (Arc::clone(&stop), Arc::clone(&times));
        let mut connection = world.connection().await;
        let task = tokio::spawn(async move {
            let mut breaks = redis::pipe();
            breaks.cmd("DEL").arg(MAPPING).ignore().cmd("SET").arg(MAPPING).arg("legacy").ignore();
            while !ends.load(Ordering::SeqCst) {
                breaks.exec_async(&mut connection).await.unwrap();
                count.fetch_add(2, Ordering::SeqCst);
            }
        });
        Self { stop, times, task, began: Instant::now() }
    }

    fn times(&self) -> u64 {
        self.times.load(Ordering::SeqCst)
    }

    /// Stops it, and returns for how many seconds it ran.
    async fn stop(self) -> f64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        self.began.elapsed().as_secs_f64()
    }
}

#[tokio::test]
async fn contested_keys_are_rate_limited_per_tenant() {
    let (world, operator) = live_acme().await;
    // The tenant to which calls are redirected has a config.
    world.set_key("tenantcfg:legacy", legacy()).await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    let writes = operator.metric("runtime_operator_status_writes_total").await;
    world.reset_commands().await;

    let breaker = Breaker::start(&world).await;
    let message = world.wait_event("acme", "KeysContested").await;
    assert!(message.contains("another client keeps changing"), "{message}");
    for _ in 0..5 {
        world.delete_key("tenantmap:did:+15557654321").await;
        world.wait_live(OTHER, Some("beta")).await;
    }
    world
        .wait("the keys are broken 3,000 times", || async {
            let times = breaker.times();
            if times >= 3000 { Ok(()) } else { Err(format!("{times} times")) }
        })
        .await;
    let seconds = breaker.stop().await;

    world.wait_live(DID, Some("acme")).await;
    let granted = BURST + RATE * (seconds + 1.0);
    let repairs = operator.metric("runtime_operator_drift_repaired_total").await;
    assert!(repairs - 5.0 <= granted, "{repairs} repairs in {seconds} s");
    assert!(operator.metric("runtime_operator_drift_repairs_deferred_total").await > 0.0);
    // HGET reads the index of owners: an inspection, a comparison and a write do, and nothing else.
    let reads = world.commands().await.get("hget").copied().unwrap_or_default();
    let reads = f64::from(u32::try_from(reads).unwrap());
    let checks = 256.0 + 200.0 * (seconds + 1.0);
    assert!(reads <= checks + 10.0 * (granted + 5.0), "{reads} reads in {seconds} s");
    let written = operator.metric("runtime_operator_status_writes_total").await - writes;
    assert!(written <= granted + 10.0, "{written} status writes in {seconds} s");
    assert_eq!(world.event_count("acme", "KeysContested").await, 1);
    assert_eq!(world.event_count("beta", "KeysContested").await, 0);
    world.wait_ready("acme").await;
    world.finish().await;
}
