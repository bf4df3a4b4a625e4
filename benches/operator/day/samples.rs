//! Backlog and memory while the load is on.

use std::time::{Duration, Instant};

use crate::operator::{Backlog, Operator};

/// After this part of the load memory is what it is under load.
const EARLY: f64 = 0.25;
const ASK: Duration = Duration::from_secs(2);

pub struct Samples {
    pub deepest: Backlog,
    /// Bytes resident, the most in the first part and in the last.
    pub early: u64,
    pub late: u64,
}

impl Samples {
    /// Asks the kernel for memory, and seldom the operator for its backlog: whoever asks has all resources counted.
    pub async fn take(operator: &Operator, lasts: Duration) -> Self {
        let began = Instant::now();
        let mut samples = Self { deepest: Backlog::default(), early: 0, late: 0 };
        let mut asked = None::<Instant>;
        while began.elapsed() < lasts {
            if asked.is_none_or(|asked| asked.elapsed() >= ASK) {
                asked = Some(Instant::now());
                let (backlog, deepest) = (operator.work().await.waits, &mut samples.deepest);
                deepest.publish = deepest.publish.max(backlog.publish);
                deepest.status = deepest.status.max(backlog.status);
            }
            let (rss, _) = operator.memory();
            if began.elapsed() < lasts.mul_f64(EARLY) {
                samples.early = samples.early.max(rss);
            } else if began.elapsed() > lasts.mul_f64(1.0 - EARLY) {
                samples.late = samples.late.max(rss);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        samples
    }
}
