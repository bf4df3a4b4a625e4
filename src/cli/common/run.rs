//! Runs a command for people: its runtime, and `--watch`.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::outcome::Outcome;
use super::text::print_result;
use crate::cli::failure::Failure;

/// Runs a command on a runtime of its own. The error is that of the runtime.
pub fn block_on<T>(command: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command))
}

/// Prints what `once` returns; with an interval to watch at, again whenever it has changed, until Ctrl-C.
pub async fn show(
    watch: Option<Duration>,
    once: impl AsyncFn() -> Result<(String, Outcome), Failure>,
) -> Result<Outcome, Failure> {
    let Some(every) = watch else {
        let (text, outcome) = once().await?;
        print_result(&text)?;
        return Ok(outcome);
    };
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut ended) = ((String::new(), Outcome::Unknown), pin!(tokio::signal::ctrl_c()));
    loop {
        tokio::select! {
            ended = &mut ended => return ended.map(|()| last.1).map_err(Failure::from),
            _ = ticks.tick() => {
                let next = once().await?;
                if next.0 != last.0 {
                    print_result(&next.0)?;
                }
                last = next;
            }
        }
    }
}
