//! How long nobody writes when the leader goes.

use std::time::Instant;

use crate::figure::Spread;
use crate::operator::Operator;
use crate::site::Site;

/// How often a leader is stopped.
const STOPS: usize = 5;
/// How often one is killed: each takes as long as its Lease lasts.
const CRASHES: usize = 3;

/// Has one follower after the other take over from a leader that is stopped clean; gives back who leads then.
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

/// The same with leaders that are killed.
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

/// Waits until the next one has its number, which Redis tells, and then until it has read what Redis holds.
async fn taken_over(site: &Site, next: &Operator, epoch: u64) {
    site.keys.wait_epoch_after(epoch).await;
    next.wait_leading().await;
}
