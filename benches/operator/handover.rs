//! Measures how long no replica writes after the leader has ended.

use std::time::Instant;

use crate::figure::Spread;
use crate::operator::Operator;
use crate::site::Site;

/// The number of stopped leaders.
const STOPS: usize = 5;
/// The number of killed leaders: each takes as long as its Lease lasts.
const CRASHES: usize = 3;

/// Stops leaders cleanly, one after another, and lets the follower take over; returns the last leader.
pub async fn stops(site: &Site, mut leader: Operator) -> (Spread, Operator) {
    let mut spread = Spread::default();
    for _ in 0..STOPS {
        let (next, epoch) = (site.operator().await, site.keys.epoch().await);
        let began = Instant::now();
        let (stopped, ()) = tokio::join!(leader.process.stop(), taken_over(site, &next, epoch));
        spread.add(began.elapsed());
        stopped.unwrap();
        leader = next;
    }
    (spread, leader)
}

/// Kills leaders, one after another.
pub async fn crashes(site: &Site, mut leader: Operator) -> (Spread, Operator) {
    let mut spread = Spread::default();
    for _ in 0..CRASHES {
        let (next, epoch) = (site.operator().await, site.keys.epoch().await);
        let began = Instant::now();
        leader.process.kill().await.unwrap();
        taken_over(site, &next, epoch).await;
        spread.add(began.elapsed());
        leader = next;
    }
    (spread, leader)
}

/// Waits until the next leader has acquired its epoch in Redis, and then until it has loaded the records.
async fn taken_over(site: &Site, next: &Operator, epoch: u64) {
    site.keys.wait_epoch_after(epoch).await;
    next.wait_leading().await;
}
