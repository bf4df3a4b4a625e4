//! Backlog and memory while the load is on.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::operator::{Backlog, Operator};

/// How often the kernel is asked for memory.
const LOOK: Duration = Duration::from_millis(100);
/// How often the operator is asked for its backlog: seldom, since it counts all resources then.
const ASK: Duration = Duration::from_secs(2);

#[derive(Default)]
pub struct Samples {
    pub deepest: Backlog,
    /// Bytes resident.
    memory: Vec<u64>,
}

impl Samples {
    /// Takes samples for as long as something lasts, and gives back what came of it.
    pub async fn during<T>(operator: &Operator, load: impl Future<Output = T>) -> (T, Self) {
        let mut samples = Self::default();
        let result = tokio::select! {
            result = load => result,
            () = samples.take(operator) => unreachable!("samples are taken on and on"),
        };
        (result, samples)
    }

    async fn take(&mut self, operator: &Operator) {
        let mut asked = None::<Instant>;
        loop {
            if asked.is_none_or(|asked| asked.elapsed() >= ASK) {
                asked = Some(Instant::now());
                let (backlog, deepest) = (operator.work().await.waits, &mut self.deepest);
                deepest.publish = deepest.publish.max(backlog.publish);
                deepest.status = deepest.status.max(backlog.status);
            }
            self.memory.push(operator.memory().0);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Bytes resident, the most in the first quarter and in the last.
    pub fn early_and_late(&self) -> (u64, u64) {
        let quarter = self.memory.len().div_ceil(4);
        let most = |part: &[u64]| part.iter().copied().max().unwrap_or_default();
        (most(&self.memory[..quarter]), most(&self.memory[self.memory.len() - quarter..]))
    }
}
