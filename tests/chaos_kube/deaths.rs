//! T1: the process dies after each single side effect in turn, each call of a Redis script that writes and each write to
//! Kubernetes; with the reply heard or lost. And the reply is lost while the process lives on.

use local_cluster::Error;

use crate::gate::Fault;
use crate::gated::Gated;
use crate::support::{Operator, World};
use crate::tally::{Tally, Usual};
use crate::{story, stride};

/// Each so many-th side effect, where not all are struck at.
const PART: usize = 4;

/// One telling of the story by an operator that is started for it; the fuse strikes at the `n`-th side effect. Says at
/// which, if the story was so long.
async fn telling(
    gated: &Gated,
    operator: &Operator,
    strike: Option<(usize, Fault)>,
) -> (Option<String>, Tally) {
    let tally = Tally::begin(gated).await;
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
    (struck, tally.end(gated).await)
}

async fn survive(fault: Fault, offset: usize) {
    let gated = Gated::new(World::new().await).await;
    let operator = gated.start().await;
    let (mut usual, mut all) = (Usual::default(), 0);
    for _ in 0..2 {
        let (struck, tally) = telling(&gated, &operator, None).await;
        assert_eq!(struck, None);
        usual.add(tally);
        all = gated.fuse.effects().len();
    }
    let mut survived = 0;
    // All of them, or each so many with a beginning of its own.
    let first = 1 + offset % stride(PART);
    for n in (first..).step_by(stride(PART)) {
        let (struck, tally) = telling(&gated, &operator, Some((n, fault))).await;
        let Some(effect) = struck else { break };
        println!("{fault:?} at side effect {n}: {effect}");
        survived += 1;
        usual.assert_no_more(&tally, &format!("{fault:?} at side effect {n}, {effect}"));
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
