//! Numbers the side effects that pass through all gates of a test, and strikes at one of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// What happens at the side effect that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process dies before it: it has heard the reply to the one before.
    DiesBefore,
    /// It is done, and the process dies before it hears so.
    DiesUnheard,
    /// It is done, and the process never hears so: the connection breaks instead.
    Unheard,
}

/// What a gate does with a side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Lets it through, and the reply back.
    Through,
    /// Has it done, loses the reply and breaks the connection.
    LoseReply,
    /// Has it done, and has the process killed before the reply is delivered.
    KillBeforeReply,
    /// Holds it for ever: the process is dead or about to be.
    Hold,
}

#[derive(Default)]
struct State {
    effects: Vec<String>,
    armed: Option<(usize, Fault)>,
    struck: Option<String>,
    /// The process is to die: nothing that it still sends is done.
    dying: bool,
}

/// Clones are the same fuse.
#[derive(Clone, Default)]
pub struct Fuse(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    doom: Notify,
}

impl Fuse {
    /// Counts from 0 again, and strikes at the `n`-th side effect from here, the first being 1.
    pub fn arm(&self, n: usize, fault: Fault) {
        *self.state() = State { armed: Some((n, fault)), ..State::default() };
    }

    /// Counts from 0 again, and strikes at none.
    pub fn disarm(&self) {
        *self.state() = State::default();
    }

    /// At which side effect it struck, if it did.
    pub fn struck(&self) -> Option<String> {
        self.state().struck.clone()
    }

    /// The side effects so far, in order.
    pub fn effects(&self) -> Vec<String> {
        self.state().effects.clone()
    }

    /// How often each side effect was had so far.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for effect in &self.state().effects {
            *counts.entry(effect.clone()).or_default() += 1;
        }
        counts
    }

    /// Waits until the process is to be killed. Who is told kills it, then says so: [`Fuse::killed`].
    pub async fn doomed(&self) {
        self.0.doom.notified().await;
    }

    /// The process is dead: what comes from now on is another one's.
    pub fn killed(&self) {
        self.state().dying = false;
    }

    /// A side effect is about to be had.
    pub(super) fn arrive(&self, effect: &str) -> Pass {
        let mut state = self.state();
        if state.dying {
            return Pass::Hold;
        }
        state.effects.push(effect.to_owned());
        let count = state.effects.len();
        let Some((_, fault)) = state.armed.take_if(|(n, _)| *n == count) else { return Pass::Through };
        state.struck = Some(effect.to_owned());
        match fault {
            Fault::Unheard => Pass::LoseReply,
            // Until it has been done, others may be done too, as in life.
            Fault::DiesUnheard => Pass::KillBeforeReply,
            Fault::DiesBefore => {
                state.effects.pop();
                drop(state);
                self.doom();
                Pass::Hold
            }
        }
    }

    /// Has the process killed; from now on nothing of it is done.
    pub(super) fn doom(&self) {
        self.state().dying = true;
        self.0.doom.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}
