//! The steps that a seed draws. They depend on nothing else, so that the same seed draws the same steps.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::edit::Edit;
use super::fault::Fault;

/// One or two concurrent faults, each with the operator that it concerns, and the edits meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub faults: Vec<(Fault, usize)>,
    pub edits: Vec<Edit>,
    /// The time from the last edit to the end of the first fault.
    pub lasts: Duration,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults: Vec<String> =
            self.faults.iter().map(|(fault, operator)| format!("{fault} (operator {operator})")).collect();
        write!(f, "{} for {:?}; {:?}", faults.join(" and "), self.lasts, self.edits)
    }
}

/// An endless sequence of steps. Faults are drawn like cards: each kind occurs once before any occurs again.
///
/// Of three seeds, two draw pairs of faults wherever two go together.
pub struct Plan {
    random: StdRng,
    pairs: bool,
    faults: Vec<Fault>,
    deck: Vec<Fault>,
}

impl Plan {
    pub fn new(seed: u64, faults: &[Fault]) -> Self {
        let (random, pairs) = (StdRng::seed_from_u64(seed), !seed.is_multiple_of(3));
        Self { random, pairs, faults: faults.to_vec(), deck: Vec::new() }
    }

    fn draw(&mut self) -> Fault {
        if self.deck.is_empty() {
            self.deck.clone_from(&self.faults);
            self.deck.shuffle(&mut self.random);
        }
        self.deck.pop().expect("there are faults")
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let first = self.draw();
        let operator = self.random.random_range(0..2);
        let mut faults = vec![(first, operator)];
        if self.pairs {
            let second = self.draw();
            let both = |is: fn(Fault) -> bool| is(first) && is(second);
            if both(Fault::is_of_redis)
                || both(Fault::is_of_a_process)
                || matches!((first, second), (Fault::Way(a, _), Fault::Way(b, _)) if a == b)
            {
                // The second fault returns to the deck.
                self.deck.insert(0, second);
            } else {
                faults.push((second, 1 - operator));
            }
        }
        let deletes = !faults.iter().any(|(fault, _)| fault.brings_back());
        let count = self.random.random_range(1..=4);
        let edits = (0..count).map(|_| Edit::draw(&mut self.random, deletes)).collect();
        let least = faults.iter().map(|(fault, _)| fault.least()).max().unwrap_or_default();
        let lasts = least + Duration::from_millis(self.random.random_range(0..1500));
        Some(Step { faults, edits, lasts })
    }
}

#[test]
fn a_seed_determines_the_faults_and_every_kind_occurs() {
    let draw = |seed| Plan::new(seed, &Fault::all()).take(100).collect::<Vec<_>>();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(3).iter().all(|step| step.faults.len() == 1));
    assert!(draw(4).iter().filter(|step| step.faults.len() == 2).count() > 60);
    let drawn: Vec<Fault> = draw(1).iter().flat_map(|step| &step.faults).map(|(fault, _)| *fault).collect();
    for fault in Fault::all() {
        assert!(drawn.contains(&fault), "{fault}");
    }
}
