//! Somebody who breaks keys in a loop costs a bounded amount of work, is told of, and holds up nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use super::support::{World, tenant};
use super::{DID, MAPPING, OTHER, legacy, live_acme};

/// What the operator grants one resource: so many repairs at once, and then two a second.
const BURST: f64 = 50.0;
const A_SECOND: f64 = 2.0;

/// Deletes and redirects acme's number as fast as Redis takes it, until it is told to stop.
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

    /// Stops it; answers for how many seconds it went on.
    async fn stop(self) -> f64 {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
        self.began.elapsed().as_secs_f64()
    }
}

#[tokio::test]
async fn who_breaks_a_key_in_a_loop_is_repaired_at_a_bounded_rate_and_told_of_and_others_are_not_held_up() {
    let (world, operator) = live_acme().await;
    // Whoever redirects calls gives the tenant to which they go.
    world.set_key("tenantcfg:legacy", legacy()).await;
    world.apply(&tenant("beta").dids([OTHER])).await;
    world.wait_ready("beta").await;
    let writes = operator.metric("runtime_operator_status_writes_total").await;
    world.reset_commands().await;

    let breaker = Breaker::start(&world).await;
    let told = world.wait_event("acme", "KeysContested").await;
    assert!(told.contains("somebody else keeps changing"), "{told}");
    for _ in 0..5 {
        world.delete_key("tenantmap:did:+15557654321").await;
        world.wait_live(OTHER, Some("beta")).await;
    }
    world
        .wait("it goes on for a while", || async {
            let times = breaker.times();
            if times >= 3000 { Ok(()) } else { Err(format!("{times} times")) }
        })
        .await;
    let seconds = breaker.stop().await;

    world.wait_live(DID, Some("acme")).await;
    let granted = BURST + A_SECOND * (seconds + 1.0);
    let repairs = operator.metric("runtime_operator_drift_repaired_total").await;
    assert!(repairs - 5.0 <= granted, "{repairs} repairs in {seconds} s");
    assert!(operator.metric("runtime_operator_drift_repairs_held_back_total").await > 0.0);
    // What a look at Redis, a comparison and a write ask of the index of numbers; nobody else asks that.
    let asked = world.commands().await.get("hget").copied().unwrap_or_default();
    let asked = f64::from(u32::try_from(asked).unwrap());
    let looks = 256.0 + 200.0 * (seconds + 1.0);
    assert!(asked <= looks + 10.0 * (granted + 5.0), "asked {asked} times in {seconds} s");
    let written = operator.metric("runtime_operator_status_writes_total").await - writes;
    assert!(written <= granted + 10.0, "{written} status writes in {seconds} s");
    assert_eq!(world.told("acme", "KeysContested").await, 1);
    assert_eq!(world.told("beta", "KeysContested").await, 0);
    world.wait_ready("acme").await;
    world.finish().await;
}
