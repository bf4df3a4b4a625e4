//! Counts the side effects that pass through all proxies of a test, and injects a fault at one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// The fault at the chosen side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process crashes before it, after the reply to the previous one.
    CrashBefore,
    /// It takes effect, and the process crashes before the reply.
    CrashBeforeReply,
    /// It takes effect, and the reply is lost: the connection closes instead.
    LostReply,
}

/// A proxy's treatment of a side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Forwards it and its reply.
    Through,
    /// Forwards it, drops the reply and closes the connection.
    LoseReply,
    /// Forwards it, and requests the crash before the reply is delivered.
    KillBeforeReply,
    /// Holds it for ever: the process has crashed or is about to.
    Hold,
}

#[derive(Default)]
struct State {
    effects: Vec<String>,
    armed: Option<(usize, Fault)>,
    injected: Option<String>,
    /// The process must crash: nothing that it still sends is forwarded.
    dying: bool,
}

/// Clones share their state.
#[derive(Clone, Default)]
pub struct FaultInjector(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    crash: Notify,
}

impl FaultInjector {
    /// Resets the count, and injects a fault at the `n`-th side effect from now on, the first being 1.
    pub fn arm(&self, n: usize, fault: Fault) {
        *self.state() = State { armed: Some((n, fault)), ..State::default() };
    }

    /// Resets the count, and injects no fault.
    pub fn disarm(&self) {
        *self.state() = State::default();
    }

    /// Returns the side effect at which the fault was injected, if it was.
    pub fn injected(&self) -> Option<String> {
        self.state().injected.clone()
    }

    /// Returns the side effects so far, in order.
    pub fn effects(&self) -> Vec<String> {
        self.state().effects.clone()
    }

    /// Returns the count of each side effect so far.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for effect in &self.state().effects {
            *counts.entry(effect.clone()).or_default() += 1;
        }
        counts
    }

    /// Waits until the process must be killed. The caller kills it, and then calls [`FaultInjector::crashed`].
    pub async fn crash_requested(&self) {
        self.0.crash.notified().await;
    }

    /// Reports that the process has ended: from now on requests come from another one.
    pub fn crashed(&self) {
        self.state().dying = false;
    }

    /// Counts a side effect that is about to take effect, and decides its treatment.
    pub(super) fn arrive(&self, effect: &str) -> Pass {
        let mut state = self.state();
        if state.dying {
            return Pass::Hold;
        }
        state.effects.push(effect.to_owned());
        let count = state.effects.len();
        let Some((_, fault)) = state.armed.take_if(|(n, _)| *n == count) else { return Pass::Through };
        state.injected = Some(effect.to_owned());
        match fault {
            Fault::LostReply => Pass::LoseReply,
            // Until the reply arrives, others may take effect too, as in a real crash.
            Fault::CrashBeforeReply => Pass::KillBeforeReply,
            Fault::CrashBefore => {
                state.effects.pop();
                drop(state);
                self.request_crash();
                Pass::Hold
            }
        }
    }

    /// Requests the crash; from now on nothing of the process is forwarded.
    pub(super) fn request_crash(&self) {
        self.state().dying = true;
        self.0.crash.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}
