//! T1: the process crashes after each single side effect in turn, which are the calls of Redis scripts that write and the writes
//! to Kubernetes, before or after the reply. And the reply is lost while the process goes on.

use local_cluster::Error;
use test_support::proxy::Fault;
use test_support::{Operator, World};

use crate::proxied::Proxied;
use crate::tally::{Tally, Usual};
use crate::{story, stride};

/// The step through the side effects, unless all get a fault.
const PART: usize = 6;

/// Runs the story with a restarted operator and a fault at the `n`-th side effect. Returns that side effect, if the story
/// was long enough.
async fn run_story(
    proxied: &Proxied,
    operator: &Operator,
    fault: Option<(usize, Fault)>,
) -> (Option<String>, Tally) {
    let tally = Tally::begin(proxied).await;
    match fault {
        Some((n, fault)) => proxied.injector.arm(n, fault),
        None => proxied.injector.disarm(),
    }
    let attendant = proxied.attend(operator);
    match operator.restart().await {
        // The start itself has side effects, so that the crash may be there.
        Ok(()) | Err(Error::EndedEarly { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    story::run(proxied).await;
    let injected = proxied.injector.injected();
    drop(attendant);
    operator.kill().await.unwrap();
    (injected, tally.end(proxied).await)
}

async fn survive(fault: Fault, offset: usize) {
    let proxied = Proxied::new(World::new().await).await;
    let operator = proxied.start().await;
    let (mut usual, mut all) = (Usual::default(), 0);
    for _ in 0..2 {
        let (injected, tally) = run_story(&proxied, &operator, None).await;
        assert_eq!(injected, None);
        usual.add(tally);
        let effects = proxied.injector.effects();
        for script in ["EVALSHA apply", "EVALSHA acquire_epoch"] {
            assert!(effects.iter().any(|effect| effect == script), "no {script} among {effects:#?}");
        }
        all = effects.len();
    }
    let mut survived = 0;
    // All of them, or every `PART`-th from an offset.
    let first = 1 + offset % stride(PART);
    for n in (first..).step_by(stride(PART)) {
        let (injected, tally) = run_story(&proxied, &operator, Some((n, fault))).await;
        let Some(effect) = injected else { break };
        println!("{fault:?} at side effect {n}: {effect}");
        survived += 1;
        usual.assert_no_more(&tally, &format!("{fault:?} at side effect {n}, {effect}"));
    }
    println!("{fault:?}: survived at {survived} side effects of {all}");
    // A story with a fault may be a little shorter.
    assert!(3 * survived * stride(PART) >= 2 * all, "{survived} of {all}");
    proxied.world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_a_crash_after_the_reply_to_any_side_effect() {
    survive(Fault::CrashBefore, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_a_crash_before_the_reply_to_any_side_effect() {
    survive(Fault::CrashBeforeReply, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_a_lost_reply_after_any_side_effect() {
    survive(Fault::LostReply, 2).await;
}
