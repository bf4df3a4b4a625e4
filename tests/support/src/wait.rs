//! Waits for what a user would see, never for a time.

use std::future::Future;
use std::time::{Duration, Instant};

/// The timeout of every wait unless a test sets another: far more than is needed, so that a slow machine fails no test.
pub const TIMEOUT: Duration = Duration::from_secs(90);

/// Calls `check` until it returns `Ok`, and returns its value. After the timeout it returns the last `Err`, which describes
/// the state.
pub async fn poll<T, F>(timeout: Duration, check: impl Fn() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let begin = Instant::now();
    loop {
        match check().await {
            Ok(found) => return Ok(found),
            Err(state) if begin.elapsed() > timeout => return Err(state),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Waits until `check` is true; fails after `timeout` with `what`.
pub async fn eventually<F>(what: &str, timeout: Duration, check: impl Fn() -> F)
where
    F: Future<Output = bool>,
{
    let check = || {
        let holds = check();
        async move { if holds.await { Ok(()) } else { Err(String::new()) } }
    };
    assert!(poll(timeout, check).await.is_ok(), "timeout after {timeout:?}: {what}");
}
