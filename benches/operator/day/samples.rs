//! Samples of backlog and memory during the load.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::operator::{Backlog, Operator};

/// The interval of memory samples.
const POLL: Duration = Duration::from_millis(100);
/// The interval of backlog samples: long, since each makes the operator count all resources.
const BACKLOG_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Samples {
    pub deepest: Backlog,
    /// Resident bytes.
    memory: Vec<u64>,
}

impl Samples {
    /// Takes samples until `load` ends; returns its result and the samples.
    pub async fn during<T>(operator: &Operator, load: impl Future<Output = T>) -> (T, Self) {
        let mut samples = Self::default();
        let result = tokio::select! {
            result = load => result,
            () = samples.take(operator) => unreachable!("sampling has no end"),
        };
        (result, samples)
    }

    async fn take(&mut self, operator: &Operator) {
        let mut last = None::<Instant>;
        loop {
            if last.is_none_or(|last| last.elapsed() >= BACKLOG_INTERVAL) {
                last = Some(Instant::now());
                let (backlog, deepest) = (operator.work().await.backlog, &mut self.deepest);
                deepest.reconcile = deepest.reconcile.max(backlog.reconcile);
                deepest.status = deepest.status.max(backlog.status);
            }
            self.memory.push(operator.memory().0);
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the largest resident bytes in the first quarter and in the last.
    pub fn early_and_late(&self) -> (u64, u64) {
        let quarter = self.memory.len().div_ceil(4);
        let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
        (most(&self.memory[..quarter]), most(&self.memory[self.memory.len() - quarter..]))
    }
}
