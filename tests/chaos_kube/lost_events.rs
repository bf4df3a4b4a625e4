//! T3: each event of a watch in turn never arrives; only a later list shows what it would have told.

use crate::gated::Gated;
use crate::support::World;
use crate::tally::{Tally, Usual};
use crate::{story, stride};

/// Each so many-th event, where not all are lost.
const PART: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_event_of_a_watch_may_be_lost() {
    let gated = Gated::new(World::new().await).await;
    let _operator = gated.start().await;
    let mut usual = Usual::default();
    let mut all = 0;
    for _ in 0..2 {
        gated.kube.lose_event(None);
        gated.fuse.disarm();
        let tally = Tally::begin(&gated).await;
        story::tell(&gated).await;
        all = gated.kube.events();
        usual.add(tally.end(&gated).await);
    }
    let mut survived = 0;
    for n in (1..).step_by(stride(PART)) {
        gated.fuse.disarm();
        gated.kube.lose_event(Some(n));
        let tally = Tally::begin(&gated).await;
        story::tell(&gated).await;
        let Some(event) = gated.kube.lost_event() else { break };
        println!("event {n} is lost: {event}");
        survived += 1;
        usual.assert_no_more(&tally.end(&gated).await, &format!("event {n} lost, {event}"));
    }
    println!("survived the loss of {survived} events of {all}");
    assert!(survived * (stride(PART) + 1) >= all, "{survived} of {all}");
    gated.world.finish().await;
}
