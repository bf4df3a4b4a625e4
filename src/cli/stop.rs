//! Stopping: signals to the process, and their distribution to tasks.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Requests the stop of every task that waits for the [`Stop`]; dropping it requests it as well.
pub(super) struct StopSender(watch::Sender<bool>);

/// Completes when the stop is requested. Cheap to clone.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

pub(super) fn stop_channel() -> (StopSender, Stop) {
    let (sender, receiver) = watch::channel(false);
    (StopSender(sender), Stop(receiver))
}

impl StopSender {
    pub(super) fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    pub(super) async fn requested(mut self) {
        // The only error is a dropped sender, which requests the stop, too.
        let _ = self.0.wait_for(|requested| *requested).await;
    }
}

/// Completes when the process receives SIGTERM or SIGINT, and returns the name of the signal.
pub(super) async fn stop_signal() -> Result<&'static str, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}
