//! The epochs that this process has seen and acquired.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::domain::Epoch;

/// The highest epoch: a counter with more digits counts as lost.
const MAX_EPOCH: u64 = 999_999_999_999_999;

/// The epochs that this process knows; 0 means none.
#[derive(Default)]
pub(super) struct SeenEpoch {
    highest: AtomicU64,
    acquired: AtomicU64,
    /// The number of acquisitions in flight.
    acquiring: AtomicU64,
    /// Redis knew no epoch of this writer when one was acquired.
    lost: AtomicBool,
}

/// Counts an acquisition as in flight until it is dropped.
pub(super) struct AcquireInFlight<'a>(&'a AtomicU64);

impl Drop for AcquireInFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl SeenEpoch {
    pub(super) fn begin_acquire(&self) -> AcquireInFlight<'_> {
        self.acquiring.fetch_add(1, Ordering::Relaxed);
        AcquireInFlight(&self.acquiring)
    }

    /// Returns `true` if Redis may already hold an epoch of this process that the process does not know yet.
    pub(super) fn is_acquiring(&self) -> bool {
        self.acquiring.load(Ordering::Acquire) > 0
    }

    /// Notes that Redis knew no epoch of this writer when one was acquired.
    pub(super) fn note_lost(&self) {
        self.lost.store(true, Ordering::Release);
    }

    /// Returns `true`, once, if Redis knew no epoch of this writer when one was acquired.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::AcqRel)
    }

    /// Returns the highest epoch seen, of any writer.
    pub(super) fn highest(&self) -> u64 {
        self.highest.load(Ordering::Relaxed)
    }

    /// Returns the epoch that this process acquired last.
    pub(super) fn acquired(&self) -> u64 {
        self.acquired.load(Ordering::Relaxed)
    }

    /// Notes an epoch of any writer. One that no writer can have acquired counts as lost.
    pub(super) fn note(&self, epoch: Epoch) {
        if epoch.0 <= MAX_EPOCH {
            self.highest.fetch_max(epoch.0, Ordering::Relaxed);
        }
    }

    /// Notes an epoch that this process acquired, when `highest` was the highest that it had seen.
    pub(super) fn note_acquired(&self, epoch: Epoch, highest: u64) {
        // A lower one is given out only when another client has set the counter to the last epoch that there is.
        if epoch.0 <= highest {
            self.highest.store(epoch.0, Ordering::Relaxed);
        }
        self.note(epoch);
        self.acquired.store(epoch.0, Ordering::Relaxed);
    }
}
