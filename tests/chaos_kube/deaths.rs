//! T1: the process dies after each single side effect in turn, each call of a Redis script that writes and each write to
//! Kubernetes; with the reply heard or lost. And the reply is lost while the process lives on.

use std::collections::BTreeMap;

use local_cluster::Error;

use crate::gate::Fault;
use crate::gated::Gated;
use crate::support::{Operator, World};
use crate::{story, stride};

/// Each so many-th side effect, where not all are struck at.
const PART: usize = 4;
/// The epoch is counted up at each start.
const EPOCH: &str = "runtime-operator:epoch";

/// How often each thing happened.
type Tally = BTreeMap<String, usize>;

/// How often each key of Redis was written to, and how often each side effect was had.
#[derive(Default)]
struct Counts {
    keys: Tally,
    effects: Tally,
}

/// One telling of the story by an operator that is started for it; the fuse strikes at the `n`-th side effect. Says at
/// which, if the story was so long.
async fn telling(
    gated: &Gated,
    operator: &Operator,
    strike: Option<(usize, Fault)>,
) -> (Option<String>, Counts) {
    let mut journal = gated.journal().await;
    match strike {
        Some((n, fault)) => gated.fuse.arm(n, fault),
        None => gated.fuse.disarm(),
    }
    let attendant = gated.attend(operator);
    match operator.restart().await {
        // The start itself has side effects, so it may die in it.
        Ok(()) | Err(Error::EndedEarly { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    story::tell(gated).await;
    let struck = gated.fuse.struck();
    drop(attendant);
    operator.kill().await.unwrap();
    let mut counts = Counts { effects: gated.fuse.counts(), ..Counts::default() };
    for (key, _) in journal.writes().await.into_iter().filter(|(key, _)| !key.starts_with(EPOCH)) {
        *counts.keys.entry(key).or_default() += 1;
    }
    (struck, counts)
}

/// What was had more often than in any of the undisturbed tellings, by more than `spare`.
fn excess(undisturbed: &[Tally], disturbed: &Tally, spare: usize) -> Vec<String> {
    let most = |what: &str| undisturbed.iter().filter_map(|tally| tally.get(what)).max().copied();
    let too_often = |(what, count): (&String, &usize)| {
        let most = most(what).unwrap_or_default();
        (*count > most + spare).then(|| format!("{what}: {count} times, not {most}"))
    };
    disturbed.iter().filter_map(too_often).collect()
}

async fn survive(fault: Fault, offset: usize) {
    let gated = Gated::new(World::new().await).await;
    let operator = gated.start().await;
    let (mut keys, mut effects) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        let (struck, counts) = telling(&gated, &operator, None).await;
        assert_eq!(struck, None);
        keys.push(counts.keys);
        effects.push(counts.effects);
    }
    let all: usize = effects[1].values().sum();
    let mut survived = 0;
    // All of them, or each so many with a beginning of its own.
    let first = 1 + offset % stride(PART);
    for n in (first..).step_by(stride(PART)) {
        let (struck, counts) = telling(&gated, &operator, Some((n, fault))).await;
        let Some(effect) = struck else { break };
        println!("{fault:?} at side effect {n}: {effect}");
        survived += 1;
        // What is done already is not done again; a write to Kubernetes may be, and be refused for it.
        let mut too_often = excess(&keys, &counts.keys, 0);
        too_often.extend(excess(&effects, &counts.effects, 2));
        assert!(too_often.is_empty(), "{fault:?} at side effect {n}, {effect}: {too_often:#?}");
    }
    println!("{fault:?}: survived at {survived} side effects of {all}");
    assert!(survived * (stride(PART) + 1) >= all, "{survived} of {all}");
    gated.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_die_after_any_side_effect_whose_reply_it_has_heard() {
    survive(Fault::DiesBefore, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_die_after_any_side_effect_before_it_hears_the_reply() {
    survive(Fault::DiesUnheard, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_may_never_hear_the_reply_to_any_side_effect() {
    survive(Fault::Unheard, 2).await;
}
