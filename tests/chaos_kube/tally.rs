//! Counts writes, and compares the counts with those of runs without a fault.

use std::collections::BTreeMap;

use test_support::Journal;

use crate::proxied::Proxied;

/// The number of writes of each kind.
type Counts = BTreeMap<String, usize>;

/// Each start increases the epoch.
const EPOCH: &str = "runtime-operator:epoch";
/// Written once for each epoch that is acquired.
const EPOCHS: &str = "runtime-operator:epochs";
/// The notes of the writers: each notes itself once for each of its epochs.
const WRITERS: &str = "runtime-operator:writers";
/// The most additional writes to Kubernetes of a kind: one that the client repeats because its response was lost, which is
/// rejected, one with which the operator then makes sure, and one for two reconciles that were one in the undisturbed runs.
const SPARE: usize = 3;

/// Counts the writes from now on.
pub struct Counting(Journal);

/// The number of writes of each key of Redis, and of each kind of write to Kubernetes.
pub struct Tally {
    keys: Counts,
    effects: Counts,
    /// The number of epochs that were acquired, and of the notes that their writers made.
    epochs: usize,
    notes: usize,
}

impl Tally {
    /// Starts counting keys; the injector counts the rest since it was armed or disarmed.
    pub async fn begin(proxied: &Proxied) -> Counting {
        Counting(proxied.journal().await)
    }
}

impl Counting {
    /// Returns the counts.
    pub async fn end(mut self, proxied: &Proxied) -> Tally {
        let mut keys = Counts::new();
        let (mut epochs, mut notes) = (0, 0);
        for (key, command) in self.0.writes().await {
            match &*key {
                EPOCHS if command == "hset" => epochs += 1,
                WRITERS => notes += 1,
                _ if key.starts_with(EPOCH) => {}
                _ => *keys.entry(key).or_default() += 1,
            }
        }
        // A call of a script may find nothing to write; its writes are counted by key.
        let calls = |(effect, _): &(String, usize)| !effect.starts_with("EVALSHA");
        Tally { keys, effects: proxied.injector.counts().into_iter().filter(calls).collect(), epochs, notes }
    }
}

/// The largest counts of the runs without a fault.
#[derive(Default)]
pub struct Usual {
    keys: Counts,
    effects: Counts,
}

impl Usual {
    /// Adds an undisturbed run.
    pub fn add(&mut self, tally: Tally) {
        for (most, counts) in [(&mut self.keys, tally.keys), (&mut self.effects, tally.effects)] {
            for (what, count) in counts {
                let known = most.entry(what).or_default();
                *known = count.max(*known);
            }
        }
    }

    /// Checks that no key was written more often than usual, that no writer noted itself more often than once for each epoch,
    /// and that a write to Kubernetes was repeated at most as often as it failed.
    pub fn assert_no_more(&self, tally: &Tally, when: &str) {
        let mut too_often = excess(&self.keys, &tally.keys, 0);
        too_often.extend(excess(&self.effects, &tally.effects, SPARE));
        assert!(too_often.is_empty(), "{when}: {too_often:#?}");
        let Tally { epochs, notes, .. } = tally;
        assert!(notes <= epochs, "{when}: {notes} notes of writers for {epochs} epochs");
    }
}

fn excess(usual: &Counts, counts: &Counts, spare: usize) -> Vec<String> {
    let too_often = |(what, count): (&String, &usize)| {
        let most = usual.get(what).copied().unwrap_or_default();
        (*count > most + spare).then(|| format!("{what}: {count} times, not {most}"))
    };
    counts.iter().filter_map(too_often).collect()
}
