//! How often a resource's keys are set right that somebody else changes again and again: at once for many times, then at
//! a bounded rate, so that a loop in somebody's script costs a bounded amount of work and holds up nobody else.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::state::Note;
use crate::domain::Uid;

/// So many repairs of one resource may follow each other at once ...
const BURST: u32 = 50;
/// ... and then one in this time, which is also the longest that a broken key waits once the other party stops.
const EVERY: Duration = Duration::from_millis(500);
/// How many repairs have to wait in a row before a person is told: a single sweep over a tenant's numbers is no fight.
const TOLD_AFTER: u32 = 3;
/// How often a person is told while it goes on.
const TOLD_EVERY: Duration = Duration::from_secs(300);

/// What is to be done about a key that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is looked at now.
    Now,
    /// It is looked at a little later, once for all that happens until then.
    Later,
}

/// How many accounts are kept before those are looked for that are settled.
const FEW: usize = 64;

/// Who was repaired how often lately.
#[derive(Debug, Default)]
pub struct Repairs {
    of: HashMap<Uid, Account>,
    due: BTreeSet<(Instant, Uid)>,
    /// How many accounts there may be before the settled ones are dropped.
    many: usize,
}

/// The generic cell rate algorithm (ITU-T I.371): `full` is when all that was granted so far would be paid off at one
/// repair in [`EVERY`].
#[derive(Debug)]
struct Account {
    full: Instant,
    /// Whether a repair waits.
    waits: bool,
    /// How many repairs had to wait, one after another.
    waited: u32,
    /// How many changes were seen since the account was opened.
    changes: u64,
    told: Option<Instant>,
}

impl Repairs {
    /// A key of this resource was changed from outside.
    pub fn touched(&mut self, uid: &Uid, now: Instant) -> Ruling {
        self.drop_settled(now);
        let new = || Account { full: now, waits: false, waited: 0, changes: 0, told: None };
        let account = self.of.entry(uid.clone()).or_insert_with(new);
        account.changes += 1;
        if account.waits {
            return Ruling::Later;
        }
        let earliest = account.full.checked_sub(EVERY * (BURST - 1)).unwrap_or(now);
        if earliest <= now {
            account.pay(now);
            return Ruling::Now;
        }
        account.waits = true;
        self.due.insert((earliest, uid.clone()));
        Ruling::Later
    }

    /// Those whose repair is due, each with what a person is to be told of it.
    pub fn due(&mut self, now: Instant) -> Vec<(Uid, Option<Note>)> {
        let mut due = Vec::new();
        while self.due.first().is_some_and(|(when, _)| *when <= now) {
            let Some((_, uid)) = self.due.pop_first() else { break };
            let Some(account) = self.of.get_mut(&uid) else { continue };
            account.waits = false;
            account.waited += 1;
            account.pay(now);
            let note = account.tell(now);
            due.push((uid, note));
        }
        due
    }

    /// Who was left alone for long enough is as if nothing had been.
    fn drop_settled(&mut self, now: Instant) {
        if self.of.len() >= self.many.max(FEW) {
            self.of.retain(|_, account| account.waits || account.full > now);
            self.many = 2 * self.of.len();
        }
    }

    /// When the next repair is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when)
    }
}

impl Account {
    fn pay(&mut self, now: Instant) {
        // Half of it was paid off: whatever was, is over.
        if self.full <= now + EVERY * (BURST / 2) {
            self.waited = 0;
        }
        self.full = self.full.max(now) + EVERY;
    }

    fn tell(&mut self, now: Instant) -> Option<Note> {
        if self.waited < TOLD_AFTER || self.told.is_some_and(|told| now.duration_since(told) < TOLD_EVERY) {
            return None;
        }
        self.told = Some(now);
        Some(Note::warning(
            "KeysContested",
            format!(
                "somebody else keeps changing its keys in Redis ({} times so far): they are set right every {} ms \
                 until that ends. Find who writes tenantmap:did:* or tenantcfg:* beside the operator (CLIENT LIST, \
                 MONITOR), and take the right from them (ACL)",
                self.changes,
                EVERY.as_millis()
            ),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(name: &str) -> Uid {
        Uid::from(name)
    }

    /// Touches it every so often for a while; answers how often it was looked at, and what was told.
    fn fight(repairs: &mut Repairs, from: Instant, every: Duration, times: u32) -> (u32, Vec<Note>) {
        let (mut looks, mut notes) = (0, Vec::new());
        for n in 0..times {
            let now = from + every * n;
            for (_, note) in repairs.due(now) {
                looks += 1;
                notes.extend(note);
            }
            looks += u32::from(repairs.touched(&uid("a"), now) == Ruling::Now);
        }
        (looks, notes)
    }

    #[test]
    fn what_happens_now_and_then_is_repaired_at_once_each_time_and_for_ever() {
        let mut repairs = Repairs::default();
        assert_eq!(fight(&mut repairs, Instant::now(), EVERY, 10_000), (10_000, Vec::new()));
    }

    #[test]
    fn a_fight_costs_a_burst_and_then_one_repair_at_a_time_and_is_told_once() {
        let (mut repairs, begin) = (Repairs::default(), Instant::now());
        let (looks, notes) = fight(&mut repairs, begin, Duration::from_millis(1), 10_000);
        assert!((BURST..=BURST + 20).contains(&looks), "{looks}");
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].reason, "KeysContested");

        let end = begin + Duration::from_secs(10);
        assert!(repairs.next().unwrap() <= end + EVERY, "the last change is repaired soon");
        assert_eq!(repairs.due(end + EVERY).len(), 1);
        assert_eq!(repairs.next(), None);
        let later = end + EVERY * BURST * 2;
        assert!(repairs.due(later).is_empty());
        assert_eq!(repairs.touched(&uid("a"), later), Ruling::Now);
    }

    #[test]
    fn one_sweep_over_many_numbers_is_no_fight() {
        let mut repairs = Repairs::default();
        let begin = Instant::now();
        let (looks, notes) = fight(&mut repairs, begin, Duration::from_micros(100), 300);
        assert_eq!((looks, notes.len()), (BURST, 0));
        assert_eq!(repairs.due(begin + EVERY), [(uid("a"), None)]);
    }

    #[test]
    fn nothing_is_kept_of_what_is_over() {
        let (mut repairs, begin) = (Repairs::default(), Instant::now());
        for n in 0..10_000 {
            repairs.touched(&uid(&n.to_string()), begin + EVERY * n);
        }
        assert!(repairs.of.len() <= FEW, "{}", repairs.of.len());
    }

    #[test]
    fn others_are_not_held_up() {
        let (mut repairs, begin) = (Repairs::default(), Instant::now());
        fight(&mut repairs, begin, Duration::from_millis(1), 1000);
        assert_eq!(repairs.touched(&uid("b"), begin + Duration::from_secs(1)), Ruling::Now);
    }
}
