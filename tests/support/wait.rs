//! Waiting for what a user would see, never for time.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take unless a test says otherwise: far more than it takes, so that a slow machine fails no
/// test.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Looks until it sees something, and gives it back. `Err` says what is there instead; the last one is in the failure.
pub async fn poll<T, F>(patience: Duration, look: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let begin = Instant::now();
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(instead) if begin.elapsed() > patience => return Err(instead),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits until `look` is true; fails after `patience` with `what`.
pub async fn eventually<F>(what: &str, patience: Duration, look: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let look = || {
        let seen = look();
        async move { if seen.await { Ok(()) } else { Err(String::new()) } }
    };
    let seen = poll(patience, look).await;
    assert!(seen.is_ok(), "not so after {patience:?}: {what}");
}
