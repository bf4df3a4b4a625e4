//! How often what was written, and whether that is more often than without any fault.

use std::collections::BTreeMap;

use crate::gated::Gated;
use crate::support::Journal;

/// How often each thing was had.
type Counts = BTreeMap<String, usize>;

/// The epoch is counted up at each start.
const EPOCH: &str = "runtime-operator:epoch";
/// How many writes to Kubernetes more there may be of a kind: one that the client repeats since its reply was lost, which
/// is refused, one with which the operator then makes sure, and one for two looks that were one in the undisturbed runs.
const SPARE: usize = 3;

/// What is written from here on.
pub struct Counting(Journal);

/// How often each key of Redis was written to, and each kind of write to Kubernetes was sent.
pub struct Tally {
    keys: Counts,
    effects: Counts,
}

impl Tally {
    /// Begins to count keys; the rest is counted since the fuse was armed or disarmed.
    pub async fn begin(gated: &Gated) -> Counting {
        Counting(gated.journal().await)
    }
}

impl Counting {
    /// What there was.
    pub async fn end(mut self, gated: &Gated) -> Tally {
        let mut keys = Counts::new();
        for (key, _) in self.0.writes().await.into_iter().filter(|(key, _)| !key.starts_with(EPOCH)) {
            *keys.entry(key).or_default() += 1;
        }
        // A call of a script may find nothing to write; what it writes shows in the keys.
        let calls = |(effect, _): &(String, usize)| !effect.starts_with("EVALSHA");
        Tally { keys, effects: gated.fuse.counts().into_iter().filter(calls).collect() }
    }
}

/// What there is when nothing fails: of each thing the most that was seen.
#[derive(Default)]
pub struct Usual {
    keys: Counts,
    effects: Counts,
}

impl Usual {
    /// One more undisturbed run.
    pub fn add(&mut self, tally: Tally) {
        for (most, counts) in [(&mut self.keys, tally.keys), (&mut self.effects, tally.effects)] {
            for (what, count) in counts {
                let known = most.entry(what).or_default();
                *known = count.max(*known);
            }
        }
    }

    /// What is in Redis already is not written again; a write to Kubernetes is repeated at most as often as it failed.
    pub fn assert_no_more(&self, tally: &Tally, when: &str) {
        let mut too_often = excess(&self.keys, &tally.keys, 0);
        too_often.extend(excess(&self.effects, &tally.effects, SPARE));
        assert!(too_often.is_empty(), "{when}: {too_often:#?}");
    }
}

fn excess(usual: &Counts, counts: &Counts, spare: usize) -> Vec<String> {
    let too_often = |(what, count): (&String, &usize)| {
        let most = usual.get(what).copied().unwrap_or_default();
        (*count > most + spare).then(|| format!("{what}: {count} times, not {most}"))
    };
    counts.iter().filter_map(too_often).collect()
}
