//! Whether the controller moves at all: what the liveness probe asks.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the controller's loop says that it runs.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// For how long it may not say so. A loaded machine keeps it waiting for a moment, never for that long.
const SILENCE: Duration = Duration::from_secs(30);
/// For how long no look may begin or end while there is work: longer than one look may take, since all that it waits for
/// (Redis, a Secret) is given up before.
const STANDSTILL: Duration = Duration::from_secs(120);

/// Beats while the controller's loop runs, and knows whether its looks get anywhere.
#[derive(Debug)]
pub struct Pulse {
    silence: Duration,
    beats: Mutex<Beats>,
}

#[derive(Debug)]
struct Beats {
    last: Instant,
    /// When there was work and something last moved; none while there is nothing to do.
    since: Option<Instant>,
    under_way: usize,
}

/// A look that is under way, until dropped.
pub struct Look<'a>(&'a Pulse);

impl Default for Pulse {
    fn default() -> Self {
        Self::new(SILENCE)
    }
}

impl Pulse {
    /// One that counts as stuck when its loop is silent for longer than this.
    pub fn new(silence: Duration) -> Self {
        Self { silence, beats: Mutex::new(Beats { last: Instant::now(), since: None, under_way: 0 }) }
    }

    fn beats(&self) -> MutexGuard<'_, Beats> {
        self.beats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop runs.
    pub fn beat(&self, now: Instant) {
        self.beats().last = now;
    }

    /// A look is called for.
    pub fn asked(&self, now: Instant) {
        self.beats().since.get_or_insert(now);
    }

    /// A look begins. It ends when what is given back is dropped.
    pub fn look(&self) -> Look<'_> {
        self.begin(Instant::now());
        Look(self)
    }

    fn begin(&self, now: Instant) {
        let mut beats = self.beats();
        beats.under_way += 1;
        beats.since = Some(now);
    }

    fn end(&self, now: Instant) {
        self.beats().under_way -= 1;
        self.moved(now);
    }

    /// What was called for is dealt with, if only since its resource is gone.
    pub fn moved(&self, now: Instant) {
        let mut beats = self.beats();
        beats.since = (beats.under_way > 0).then_some(now);
    }

    /// What stands still, and for how long.
    #[must_use]
    pub fn stuck(&self, now: Instant) -> Option<String> {
        let beats = self.beats();
        let silent = now.duration_since(beats.last);
        if silent > self.silence {
            return Some(format!("the controller's loop has stood still for {} s", silent.as_secs()));
        }
        let still = now.duration_since(beats.since?);
        (still > STANDSTILL).then(|| {
            format!("there is work, and no look at a resource began or ended for {} s", still.as_secs())
        })
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.0.end(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn a_loop_that_beats_is_alive_and_one_that_does_not_is_not() {
        let (pulse, mut now) = (Pulse::default(), Instant::now());
        for _ in 0..1000 {
            now += BEAT;
            pulse.beat(now);
        }
        assert_eq!(pulse.stuck(now + SILENCE), None, "at rest for as long as it likes");
        let why = pulse.stuck(now + SILENCE + MOMENT).unwrap();
        assert_eq!(why, "the controller's loop has stood still for 30 s");
        now += 2 * SILENCE;
        pulse.beat(now);
        assert_eq!(pulse.stuck(now), None);
    }

    /// Whether it is stuck at a time at which the loop runs.
    fn is_stuck(pulse: &Pulse, now: Instant) -> bool {
        pulse.beat(now);
        pulse.stuck(now).is_some()
    }

    #[test]
    fn work_that_nobody_begins_is_no_life() {
        let (pulse, begin) = (Pulse::default(), Instant::now());
        pulse.asked(begin);
        let mut now = begin + STANDSTILL;
        pulse.asked(now);
        assert!(!is_stuck(&pulse, now));
        now += MOMENT;
        assert!(is_stuck(&pulse, now));
        pulse.begin(now);
        pulse.end(now);
        assert!(!is_stuck(&pulse, now + 2 * STANDSTILL), "it was done");
    }

    #[test]
    fn a_look_that_never_ends_is_no_life_unless_others_do() {
        let (pulse, mut now) = (Pulse::default(), Instant::now());
        pulse.begin(now);
        now += STANDSTILL;
        pulse.begin(now);
        pulse.end(now);
        now += STANDSTILL;
        assert!(!is_stuck(&pulse, now));
        now += MOMENT;
        assert!(is_stuck(&pulse, now));
        pulse.moved(now);
        assert!(!is_stuck(&pulse, now));
    }
}
