//! T3: each event of a watch in turn is lost; only a later list shows its change.

use test_support::World;

use crate::proxied::Proxied;
use crate::tally::{Tally, Usual};
use crate::{story, stride};

/// The step through the events, unless each one is lost once.
const PART: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_survives_the_loss_of_any_watch_event() {
    let proxied = Proxied::new(World::new().await).await;
    let _operator = proxied.start().await;
    let mut usual = Usual::default();
    let mut all = 0;
    for _ in 0..2 {
        proxied.kube.lose_event(None);
        proxied.injector.disarm();
        let tally = Tally::begin(&proxied).await;
        story::run(&proxied).await;
        all = proxied.kube.events();
        usual.add(tally.end(&proxied).await);
    }
    let mut survived = 0;
    for n in (1..).step_by(stride(PART)) {
        proxied.injector.disarm();
        proxied.kube.lose_event(Some(n));
        let tally = Tally::begin(&proxied).await;
        story::run(&proxied).await;
        let Some(event) = proxied.kube.lost_event() else { break };
        println!("event {n} is lost: {event}");
        survived += 1;
        usual.assert_no_more(&tally.end(&proxied).await, &format!("event {n} lost, {event}"));
    }
    println!("survived the loss of {survived} events of {all}");
    // A story with a lost event may have a few less.
    assert!(3 * survived * stride(PART) >= 2 * all, "{survived} of {all}");
    proxied.world.finish().await;
}
