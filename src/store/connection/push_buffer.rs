//! A bounded buffer of the messages that Redis pushes on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::PushInfo;
use redis::aio::SendError;
use tokio::sync::mpsc;

/// The number of pushes that may wait: more than a bulk change of ten thousand tenants causes.
const CAPACITY: usize = 65_536;

/// The pushes of one connection, in their order. A push that does not fit is dropped, and the overflow is remembered.
pub(in crate::store) struct PushBuffer {
    sender: mpsc::Sender<PushInfo>,
    receiver: mpsc::Receiver<PushInfo>,
    overflow: Arc<AtomicBool>,
}

impl Default for PushBuffer {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        Self { sender, receiver, overflow: Arc::default() }
    }
}

impl PushBuffer {
    /// Waits for the next push.
    pub(in crate::store) async fn next(&mut self) -> Option<PushInfo> {
        self.receiver.recv().await
    }

    /// Returns the next push if one is buffered.
    pub(in crate::store) fn try_next(&mut self) -> Option<PushInfo> {
        self.receiver.try_recv().ok()
    }

    /// Returns `true` if pushes were dropped since the last call.
    pub(in crate::store) fn take_overflow(&self) -> bool {
        self.overflow.swap(false, Ordering::Relaxed)
    }

    /// Returns the callback that the client library calls with each push.
    pub(super) fn sender(&self) -> impl Fn(PushInfo) -> Result<(), SendError> + Send + Sync + 'static {
        let (sender, overflow) = (self.sender.clone(), Arc::clone(&self.overflow));
        move |push| {
            sender.try_send(push).map_err(|_| {
                overflow.store(true, Ordering::Relaxed);
                SendError
            })
        }
    }
}
